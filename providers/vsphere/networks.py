"""Networks: port groups of hosts and of distributed switches."""

from __future__ import annotations

from collections.abc import Sequence
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
from providers.vsphere.creation import check_name
from providers.vsphere.errors import vendor_calls
from providers.vsphere.native import vim
from providers.vsphere.part import Part
from providers.vsphere.properties import Found, below, children, in_view, retrieve, wanted
from providers.vsphere.records import network_of
from providers.vsphere.site import Site, read_site

_VLAN = "config.defaultPortConfig.vlan"
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
            for found in self._read():
                if found.id == external_id:
                    return _record(found, self._plugged_into(external_id))
        raise NotFound("There is no such network any more.")

    def _plugged_into(self, external_id: str) -> Sequence[str]:
        """VMs and templates with a card there, running or not."""
        return [
            found.id
            for found in self.everybody("config.hardware.device")
            if any(network_of(each) == external_id for each in children(found.values.get("config.hardware.device")))
        ]

    def _read(self) -> Sequence[Found]:
        view = self.connection.view(vim.Network)
        asked: list[Any] = [
            wanted(vim.Network, "name"),
            wanted(vim.dvs.DistributedVirtualPortgroup, "name", "config.uplink", _VLAN),
        ]
        found = retrieve(self.connection, [in_view(view)], asked)
        # Uplinks are the switch's own way out; no VM is plugged in there.
        return [each for each in found if not each.is_true("config.uplink")]

    def create(self, spec: NetworkSpec) -> NetworkRecord:
        """A port group of a distributed switch: `bridge` names the switch where there are several."""
        if spec.cidr or spec.ipv6_cidr:
            raise InvalidRequest("A port group has no range of addresses.", field="cidr")
        if spec.mode is not NetworkMode.BRIDGE:
            raise InvalidRequest("Port groups are bridges: they join VMs to the network behind a switch.", field="mode")
        check_name(spec.name)
        with vendor_calls():
            site = read_site(self.connection)
            taken = {each.text("name") for each in site.of(*_TYPES)}
            if spec.name in taken:
                raise AlreadyExists(f"There is a network “{spec.name}” already.", field="name")
            switch = self.connection.object(vim.DistributedVirtualSwitch, _switch(site, spec.bridge).id)
            self.run_task(switch.AddDVPortgroup_Task([_wish(spec)]), can_stop=False)
            for found in self._read():
                if found.text("name") == spec.name:
                    return _record(found)
        raise NotFound("The port group was made and is gone again.")

    def delete(self, external_id: str, *, force: bool = False) -> None:
        """Only port groups of distributed switches. `force` changes nothing: the server lets none go under a VM."""
        del force
        record = self.get(external_id)
        if record.type != _TYPES["DistributedVirtualPortgroup"]:
            raise NotSupported("Port groups of single hosts are deleted at their hosts.")
        if record.used_by:
            raise Conflict("VMs are plugged into this network.")
        with vendor_calls():
            group = self.connection.object(vim.dvs.DistributedVirtualPortgroup, external_id)
            self.run_task(group.Destroy_Task(), can_stop=False)

    # -- what is done in vCenter ------------------------------------------------------------------------------------

    def update(self, external_id: str, spec: NetworkSpec) -> NetworkRecord:
        raise NotSupported("Port groups are changed in vCenter.")

    def set_active(self, external_id: str, active: bool) -> NetworkRecord:
        raise NotSupported("Port groups cannot be switched off.")

    def leases(self, external_id: str) -> Sequence[LeaseRecord]:
        raise NotSupported("vSphere gives out no addresses.")

    def reserve(self, external_id: str, lease: StaticLease) -> NetworkRecord:
        raise NotSupported("vSphere gives out no addresses.")

    def release(self, external_id: str, mac: str) -> NetworkRecord:
        raise NotSupported("vSphere gives out no addresses.")


def _switch(site: Site, name: str) -> Found:
    """The distributed switch of this name, or the only one there is."""
    switches = [each for each in site.found if each.kind.endswith("DistributedVirtualSwitch")]
    if not switches:
        raise NotSupported("There is no distributed switch here; port groups of single hosts are made in vCenter.")
    named = [each for each in switches if name in ("", each.text("name"))]
    if len(named) == 1:
        return named[0]
    names = ", ".join(sorted(each.text("name") for each in switches))
    raise InvalidRequest(f"Name one of the switches {names}.", field="bridge")


def _wish(spec: NetworkSpec) -> Any:
    vlan = vim.dvs.VmwareDistributedVirtualSwitch.VlanIdSpec(vlanId=spec.vlan or 0, inherited=False)
    ports = vim.dvs.VmwareDistributedVirtualSwitch.VmwarePortConfigPolicy(vlan=vlan)
    return vim.dvs.DistributedVirtualPortgroup.ConfigSpec(
        name=spec.name, type="earlyBinding", numPorts=8, autoExpand=True, defaultPortConfig=ports
    )


def _record(found: Found, used_by: Sequence[str] = ()) -> NetworkRecord:
    return NetworkRecord(
        external_id=found.id,
        name=found.text("name"),
        mode=NetworkMode.BRIDGE,
        vlan=_vlan(found),
        type=_TYPES.get(found.kind, found.kind),
        used_by=tuple(used_by),
    )


def _vlan(found: Found) -> int | None:
    """The tag, where there is exactly one."""
    vlan = found.values.get(_VLAN)
    text = below(vlan, "vlanId")
    return int(text) if text.isdigit() and text != "0" else None
