"""Networks: libvirt's own, and the bridges of the host."""

from __future__ import annotations

import ipaddress
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
from providers.kvm import leases
from providers.kvm.design import BRIDGE_PREFIX, check_name
from providers.kvm.errors import has_code, still_there, vendor_calls
from providers.kvm.inventory import Inventory
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.part import Part
from providers.kvm.xml.networks import Range, SeenNetwork, network_document, read_host_bridge, read_network

_MODES = {
    "nat": NetworkMode.NAT,
    "route": NetworkMode.ROUTE,
    "open": NetworkMode.OPEN,
    "": NetworkMode.ISOLATED,
    # These hand the guest on to the host's own network; libvirt gives no addresses there.
    "bridge": NetworkMode.BRIDGE,
    "private": NetworkMode.BRIDGE,
    "vepa": NetworkMode.BRIDGE,
    "passthrough": NetworkMode.BRIDGE,
    "hostdev": NetworkMode.BRIDGE,
}
_FORWARDS = {
    NetworkMode.NAT: "nat",
    NetworkMode.ROUTE: "route",
    NetworkMode.OPEN: "open",
    NetworkMode.ISOLATED: "",
    NetworkMode.BRIDGE: "bridge",
}

#: The kernel's limit for an interface name is 15 characters.
_BRIDGE_MOST = 15


class KvmNetworks(Part, Networks):
    """A network's identity is its name; a host's bridge is “bridge:” and its name, and belongs to the host."""

    def list(self) -> Sequence[NetworkRecord]:
        with vendor_calls():
            networks = list(still_there(self.raw.listAllNetworks(0), self._record))
            own = {network.bridge for network in networks if network.mode is not NetworkMode.BRIDGE}
            return networks + [_bridge(name) for name in self._host_bridges() if name not in own]

    def get(self, external_id: str) -> NetworkRecord:
        with vendor_calls():
            if external_id.startswith(BRIDGE_PREFIX):
                name = external_id.removeprefix(BRIDGE_PREFIX)
                if name not in self._host_bridges():
                    raise NotFound(f"The host has no bridge “{name}”.")
                return _bridge(name)
            return self._record(self._network(external_id))

    def create(self, spec: NetworkSpec) -> NetworkRecord:
        """Define it, start it, and have it start with the host."""
        document = self._document(spec)
        with vendor_calls():
            existing = self._seen()
            if any(network.name == spec.name for network in existing):
                raise AlreadyExists(f"A network called “{spec.name}” exists already.", field="name")
            _refuse_overlap(spec, existing)
            network = self.raw.networkDefineXML(document)
            try:
                network.setAutostart(1 if spec.autostart else 0)
                self._start(network)
            except Exception:
                network.undefine()
                raise
            return self._record(network)

    def update(self, external_id: str, spec: NetworkSpec) -> NetworkRecord:
        """Define it anew under its own name and uuid, and start it again; raises Conflict while running VMs use it."""
        with vendor_calls():
            network = self._network(external_id)
            if spec.name != network.name():
                raise InvalidRequest("A network cannot be renamed.", field="name")
            before = network.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE)
            _refuse_overlap(spec, [other for other in self._seen() if other.name != spec.name])
            running = [name for name, is_active in self._users(network.name()) if is_active]
            if running:
                raise Conflict("Running VMs are plugged into it; stop them first.", ", ".join(running))
            seen = read_network(before)
            document = self._document(spec, uuid=seen.uuid, bridge=seen.bridge)
            was_active = bool(network.isActive())
            self.raw.networkDefineXML(document)
            network.setAutostart(1 if spec.autostart else 0)
            if was_active:
                network.destroy()
                try:
                    self._start(network)
                except Exception:
                    # As it was: a network that is gone would be worse than one that did not change.
                    self.raw.networkDefineXML(before)
                    network.create()
                    raise
            return self._record(network)

    def delete(self, external_id: str, *, force: bool = False) -> None:
        with vendor_calls():
            if external_id.startswith(BRIDGE_PREFIX):
                raise Conflict("A bridge of the host is the administrator's; it cannot be deleted here.")
            network = self._network(external_id)
            users = [name for name, _ in self._users(external_id)]
            if users and not force:
                raise Conflict(f"{len(users)} VMs are plugged into it.", ", ".join(users))
            if network.isActive():
                network.destroy()
            if network.isPersistent():
                network.undefine()

    def set_active(self, external_id: str, active: bool) -> NetworkRecord:
        with vendor_calls():
            network = self._network(external_id)
            if active and not network.isActive():
                self._start(network)
            elif not active and network.isActive():
                running = [name for name, is_active in self._users(external_id) if is_active]
                if running:
                    raise Conflict(f"“{running[0]}” is running in this network.", ", ".join(running))
                network.destroy()
            return self._record(network)

    def leases(self, external_id: str) -> Sequence[LeaseRecord]:
        with vendor_calls():
            network = self._network(external_id)
            return leases.of_network(network)

    def reserve(self, external_id: str, lease: StaticLease) -> NetworkRecord:
        raise NotSupported

    def release(self, external_id: str, mac: str) -> NetworkRecord:
        raise NotSupported

    # -- parts ------------------------------------------------------------------------------------------------------

    def _network(self, external_id: str) -> Any:
        try:
            return self.raw.networkLookupByName(external_id)
        except LibvirtError as exc:
            if has_code(exc, libvirt.VIR_ERR_NO_NETWORK):
                raise NotFound(f"There is no network “{external_id}”.") from exc
            raise

    def _seen(self) -> Sequence[SeenNetwork]:
        return tuple(still_there(self.raw.listAllNetworks(0), lambda network: read_network(network.XMLDesc(0))))

    def _host_bridges(self) -> Sequence[str]:
        try:
            # Only those that are up: nothing can be plugged into the others.
            interfaces = self.raw.listAllInterfaces(libvirt.VIR_CONNECT_LIST_INTERFACES_ACTIVE)
            names = still_there(interfaces, lambda interface: read_host_bridge(interface.XMLDesc(0)))
            return sorted(filter(None, names))
        except LibvirtError:
            # A libvirt without a driver for the host's interfaces.
            return []

    def _users(self, name: str) -> Sequence[tuple[str, bool]]:
        return [
            (known.machine.name, vm.is_active)
            for vm, known in Inventory.of(self.connection).everything()
            if any(card.network == name for card in known.machine.cards)
        ]

    def _start(self, network: Any) -> None:
        try:
            network.create()
        except LibvirtError as exc:
            if "already in use" in str(exc):
                raise AlreadyExists("This range of addresses is in use on the host.", str(exc), field="cidr") from exc
            raise

    def _document(self, spec: NetworkSpec, *, uuid: str = "", bridge: str = "") -> str:
        check_name(spec.name)
        forward = _FORWARDS.get(spec.mode)
        if forward is None:
            raise InvalidRequest(f"The hypervisor makes no networks of mode “{spec.mode}”.", field="mode")
        if len(spec.bridge) > _BRIDGE_MOST or "/" in spec.bridge or " " in spec.bridge:
            raise InvalidRequest("This is no name for a bridge.", field="bridge")
        if forward == "bridge":
            if not spec.bridge:
                raise InvalidRequest("Name the bridge of the host that it leads to.", field="bridge")
            if spec.cidr:
                raise InvalidRequest("Behind a bridge the outer network gives the addresses.", field="cidr")
            return network_document(name=spec.name, uuid=uuid, forward=forward, bridge=spec.bridge)
        if not spec.cidr and forward:
            raise InvalidRequest("Give a range of addresses, such as 192.0.2.0/24.", field="cidr")
        return network_document(
            name=spec.name,
            uuid=uuid,
            forward=forward,
            bridge=spec.bridge or bridge,
            domain=spec.domain,
            ranges=(address_range(spec.cidr, dhcp=spec.dhcp),) if spec.cidr else (),
        )

    def _record(self, network: Any) -> NetworkRecord:
        seen = read_network(network.XMLDesc(0))
        return NetworkRecord(
            external_id=seen.name,
            name=seen.name,
            mode=_MODES.get(seen.forward, NetworkMode.PROVIDER),
            type="network",
            cidrs=seen.cidrs,
            dhcp=seen.dhcp,
            domain=seen.domain,
            bridge=seen.bridge,
            is_active=bool(network.isActive()),
            autostart=bool(network.autostart()) if network.isPersistent() else False,
        )


