"""Port groups of the hosts' own switches: made, changed and removed at every host that has the switch, or at none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from providers.base import NotFound, NotSupported
from providers.vsphere.connection import Connection
from providers.vsphere.errors import fault_is
from providers.vsphere.native import MethodFault, vim
from providers.vsphere.properties import Found, below, children, in_view, retrieve, step, wanted

GROUPS, _SWITCHES = "networkInfo.portgroup", "networkInfo.vswitch"


@dataclass(frozen=True, slots=True)
class Group:
    switch: str
    vlan: int | None


def told(found: Iterable[Found]) -> Mapping[str, Group]:
    """Port groups by their names, as the first host that has them tells."""
    groups: dict[str, Group] = {}
    for host in found:
        for each in children(host.values.get(GROUPS)):
            tag = int(below(each, "spec/vlanId") or 0)
            groups.setdefault(below(each, "spec/name"), Group(below(each, "spec/vswitchName"), tag or None))
    return groups


class PortGroups:
    """The hosts' network systems, read once. Inside `vendor_calls()`."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        hosts = in_view(connection.view(vim.HostSystem), step(vim.HostSystem, "configManager.networkSystem"))
        asked = [wanted(vim.host.NetworkSystem, GROUPS, _SWITCHES)]
        self._systems = list(retrieve(connection, [hosts], asked))

    def switches(self) -> Sequence[str]:
        names = {below(each, "name") for system in self._systems for each in children(system.values.get(_SWITCHES))}
        return sorted(names)

    def add(self, name: str, *, switch: str, vlan: int | None) -> None:
        having = [
            system
            for system in self._systems
            if switch in {below(each, "name") for each in children(system.values.get(_SWITCHES))}
        ]
        spec = _spec(name, switch, vlan)
        self._everywhere(
            having,
            lambda handle: handle.AddPortGroup(spec),
            lambda handle: handle.RemovePortGroup(name),
        )

    def change(self, name: str, *, new_name: str, vlan: int | None) -> None:
        old = self._known(name)
        self._everywhere(
            self._having(name),
            lambda handle: handle.UpdatePortGroup(name, _spec(new_name, old.switch, vlan)),
            lambda handle: handle.UpdatePortGroup(new_name, _spec(name, old.switch, old.vlan)),
        )

    def remove(self, name: str) -> None:
        old = self._known(name)
        self._everywhere(
            self._having(name),
            lambda handle: handle.RemovePortGroup(name),
            lambda handle: handle.AddPortGroup(_spec(name, old.switch, old.vlan)),
        )

    def _known(self, name: str) -> Group:
        found = told(self._systems).get(name)
        if found is None:
            raise NotSupported("No host of this datacenter has this port group as its own.")
        return found

    def _having(self, name: str) -> Sequence[Found]:
        return [system for system in self._systems if name in told([system])]

    def _everywhere(self, systems: Sequence[Found], do: Callable[[Any], object], undo: Callable[[Any], object]) -> None:
        """At each host; when one refuses, those before it are put back. One that has lost it already is as wished."""
        if not systems:
            raise NotFound("No host has this switch any more.")
        done: list[Any] = []
        for system in systems:
            handle = self.connection.object(vim.host.NetworkSystem, system.id)
            try:
                do(handle)
            except MethodFault as exc:
                if fault_is(exc, "vim.fault.NotFound") and done:
                    continue
                self._back(done, undo)
                raise
            except BaseException:
                # Whether this one was changed nobody knows, so that it is put back too.
                self._back([*done, handle], undo)
                raise
            done.append(handle)

    @staticmethod
    def _back(handles: Sequence[Any], undo: Callable[[Any], object]) -> None:
        for handle in handles:
            with suppress(Exception):
                undo(handle)


def _spec(name: str, switch: str, vlan: int | None) -> Any:
    return vim.host.PortGroup.Specification(
        name=name, vlanId=vlan or 0, vswitchName=switch, policy=vim.host.NetworkPolicy()
    )
