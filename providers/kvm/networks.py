"""Networks: libvirt's own, and the bridges of the host."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from copy import deepcopy
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
    StaticLease,
)
from providers.kvm import leases, network_updates
from providers.kvm.design import BRIDGE_PREFIX, check_name
from providers.kvm.errors import has_code, still_there, vendor_calls
from providers.kvm.inventory import Inventory
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.network_addresses import lease_of
from providers.kvm.network_design import HostNetworking, wish_of
from providers.kvm.network_records import bridge_record, network_record
from providers.kvm.part import Part
from providers.kvm.xml.build import read, write
from providers.kvm.xml.network_edit import NetworkWish, edit, new
from providers.kvm.xml.networks import SeenInterface, SeenNetwork, read_interface, read_network

_INACTIVE = libvirt.VIR_NETWORK_XML_INACTIVE

_NEED_RANGE = frozenset({NetworkMode.NAT, NetworkMode.ROUTE, NetworkMode.OPEN})
#: What is tried, in this order, for a network whose range nobody chose.
_FREE_RANGES = tuple(f"192.168.{third}.0/24" for third in range(100, 250))

#: What libvirt says where another network was given the bridge meanwhile that it had chosen for this one.
_BRIDGE_TAKEN = re.compile(r"creating bridge interface .*File exists|bridge name .* already in use")

#: Devices that libvirt makes for cards and networks; nothing else is plugged into them.
_NOT_THE_HOSTS = ("vnet", "macvtap", "macvlan")


class KvmNetworks(Part, Networks):
    """A network's identity is its name; a host's bridge is “bridge:” and its name, and belongs to the host."""

    def list(self) -> Sequence[NetworkRecord]:
        with vendor_calls():
            networks = list(still_there(self.raw.listAllNetworks(0), self._record))
            own = {network.bridge for network in networks if network.mode is not NetworkMode.BRIDGE}
            return networks + [bridge_record(name) for name in self._host_bridges() if name not in own]

    def get(self, external_id: str) -> NetworkRecord:
        with vendor_calls():
            if not external_id.startswith(BRIDGE_PREFIX):
                network = self.network(external_id)
                return self._record(network, used_by=self._users(external_id))
            name = external_id.removeprefix(BRIDGE_PREFIX)
            if name not in self._host_bridges():
                raise NotFound(f"The host has no bridge “{name}”.")
            return bridge_record(name, used_by=self._users(external_id))

    def create(self, spec: NetworkSpec) -> NetworkRecord:
        """Define it, start it, and have it start with the host. One that needs a range and has none gets a free one."""
        if spec.cidr or spec.mode not in _NEED_RANGE:
            return self._create(spec)
        for cidr in _FREE_RANGES:
            try:
                return self._create(spec.model_copy(update={"cidr": cidr}))
            except AlreadyExists as exc:
                if exc.field != "cidr":
                    raise
        raise AlreadyExists("No range of addresses is free; give one.", field="cidr")

    def _create(self, spec: NetworkSpec) -> NetworkRecord:
        check_name(spec.name)
        with vendor_calls():
            existing = self._seen()
            if any(network.name == spec.name and network.uuid == spec.portal_uuid for network in existing):
                # An attempt at the same wish died on its way.
                self.delete(spec.name)
                existing = self._seen()
            if any(network.name == spec.name for network in existing):
                raise AlreadyExists(f"A network called “{spec.name}” exists already.", field="name")
            wish = wish_of(spec, self._host(spec))
            _refuse_overlap(wish, existing)
            network = self._made(write(new(wish)), autostart=spec.autostart)
            return self._record(network)

    def _made(self, document: str, *, autostart: bool) -> Any:
        """Define and start it. Two that are made at once are now and then given the same bridge by libvirt."""
        attempts_left = 3
        while True:
            attempts_left -= 1
            network = None
            try:
                network = self.raw.networkDefineXML(document)
                network.setAutostart(1 if autostart else 0)
                self._start(network)
            except Exception as exc:
                if network is not None:
                    network.undefine()
                if not attempts_left or not _BRIDGE_TAKEN.search(str(exc)):
                    raise
            else:
                return network

    def update(self, external_id: str, spec: NetworkSpec) -> NetworkRecord:
        """Change what differs, and leave in its document what the portal has no words for.

        DHCP ranges, kept addresses and names change at once. Everything else needs a restart of the network, which
        happens when no running VM is plugged in and otherwise waits as `pending`.
        """
        with vendor_calls():
            network = self._own(external_id)
            if spec.name != network.name():
                raise InvalidRequest("A network cannot be renamed.", field="name")
            before = network.XMLDesc(_INACTIVE)
            wish = wish_of(spec, self._host(spec), read_network(before))
            _refuse_overlap(wish, [other for other in self._seen() if other.name != spec.name])
            after = read(before)
            edit(after, wish)
            if write(after) != write(read(before)) or self._lags(network, wish):
                self._change(network, wish, before, write(after))
            if bool(network.autostart()) != spec.autostart:
                network.setAutostart(1 if spec.autostart else 0)
            return self._record(network, used_by=self._users(external_id))

    def _lags(self, network: Any, wish: NetworkWish) -> bool:
        """Whether it runs otherwise than its document says: a change before this one waits, or died on its way."""
        if not network.isActive():
            return False
        live = read(network.XMLDesc(0))
        wanted = deepcopy(live)
        edit(wanted, wish)
        return write(wanted) != write(live)

    def _change(self, network: Any, wish: NetworkWish, before: str, after: str) -> None:
        self.raw.networkDefineXML(after)
        if not network.isActive():
            return
        live = read(network.XMLDesc(0))
        wanted = deepcopy(live)
        edit(wanted, wish)
        try:
            if network_updates.apply(network, live, wanted) or self._running(network.name()):
                return
            network.destroy()
            self._start(network)
        except Exception:
            # As it was: a network that is gone would be worse than one that did not change.
            self.raw.networkDefineXML(before)
            if not network.isActive():
                network.create()
            raise

    def delete(self, external_id: str, *, force: bool = False) -> None:
        with vendor_calls():
            if external_id.startswith(BRIDGE_PREFIX):
                raise Conflict("A bridge of the host is the administrator's; it cannot be deleted here.")
            network = self.network(external_id)
            users = [known.machine.name for _, known in self._plugged(external_id)]
            if users and not force:
                raise Conflict(f"{_named(users)} plugged into it.", ", ".join(users))
            if network.isActive():
                network.destroy()
            if network.isPersistent():
                network.undefine()

    def set_active(self, external_id: str, active: bool) -> NetworkRecord:
        with vendor_calls():
            network = self._own(external_id)
            if active and not network.isActive():
                self._start(network)
            elif not active and network.isActive():
                running = self._running(external_id)
                if running:
                    raise Conflict(f"{_named(running)} running in it; stop them first.", ", ".join(running))
                network.destroy()
            return self._record(network, used_by=self._users(external_id))

    # -- addresses --------------------------------------------------------------------------------------------------

    def leases(self, external_id: str) -> Sequence[LeaseRecord]:
        with vendor_calls():
            if external_id.startswith(BRIDGE_PREFIX):
                return []
            network = self.network(external_id)
            return leases.of_network(network, read_network(network.XMLDesc(0)).leases)

    def reserve(self, external_id: str, lease: StaticLease) -> NetworkRecord:
        with vendor_calls():
            network = self._own(external_id)
            seen = read_network(network.XMLDesc(0))
            if not seen.dhcp:
                raise Conflict(f"The network “{seen.name}” gives out no addresses.")
            # Without a card of its own in the network a MAC may have another address kept, which is replaced.
            wanted = lease_of(lease, seen.ranges, [each for each in seen.leases if each.mac != lease.mac.lower()])
            if wanted not in seen.leases:
                network_updates.keep(network, seen, wanted)
            return self._record(network, used_by=self._users(external_id))

    def release(self, external_id: str, mac: str) -> NetworkRecord:
        with vendor_calls():
            network = self._own(external_id)
            kept = [each for each in read_network(network.XMLDesc(0)).leases if each.mac == mac.lower()]
            if not kept:
                raise NotFound("No address is kept for this card.")
            for each in kept:
                network_updates.give_up(network, each)
            return self._record(network, used_by=self._users(external_id))

    # -- parts ------------------------------------------------------------------------------------------------------

    def network(self, external_id: str) -> Any:
        """libvirt's network; raises NotFound."""
        try:
            return self.raw.networkLookupByName(external_id)
        except LibvirtError as exc:
            if has_code(exc, libvirt.VIR_ERR_NO_NETWORK):
                raise NotFound(f"There is no network “{external_id}”.") from exc
            raise

    def _own(self, external_id: str) -> Any:
        """A network that can be changed; raises Conflict for what is the host's."""
        if external_id.startswith(BRIDGE_PREFIX):
            raise Conflict("A bridge of the host is the administrator's; it cannot be changed here.")
        return self.network(external_id)

    def _seen(self) -> Sequence[SeenNetwork]:
        return tuple(still_there(self.raw.listAllNetworks(0), lambda network: read_network(network.XMLDesc(0))))

    def _host(self, spec: NetworkSpec) -> HostNetworking:
        found = self._interfaces(0)
        if found is not None:
            names = {each.name for each in found}
            asked = [name for name in (spec.bridge, spec.forward_device) if name and name not in names]
            # A list leaves out devices that programs made, which a bridge of Open vSwitch may be.
            found = [*found, *(each for name in asked if (each := self._interface(name)) is not None)]
        return HostNetworking(interfaces=found, libvirt=self.raw.getLibVersion())

    def _interface(self, name: str) -> SeenInterface | None:
        try:
            return read_interface(self.raw.interfaceLookupByName(name).XMLDesc(0))
        except LibvirtError as exc:
            if has_code(exc, libvirt.VIR_ERR_NO_INTERFACE):
                return None
            raise

    def _interfaces(self, flags: int) -> Sequence[SeenInterface] | None:
        try:
            found = [each for each in self.raw.listAllInterfaces(flags) if not each.name().startswith(_NOT_THE_HOSTS)]
            return list(still_there(found, lambda each: read_interface(each.XMLDesc(0))))
        except LibvirtError:
            # A libvirt without a driver for the host's interfaces.
            return None

    def _host_bridges(self) -> Sequence[str]:
        # Only those that are up: nothing can be plugged into the others.
        active = self._interfaces(libvirt.VIR_CONNECT_LIST_INTERFACES_ACTIVE) or ()
        return sorted(each.name for each in active if each.type == "bridge")

    def _plugged(self, external_id: str) -> Sequence[Any]:
        """The VMs, running or not, that have a card in it."""
        bridge = external_id.removeprefix(BRIDGE_PREFIX) if external_id.startswith(BRIDGE_PREFIX) else ""
        return [
            (vm, known)
            for vm, known in Inventory.of(self.connection).everything()
            if any(
                (card.bridge == bridge and not card.network) if bridge else card.network == external_id
                for card in known.machine.cards
            )
        ]

    def _users(self, external_id: str) -> tuple[str, ...]:
        return tuple(vm.uuid for vm, _ in self._plugged(external_id))

    def _running(self, external_id: str) -> Sequence[str]:
        return [known.machine.name for vm, known in self._plugged(external_id) if vm.is_active]

    def _start(self, network: Any) -> None:
        try:
            network.create()
        except LibvirtError as exc:
            raise refused_start(exc) or exc from exc

    def _record(self, network: Any, used_by: tuple[str, ...] = ()) -> NetworkRecord:
        is_active, is_persistent = bool(network.isActive()), bool(network.isPersistent())
        seen = read_network(network.XMLDesc(0))
        later = read_network(network.XMLDesc(_INACTIVE)) if is_active and is_persistent else seen
        autostart = bool(network.autostart()) if is_persistent else False
        return network_record(seen, later, is_active=is_active, autostart=autostart, used_by=used_by)


