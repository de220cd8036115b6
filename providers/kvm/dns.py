"""DNS: the names that the servers of libvirt's own networks answer. A zone is a network, called by its domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from providers.base import AlreadyExists, Conflict, Dns, DnsHost, DnsRecord, DnsSpec, InvalidRequest, NotFound
from providers.kvm import network_updates
from providers.kvm.errors import still_there, vendor_calls
from providers.kvm.network_addresses import checked_address, checked_host_name
from providers.kvm.part import Part
from providers.kvm.xml.networks import SeenNetwork, read_network

#: What an entry of libvirt's can say; aliases are further names of the same address.
TYPES = frozenset({"A", "AAAA"})

#: dnsmasq gives its own entries no time to live.
_TTL_S = 0


class KvmDns(Part, Dns):
    def zones(self) -> Sequence[str]:
        with vendor_calls():
            return sorted({_zone(seen) for _, seen in self._networks()})

    def list(self, zone: str) -> Sequence[DnsRecord]:
        with vendor_calls():
            _, seen = self._of(zone)
            rows = [_record(name, host.address) for host in seen.dns_hosts for name in host.names]
            return sorted(rows, key=lambda row: (row.name, row.type, row.data))

    def reserve(self, spec: DnsSpec, *, force: bool = False) -> DnsRecord:
        if spec.type not in TYPES:
            raise InvalidRequest("The networks of this hypervisor have addresses only (A, AAAA).", field="type")
        address, name = checked_address(spec.data, "data"), checked_host_name(spec.name, "name")
        if _record(name, address).type != spec.type:
            raise InvalidRequest(f"“{address}” does not fit a record of type {spec.type}.", field="data")
        with vendor_calls():
            network, seen = self._of(spec.zone)
            same = [host for host in seen.dns_hosts if name in host.names and _type(host.address) == spec.type]
            if same and not force:
                raise AlreadyExists(f"“{name}” has a record of type {spec.type} already.", field="name")
            if any(host.address == address for host in same) and len(same) == 1:
                return _record(name, address)
            for host in same:
                network_updates.replace_names(network, host, _without(host, name))
            # Read again: libvirt has one entry for an address, and the last step may have changed that one.
            seen = read_network(network.XMLDesc(0))
            old = next((host for host in seen.dns_hosts if host.address == address), None)
            names = (*old.names, name) if old is not None else (name,)
            network_updates.replace_names(network, old, DnsHost(address=address, names=names))
            return _record(name, address)

    def delete(self, zone: str, name: str, *, all_entries: bool = False) -> None:
        """The name, and with `all_entries` those below it."""
        with vendor_calls():
            network, seen = self._of(zone)
            found = False
            for host in seen.dns_hosts:
                gone = {each for each in host.names if each == name or (all_entries and each.endswith(f".{name}"))}
                if gone:
                    found = True
                    network_updates.replace_names(network, host, _without(host, *gone))
            if not found:
                raise NotFound(f"There is no record “{name}” in the zone “{zone}”.")

    def _networks(self) -> Sequence[tuple[Any, SeenNetwork]]:
        raws = self.raw.listAllNetworks(0)
        found = still_there(raws, lambda network: (network, read_network(network.XMLDesc(0))))
        return [(network, seen) for network, seen in found if seen.has_dns]

    def _of(self, zone: str) -> tuple[Any, SeenNetwork]:
        """The network with this domain or name; raises NotFound, Conflict for a domain that several networks have."""
        networks = self._networks()
        found = [pair for pair in networks if _zone(pair[1]) == zone]
        found = found or [pair for pair in networks if pair[1].name == zone]
        if len(found) > 1:
            raise Conflict(f"{len(found)} networks have the domain “{zone}”; say which by its name.", field="zone")
        if not found:
            raise NotFound(f"No network has the domain “{zone}”.", field="zone")
        return found[0]


def _zone(seen: SeenNetwork) -> str:
    return seen.domain or seen.name


def _without(host: DnsHost, *names: str) -> DnsHost | None:
    left = tuple(name for name in host.names if name not in names)
    return DnsHost(address=host.address, names=left) if left else None


def _type(address: str) -> str:
    return "AAAA" if ":" in address else "A"


def _record(name: str, address: str) -> DnsRecord:
    return DnsRecord(name=name, type=_type(address), ttl_s=_TTL_S, data=address)
