"""Arithmetic of address ranges: what a person typed, what follows from it, what is taken and what is free."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

AnyNetwork = IPv4Network | IPv6Network
AnyAddress = IPv4Address | IPv6Address

#: DHCP servers keep one record an address, and nobody has more machines in one network.
MOST_DHCP = 65_000
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


class BadRange(ValueError):
    """What was typed is no range; the message is a sentence for the person."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A range that a network has."""

    name: str
    cidr: str


def read_range(text: str, *, version: int = 4) -> AnyNetwork:
    """The range, in its canonical form; raises BadRange with what to do instead."""
    text = text.strip()
    example = "10.20.30.0/24" if version == 4 else "fd00:20:30::/64"
    if "/" not in text:
        raise BadRange(f"Give the range with its prefix length, such as {example}.")
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        raise BadRange(f"This is no address range; give one such as {example}.") from None
    if found.version != version:
        raise BadRange(f"Give a range of IPv{version}, such as {example}.")
    if found != _strict(text):
        raise BadRange(f"“{text}” is an address inside a range; the range is {found}.")
    _refuse_special(found)
    return found


def _strict(text: str) -> AnyNetwork | None:
    try:
        return ip_network(text)
    except ValueError:
        return None


def _refuse_special(found: AnyNetwork) -> None:
    if found.is_loopback or found.is_multicast or found.is_link_local or found.is_unspecified:
        raise BadRange("These addresses have a meaning of their own; take a private range.")
    most = 29 if found.version == 4 else 120
    if found.prefixlen > most:
        raise BadRange(f"It is too small for a network: /{most} at least.")
    if found.version == 4 and found.prefixlen < 8:
        raise BadRange("It is larger than any private range.")
    if found.version == 6 and found.prefixlen < 16:
        raise BadRange("It is too large.")


def gateway_of(network: AnyNetwork) -> AnyAddress:
    """The host's own address in it, by custom the first."""
    return network[1]


def dhcp_range(network: AnyNetwork) -> tuple[AnyAddress, AnyAddress]:
    """What DHCP gives out when nobody says otherwise: all but the first, and not more than anybody needs."""
    last = min(network.num_addresses - 2, MOST_DHCP)
    return network[2], network[last]


def read_address(text: str) -> AnyAddress:
    try:
        return ip_address(text.strip())
    except ValueError:
        raise BadRange("This is no address.") from None


def read_mac(text: str) -> str:
    """A MAC in the form that providers tell it; raises BadRange."""
    found = text.strip().lower().replace("-", ":")
    if not _MAC.fullmatch(found):
        raise BadRange("A MAC address looks like 52:54:00:12:34:56.")
    if int(found[:2], 16) & 1:
        raise BadRange("This is a multicast address, which no card has.")
    return found


def check_dhcp(network: AnyNetwork, start: str, end: str) -> tuple[AnyAddress, AnyAddress]:
    """The ends of a DHCP range inside the network; raises BadRange."""
    first, last = read_address(start), read_address(end)
    if isinstance(first, IPv4Address) and isinstance(last, IPv4Address) and isinstance(network, IPv4Network):
        if first not in network or last not in network:
            raise BadRange(f"It must lie inside {network}.")
        if first > last:
            raise BadRange("It ends before it begins.")
        if int(first) <= int(gateway_of(network)) <= int(last):
            raise BadRange(f"{gateway_of(network)} is the gateway's own; begin after it.")
        if last == network.broadcast_address:
            raise BadRange(f"{last} is the broadcast address; end before it.")
        return first, last
    raise BadRange("Give addresses of IPv4.")


def overlap(network: AnyNetwork, taken: Iterable[Taken]) -> Taken | None:
    """The first range that has addresses in common with `network`."""
    for other in taken:
        found = _strict(other.cidr) or ip_network(other.cidr, strict=False)
        if found.version == network.version and found.overlaps(network):
            return other
    return None


def free_range(taken: Iterable[Taken]) -> str:
    """A private /24 that nothing known has; empty when all that are tried are taken."""
    known = [one for one in taken if ":" not in one.cidr]
    candidates = [f"192.168.{third}.0/24" for third in range(130, 250)]
    candidates += [f"10.{second}.0.0/24" for second in range(50, 250)]
    return next((text for text in candidates if overlap(ip_network(text), known) is None), "")


def free_address(network: AnyNetwork, used: Iterable[str]) -> str:
    """The first address after the gateway that nobody has, among the first few hundred; empty when there is none."""
    busy = {str(one) for one in used}
    last = min(network.num_addresses - 2, 1000)
    return next((str(network[i]) for i in range(2, last + 1) if str(network[i]) not in busy), "")


def count_words(network: AnyNetwork) -> str:
    """What fits into it: "253 machines"."""
    return f"room for {network.num_addresses - 3:,} machines".replace(",", " ")
