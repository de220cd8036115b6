"""Ranges, addresses and names of a network: what is accepted, in the form in which libvirt takes it. No I/O."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import replace

from providers.base import AlreadyExists, InvalidRequest, NetworkSpec, StaticLease
from providers.kvm.xml.networks import Range, SeenNetwork

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*")
#: dnsmasq keeps every address that it may give out; more than a few thousand leases serve nobody.
_MOST_LEASES = 65_000


def as_it_was(part: Range, spec: NetworkSpec, before: SeenNetwork | None) -> Range:
    """A range that stays keeps the host's own address, and what DHCP does there unless that is switched."""
    old = next((each for each in before.ranges if each.cidr == part.cidr), None) if before is not None else None
    if before is None or old is None:
        return part
    return old if before.dhcp == spec.dhcp else replace(part, host=old.host)


def first_range(spec: NetworkSpec, before: SeenNetwork | None) -> Range:
    part = address_range(spec.cidr, dhcp=spec.dhcp)
    whole, part = part, as_it_was(part, spec, before)
    if not spec.dhcp_start and not spec.dhcp_end:
        return part
    if not spec.dhcp:
        raise InvalidRequest("Without DHCP nothing is given out.", field="dhcp_start")
    first, last = spec.dhcp_start or part.first or whole.first, spec.dhcp_end or part.last or whole.last
    for field, text in (("dhcp_start", first), ("dhcp_end", last)):
        demand_inside(text, part, field)
    count = int(ipaddress.ip_address(last)) - int(ipaddress.ip_address(first)) + 1
    if count < 1:
        raise InvalidRequest("The first address comes after the last.", field="dhcp_end")
    if count > _MOST_LEASES:
        raise InvalidRequest("DHCP gives out 65 000 addresses at most.", field="dhcp_end")
    return replace(part, first=first, last=last)


def address_range(cidr: str, *, dhcp: bool, field: str = "cidr") -> Range:
    """The host has the first address and DHCP gives out the others; raises InvalidRequest for a range too small."""
    try:
        network = ipaddress.ip_network(cidr, strict=True)
    except ValueError as exc:
        raise InvalidRequest("This is no range of addresses, such as 192.0.2.0/24.", str(exc), field=field) from exc
    if network.is_multicast or network.is_loopback or not network.prefixlen or network.num_addresses < 4:
        raise InvalidRequest("This range cannot be used for a network.", field=field)
    host = ipaddress.ip_interface(f"{network[1]}/{network.prefixlen}")
    if not dhcp:
        return Range(host=host)
    last = min(network.num_addresses - 2, _MOST_LEASES)
    return Range(host=host, first=str(network[2]), last=str(network[last]))


def demand_inside(text: str, part: Range, field: str) -> None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as exc:
        raise InvalidRequest("This is no address, such as 192.0.2.7.", str(exc), field=field) from exc
    network = part.host.network
    edges = {network.network_address, network.broadcast_address} if network.version == 4 else set()
    if address not in network or address in edges:
        raise InvalidRequest(f"The address {text} is not in the range {part.cidr}.", field=field)


def lease_of(
    lease: StaticLease, ranges: Sequence[Range], others: Sequence[StaticLease], field: str = ""
) -> StaticLease:
    """The lease as libvirt takes it. Raises InvalidRequest for a bad address or MAC, AlreadyExists when one of `others`
    has its address or name.
    """
    mac = lease.mac.lower()
    if not _MAC.fullmatch(mac) or int(mac[:2], 16) & 1:
        raise InvalidRequest("This is no MAC address of a card.", field=field or "mac")
    if lease.name and not is_host_name(lease.name):
        raise InvalidRequest("This is no host name.", field=field or "name")
    try:
        address = ipaddress.ip_address(lease.address)
    except ValueError as exc:
        raise InvalidRequest("This is no address, such as 192.0.2.7.", str(exc), field=field or "address") from exc
    if address.version == 6:
        # DHCPv6 knows guests by an identifier that only they themselves can tell.
        raise InvalidRequest("Only addresses of IPv4 can be kept for a card.", field=field or "address")
    home = next((part for part in ranges if address in part.host.network), None)
    if home is None:
        raise InvalidRequest(f"The address {address} is in no range of the network.", field=field or "address")
    demand_inside(str(address), home, field or "address")
    if address == home.host.ip:
        raise InvalidRequest(f"The address {address} is the network's own.", field=field or "address")
    made = StaticLease(mac=mac, address=str(address), name=lease.name)
    for other in others:
        if other.mac == made.mac and other.address == made.address:
            continue
        if other.address == made.address:
            raise AlreadyExists(f"The address {address} is kept for another card.", field=field or "address")
        if made.name and other.name == made.name:
            raise AlreadyExists(f"The name “{made.name}” is kept for another card.", field=field or "name")
    return made


def checked_address(text: str, field: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as exc:
        raise InvalidRequest("This is no address, such as 192.0.2.7.", str(exc), field=field) from exc


def checked_host_name(text: str, field: str) -> str:
    if not is_host_name(text):
        raise InvalidRequest(f"“{text}” is no host name.", field=field)
    return text


def is_host_name(text: str) -> bool:
    return bool(_HOST_NAME.fullmatch(text)) and len(text) <= 253
