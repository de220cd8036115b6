"""Networks: port groups of hosts and of distributed switches. The hosts' own are kept alike on all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from providers.base import (
    AlreadyExists,
    Conflict,
    InvalidRequest,
    LeaseRecord,
    NetworkMode,
    NetworkRecord,
    Networks,
    NetworkSpec,
    NotFound,
    NotSupported,
    StaticLease,
)
from providers.vsphere import port_groups as hosts
from providers.vsphere.creation import check_name
from providers.vsphere.errors import vendor_calls
from providers.vsphere.native import vim
from providers.vsphere.part import Part
from providers.vsphere.properties import Found, below, children, in_view, read_one, retrieve, step, wanted
from providers.vsphere.records import network_of
from providers.vsphere.site import Site, read_site

_VLAN, _SWITCH = "config.defaultPortConfig.vlan", "config.distributedVirtualSwitch"
_VERSION = "config.configVersion"
_TYPES = {
    "Network": "port group",
    "DistributedVirtualPortgroup": "distributed port group",
    "OpaqueNetwork": "NSX network",
}


class VsphereNetworks(Part, Networks):
    def list(self) -> Sequence[NetworkRecord]:
        with vendor_calls():
            return list(self._records())

    def get(self, external_id: str) -> NetworkRecord:
        with vendor_calls():
            record = self._one(external_id)
            return replace(record, used_by=tuple(self._plugged_into(external_id)))

    def _one(self, external_id: str) -> NetworkRecord:
        for record in self._records():
            if record.external_id == external_id:
                return record
        raise NotFound("There is no such network any more.")

    def _plugged_into(self, external_id: str) -> Sequence[str]:
        """VMs and templates with a card there, running or not."""
        return [
            found.id
            for found in self.everybody("config.hardware.device")
            if any(network_of(each) == external_id for each in children(found.values.get("config.hardware.device")))
        ]

    def _records(self) -> Iterator[NetworkRecord]:
        """Networks, what the hosts' own port groups say of them, and the switches' names: one call."""
        view = self.connection.view(vim.Network, vim.HostSystem, vim.DistributedVirtualSwitch)
        systems = step(vim.HostSystem, "configManager.networkSystem")
        asked: list[Any] = [
            wanted(vim.Network, "name"),
            wanted(vim.dvs.DistributedVirtualPortgroup, "name", "config.uplink", _SWITCH, _VLAN),
            wanted(vim.DistributedVirtualSwitch, "name"),
            wanted(vim.host.NetworkSystem, hosts.GROUPS),
        ]
        found = list(retrieve(self.connection, [in_view(view, systems)], asked))
        switches = {each.id: each.text("name") for each in found if each.kind.endswith("DistributedVirtualSwitch")}
        groups = hosts.told(found)
        for each in found:
            # Uplinks are the switch's own way out; no VM is plugged in there.
            if each.kind in _TYPES and not each.is_true("config.uplink"):
                yield _record(each, switches, groups)

    def create(self, spec: NetworkSpec) -> NetworkRecord:
        """A port group of a distributed switch, or of the hosts' own: `bridge` names the switch where there are
        several."""
        _demand_plain(spec)
        with vendor_calls():
            site = read_site(self.connection)
            taken = {each.text("name") for each in site.of(*_TYPES)}
            if spec.name in taken:
                raise AlreadyExists(f"There is a network “{spec.name}” already.", field="name")
            own = hosts.PortGroups(self.connection)
            switch = _switch(site, spec.bridge, own.switches())
            if switch is None:
                own.add(spec.name, switch=spec.bridge, vlan=spec.vlan)
            else:
                handle = self.connection.object(vim.DistributedVirtualSwitch, switch.id)
                self.run_task(handle.AddDVPortgroup_Task([_wish(spec)]), can_stop=False)
            for record in self._records():
                if record.name == spec.name:
                    return record
        raise NotFound("The port group was made and is gone again.")

    def update(self, external_id: str, spec: NetworkSpec) -> NetworkRecord:
        """Its name and its VLAN; cards stay plugged in and are in the new VLAN at once."""
        _demand_plain(spec)
        with vendor_calls():
            old = self._one(external_id)
            if spec.bridge not in ("", old.bridge):
                raise InvalidRequest("A port group stays at its switch.", field="bridge")
            if spec.name != old.name and any(each.name == spec.name for each in self._records()):
                raise AlreadyExists(f"There is a network “{spec.name}” already.", field="name")
            if (spec.name, spec.vlan) == (old.name, old.vlan):
                return old
            if old.type == _TYPES["Network"]:
                hosts.PortGroups(self.connection).change(old.name, new_name=spec.name, vlan=spec.vlan)
            elif old.type == _TYPES["DistributedVirtualPortgroup"]:
                group = self.connection.object(vim.dvs.DistributedVirtualPortgroup, external_id)
                wish = _wish(spec, version=read_one(self.connection, group, _VERSION).text(_VERSION))
                self.run_task(group.ReconfigureDVPortgroup_Task(wish), can_stop=False)
            else:
                raise NotSupported("This network is changed where it was made.")
            return self._one(external_id)

    def delete(self, external_id: str, *, force: bool = False) -> None:
        """`force` changes nothing: the server lets none go under a VM."""
        del force
        record = self.get(external_id)
        if record.used_by:
            raise Conflict("VMs are plugged into this network.")
        with vendor_calls():
            if record.type == _TYPES["Network"]:
                hosts.PortGroups(self.connection).remove(record.name)
            elif record.type == _TYPES["DistributedVirtualPortgroup"]:
                group = self.connection.object(vim.dvs.DistributedVirtualPortgroup, external_id)
                self.run_task(group.Destroy_Task(), can_stop=False)
            else:
                raise NotSupported("This network is deleted where it was made.")

    # -- what there is not ------------------------------------------------------------------------------------------

    def set_active(self, external_id: str, active: bool) -> NetworkRecord:
        raise NotSupported("Port groups cannot be switched off.")

    def leases(self, external_id: str) -> Sequence[LeaseRecord]:
        raise NotSupported("vSphere gives out no addresses.")

    def reserve(self, external_id: str, lease: StaticLease) -> NetworkRecord:
        raise NotSupported("vSphere gives out no addresses.")

    def release(self, external_id: str, mac: str) -> NetworkRecord:
        raise NotSupported("vSphere gives out no addresses.")


def _demand_plain(spec: NetworkSpec) -> None:
    check_name(spec.name)
    if spec.cidr or spec.ipv6_cidr:
        raise InvalidRequest("A port group has no range of addresses.", field="cidr")
    if spec.mode is not NetworkMode.BRIDGE:
        raise InvalidRequest("Port groups are bridges: they join VMs to the network behind a switch.", field="mode")


def _switch(site: Site, name: str, own: Sequence[str]) -> Found | None:
    """The distributed switch of this name, or the only one there is; None for a switch of the hosts' own."""
    switches = [each for each in site.found if each.kind.endswith("DistributedVirtualSwitch")]
    named = [each for each in switches if name in ("", each.text("name"))]
    if len(named) == 1:
        return named[0]
    if name in own and not named:
        return None
    names = ", ".join(sorted({each.text("name") for each in switches} | set(own)))
    if not names:
        raise NotSupported("There is no switch here that this account sees.")
    raise InvalidRequest(f"Name one of the switches {names}.", field="bridge")