def address_range(cidr: str, *, dhcp: bool) -> Range:
    """The host has the first address and DHCP gives out the others; raises InvalidRequest for a range too small."""
    try:
        network = ipaddress.ip_network(cidr, strict=True)
    except ValueError as exc:
        raise InvalidRequest("This is no range of addresses, such as 192.0.2.0/24.", str(exc), field="cidr") from exc
    if network.is_multicast or network.is_loopback or not network.prefixlen or network.num_addresses < 4:
        raise InvalidRequest("This range cannot be used for a network.", field="cidr")
    host = ipaddress.ip_interface(f"{network[1]}/{network.prefixlen}")
    if not dhcp:
        return Range(host=host)
    # dnsmasq keeps every address that it may give out; more than a few thousand leases serve nobody.
    last = min(network.num_addresses - 2, 65_000)
    return Range(host=host, first=str(network[2]), last=str(network[last]))


def _refuse_overlap(spec: NetworkSpec, existing: Sequence[SeenNetwork]) -> None:
    if not spec.cidr:
        return
    wanted = ipaddress.ip_network(spec.cidr, strict=False)
    for network in existing:
        for cidr in network.cidrs:
            other = ipaddress.ip_network(cidr)
            if wanted.version == other.version and wanted.overlaps(other):
                raise AlreadyExists(f"The network “{network.name}” has these addresses already.", field="cidr")


def _bridge(name: str) -> NetworkRecord:
    return NetworkRecord(
        external_id=BRIDGE_PREFIX + name, name=name, mode=NetworkMode.BRIDGE, type="bridge", bridge=name
    )
