"""Networks: port groups of hosts and of distributed switches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from providers.base import (
    LeaseRecord,
    NetworkMode,
    NetworkRecord,
    Networks,
    NetworkSpec,
    NotFound,
    NotSupported,
    StaticLease,
)
from providers.vsphere.errors import vendor_calls
from providers.vsphere.native import vim
from providers.vsphere.part import Part
from providers.vsphere.properties import Found, children, in_view, retrieve, wanted

_TYPES = {
    "Network": "port group",
    "DistributedVirtualPortgroup": "distributed port group",
    "OpaqueNetwork": "NSX network",
}


class VsphereNetworks(Part, Networks):
    def list(self) -> Sequence[NetworkRecord]:
        with vendor_calls():
            return [_record(found) for found in self._read()]

    def get(self, external_id: str) -> NetworkRecord:
        with vendor_calls():
            for found in self._read("vm"):
                if found.id == external_id:
                    return _record(found, [each.text or "" for each in children(found.values.get("vm"))])
        raise NotFound("There is no such network any more.")

    def _read(self, *more: str) -> Sequence[Found]:
        view = self.connection.view(vim.Network)
        asked: list[Any] = [
            wanted(vim.Network, "name", *more),
            wanted(vim.dvs.DistributedVirtualPortgroup, "name", "config.uplink", *more),
        ]
        found = retrieve(self.connection, [in_view(view)], asked)
        # Uplinks are the switch's own way out; no VM is plugged in there.
        return [each for each in found if not each.is_true("config.uplink")]

    # -- what is done in vCenter ------------------------------------------------------------------------------------

    def create(self, spec: NetworkSpec) -> NetworkRecord:
        raise NotSupported("Port groups are made in vCenter.")

    def update(self, external_id: str, spec: NetworkSpec) -> NetworkRecord:
        raise NotSupported("Port groups are changed in vCenter.")

    def delete(self, external_id: str, *, force: bool = False) -> None:
        raise NotSupported("Port groups are deleted in vCenter.")

    def set_active(self, external_id: str, active: bool) -> NetworkRecord:
        raise NotSupported("Port groups cannot be switched off.")

    def leases(self, external_id: str) -> Sequence[LeaseRecord]:
        raise NotSupported("vSphere gives out no addresses.")

    def reserve(self, external_id: str, lease: StaticLease) -> NetworkRecord:
        raise NotSupported("vSphere gives out no addresses.")

    def release(self, external_id: str, mac: str) -> NetworkRecord:
        raise NotSupported("vSphere gives out no addresses.")


def _record(found: Found, used_by: Sequence[str] = ()) -> NetworkRecord:
    return NetworkRecord(
        external_id=found.id,
        name=found.text("name"),
        mode=NetworkMode.BRIDGE,
        type=_TYPES.get(found.kind, found.kind),
        used_by=tuple(used_by),
    )