def refused_start(error: Exception) -> AlreadyExists | Conflict | None:
    """What libvirt means when a network does not start; it has one code for all of it."""
    text = str(error)
    if "failed to create listening socket" in text or "Address already in use" in text:
        return Conflict("Another DNS or DHCP server of the host listens on these addresses already.", text)
    if "already in use" in text:
        device = text.rpartition("by interface ")[2].strip() if "by interface " in text else ""
        by = f", by “{device}”" if device else ""
        return AlreadyExists(f"This range of addresses is in use on the host{by}.", text, field="cidr")
    if "accept_ra" in text:
        return Conflict("The host learns its own IPv6 routes from a router, which forwarding would cut off.", text)
    return None


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(f"“{name}”" for name in names[:3])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{shown}{more} {'is' if len(names) == 1 else 'are'}"


def _refuse_overlap(wish: NetworkWish, existing: Sequence[SeenNetwork]) -> None:
    """What the host itself has, libvirt finds out when a network starts: it does not tell addresses of devices."""
    for part, field in ((wish.first, "cidr"), (wish.second, "ipv6_cidr")):
        if part is None:
            continue
        for network in existing:
            if any(_overlap(part.cidr, cidr) for cidr in network.cidrs):
                raise AlreadyExists(f"The network “{network.name}” has these addresses already.", field=field)


def _overlap(first: str, second: str) -> bool:
    one, other = ipaddress.ip_network(first), ipaddress.ip_network(second)
    return one.version == other.version and one.overlaps(other)
