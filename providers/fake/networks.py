"""Networks of a simulated cloud: ranges are checked, overlaps refused, an empty range is chosen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from providers.base import (
    AlreadyExists,
    Conflict,
    EventTopic,
    InvalidRequest,
    LeaseRecord,
    NetworkMode,
    NetworkRecord,
    Networks,
    NetworkSpec,
    NotFound,
    StaticLease,
)
from providers.fake.addresses import checked_range, refuse_overlap
from providers.fake.cloud import Part
from providers.fake.records import moment, network_record
from providers.fake.state import Network, Subnet, Vm
from providers.fake.store import Transaction

MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
#: How long an address is given out for.
LEASE_S = 3600.0


def users(tx: Transaction, network: Network) -> list[Vm]:
    return [vm for vm in tx.all(Vm) if any(nic.network == network.id for nic in vm.nics)]


def chosen_range(tx: Transaction, spec: NetworkSpec) -> str:
    """The wanted range if it is free, the first free one where none is wanted; bridges need none."""
    others = [other for other in tx.all(Network) if other.name != spec.name]
    if spec.cidr:
        if checked_range(spec.cidr).num_addresses < 4:
            raise InvalidRequest(f"The range {spec.cidr} is too small.", field="cidr")
        refuse_overlap(spec.cidr, others)
        return spec.cidr
    if spec.mode is NetworkMode.BRIDGE:
        return ""
    for third in range(256):
        try:
            refuse_overlap(cidr := f"10.77.{third}.0/24", others)
        except AlreadyExists:
            continue
        return cidr
    raise InvalidRequest("No range was given, and none is free.", field="cidr")


def _fill(tx: Transaction, network: Network, spec: NetworkSpec) -> None:
    """What a spec says beside name, mode and range."""
    first, last = spec.dhcp_start, spec.dhcp_end
    if network.cidr and network.dhcp:
        inside = ip_network(network.cidr)
        old = [each for each in (network.dhcp_start, network.dhcp_end) if each and ip_address(each) in inside]
        first, last = first or (old and old[0]) or "", last or (old and old[-1]) or ""
        for field, text in (("dhcp_start", first), ("dhcp_end", last)):
            if text and _address(text, field) not in inside:
                raise InvalidRequest(f"The address {text} is not in the range {network.cidr}.", field=field)
        if first and last and int(ip_address(first)) > int(ip_address(last)):
            raise InvalidRequest("The first address comes after the last.", field="dhcp_end")
    if spec.ipv6_cidr and checked_range(spec.ipv6_cidr, "ipv6_cidr").version != 6:
        raise InvalidRequest(f"“{spec.ipv6_cidr}” is no range of IPv6.", field="ipv6_cidr")
    network.dhcp_start, network.dhcp_end = first, last
    network.ipv6_cidr = spec.ipv6_cidr
    network.forward_device, network.vlan, network.mtu = spec.forward_device, spec.vlan, spec.mtu
    if spec.leases is not None:
        network.kept = []
        for lease in spec.leases:
            _keep(network, lease)
    if spec.dns_hosts is not None:
        network.dns_hosts = list(spec.dns_hosts)


def _keep(network: Network, lease: StaticLease) -> None:
    if not network.cidr or not network.dhcp:
        raise Conflict(f"“{network.name}” gives out no addresses.")
    if _address(lease.address, "address") not in ip_network(network.cidr):
        raise InvalidRequest(f"The address {lease.address} is not in the range {network.cidr}.", field="address")
    if not MAC.fullmatch(lease.mac.lower()):
        raise InvalidRequest(f"“{lease.mac}” is no MAC address.", field="mac")
    mine = replace(lease, mac=lease.mac.lower())
    others = [each for each in network.kept if each.mac != mine.mac]
    if any(each.address == mine.address for each in others):
        raise AlreadyExists(f"The address {mine.address} is kept for another card.", field="address")
    if mine.name and any(each.name == mine.name for each in others):
        raise AlreadyExists(f"The name “{mine.name}” is kept for another card.", field="name")
    network.kept = [*others, mine]


def _give(tx: Transaction, network: Network, lease: StaticLease) -> None:
    network.leases[lease.mac.lower()] = lease.address
    for vm in users(tx, network):
        for nic in vm.nics:
            if nic.mac == lease.mac.lower() and not nic.is_fixed:
                nic.address = lease.address
                tx.put(vm)
                tx.note(EventTopic.VM, vm.id, "addresses")


def _address(text: str, field: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError:
        raise InvalidRequest(f"“{text}” is not an address.", field=field) from None


class FakeNetworks(Part, Networks):
    def list(self) -> Sequence[NetworkRecord]:
        with self.cloud.reading("networks.list") as tx:
            return [network_record(network) for network in tx.all(Network)]

    def get(self, external_id: str) -> NetworkRecord:
        with self.cloud.reading("networks.get") as tx:
            network = tx.get(Network, external_id)
            return network_record(network, tuple(vm.id for vm in users(tx, network)))

    def create(self, spec: NetworkSpec) -> NetworkRecord:
        with self.cloud.writing("networks.create") as tx:
            same = tx.named(Network, spec.name)
            if same is not None and spec.portal_uuid and same.portal_uuid == spec.portal_uuid and not users(tx, same):
                # An attempt at the same wish died on its way.
                tx.drop(same)
            elif same is not None:
                raise AlreadyExists(f"There is a network “{spec.name}” already.", field="name")
            cidr = chosen_range(tx, spec)
            number = tx.next_number("network")
            network = Network(
                id=f"net-{number}",
                name=spec.name,
                mode=spec.mode,
                cidr=cidr,
                dhcp=spec.dhcp and bool(cidr),
                domain=spec.domain,
                bridge=spec.bridge or f"fakebr{number}",
                autostart=spec.autostart,
                plan=spec.plan,
                portal_uuid=spec.portal_uuid,
            )
            _fill(tx, network, spec)
            tx.put(network)
            tx.note(EventTopic.NETWORK, network.id, "created")
            return network_record(network)

    def update(self, external_id: str, spec: NetworkSpec) -> NetworkRecord:
        """The spec replaces the network; a range or mode in use stays."""
        with self.cloud.writing("networks.update") as tx:
            network = tx.get(Network, external_id)
            other = tx.named(Network, spec.name)
            if other is not None and other.id != network.id:
                raise AlreadyExists(f"There is a network “{spec.name}” already.", field="name")
            cidr = network.cidr if spec.cidr in ("", network.cidr) else chosen_range(tx, spec)
            if (cidr, spec.mode) != (network.cidr, network.mode) and users(tx, network):
                raise Conflict("VMs are plugged in; its range and mode cannot change.")
            network.name, network.mode, network.cidr = spec.name, spec.mode, cidr
            network.dhcp, network.domain = spec.dhcp and bool(cidr), spec.domain
            network.autostart, network.plan = spec.autostart, spec.plan
            network.bridge = spec.bridge or network.bridge
            _fill(tx, network, spec)
            tx.put(network)
            tx.note(EventTopic.NETWORK, network.id, "changed")
            return network_record(network)

    def set_active(self, external_id: str, active: bool) -> NetworkRecord:
        with self.cloud.writing("networks.set_active") as tx:
            network = tx.get(Network, external_id)
            on = [vm for vm in users(tx, network) if not vm.is_stopped]
            if not active and on:
                raise Conflict(f"“{on[0].name}” is running in this network.")
            network.is_active = active
            return self._changed(tx, network)

    def leases(self, external_id: str) -> Sequence[LeaseRecord]:
        with self.cloud.reading("networks.leases") as tx:
            network = tx.get(Network, external_id)
            kept = {each.mac: each for each in network.kept}
            given = {mac: address for mac, address in network.leases.items() if network.dhcp}
            names = {nic.mac: vm.name for vm in users(tx, network) for nic in vm.nics}
            asked = moment(tx.now + LEASE_S)
            rows = [
                LeaseRecord(
                    mac=mac,
                    address=address,
                    hostname=names.get(mac, ""),
                    expires_at=asked,
                    is_static=mac in kept and kept[mac].address == address,
                )
                for mac, address in given.items()
            ]
            rows += [
                LeaseRecord(mac=each.mac, address=each.address, hostname=each.name, is_static=True)
                for each in network.kept
                if given.get(each.mac) != each.address
            ]
            return sorted(rows, key=lambda row: ip_address(row.address))

    def reserve(self, external_id: str, lease: StaticLease) -> NetworkRecord:
        """A card that is plugged in has it from its next request on, which is at once."""
        with self.cloud.writing("networks.reserve") as tx:
            network = tx.get(Network, external_id)
            _keep(network, lease)
            if lease.mac.lower() in network.leases:
                _give(tx, network, lease)
            return self._changed(tx, network)

    def release(self, external_id: str, mac: str) -> NetworkRecord:
        with self.cloud.writing("networks.release") as tx:
            network = tx.get(Network, external_id)
            if not any(each.mac == mac.lower() for each in network.kept):
                raise NotFound("No address is kept for this card.")
            network.kept = [each for each in network.kept if each.mac != mac.lower()]
            return self._changed(tx, network)

    @staticmethod
    def _changed(tx: Transaction, network: Network) -> NetworkRecord:
        tx.put(network)
        tx.note(EventTopic.NETWORK, network.id, "changed")
        return network_record(network, tuple(vm.id for vm in users(tx, network)))

    def delete(self, external_id: str, *, force: bool = False) -> None:
        """With `force` the cards of its VMs are pulled out first."""
        with self.cloud.writing("networks.delete") as tx:
            network = tx.get(Network, external_id)
            plugged = users(tx, network)
            if plugged and not force:
                raise Conflict(f"“{plugged[0].name}” is plugged into this network.")
            for vm in plugged:
                vm.nics = [nic for nic in vm.nics if nic.network != network.id]
                tx.put(vm)
                tx.note(EventTopic.VM, vm.id, "card removed")
            for subnet in tx.all(Subnet):
                if subnet.network == network.id:
                    tx.drop(subnet)
            tx.drop(network)
            tx.note(EventTopic.NETWORK, network.id, "deleted", gone=True)