def _wish(spec: NetworkSpec, *, version: str = "") -> Any:
    """A new port group, or with its present version what changes of one."""
    vlan = vim.dvs.VmwareDistributedVirtualSwitch.VlanIdSpec(vlanId=spec.vlan or 0, inherited=False)
    ports = vim.dvs.VmwareDistributedVirtualSwitch.VmwarePortConfigPolicy(vlan=vlan)
    wish = vim.dvs.DistributedVirtualPortgroup.ConfigSpec(name=spec.name, defaultPortConfig=ports)
    if version:
        wish.configVersion = version
    else:
        wish.type, wish.numPorts, wish.autoExpand = "earlyBinding", 8, True
    return wish


def _record(found: Found, switches: Mapping[str, str], groups: Mapping[str, hosts.Group]) -> NetworkRecord:
    own = groups.get(found.text("name")) if found.kind == "Network" else None
    return NetworkRecord(
        external_id=found.id,
        name=found.text("name"),
        mode=NetworkMode.BRIDGE,
        bridge=own.switch if own else switches.get(found.text(_SWITCH), ""),
        vlan=own.vlan if own else _vlan(found),
        type=_TYPES.get(found.kind, found.kind),
    )


def _vlan(found: Found) -> int | None:
    """The tag, where there is exactly one."""
    vlan = found.values.get(_VLAN)
    text = below(vlan, "vlanId")
    return int(text) if text.isdigit() and text != "0" else None
