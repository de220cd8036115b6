"""From a wish for a network to its document, in libvirt's words: every choice and every refusal of values. No I/O."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from providers.base import AlreadyExists, Conflict, DnsHost, InvalidRequest, NetworkMode, NetworkSpec, StaticLease
from providers.kvm.design import check_name
from providers.kvm.xml.network_edit import NetworkWish
from providers.kvm.xml.networks import NetworkNote, Range, SeenInterface, SeenNetwork

MODES: Mapping[str, NetworkMode] = {
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
_DEVICE = re.compile(r"[^/\s\x00-\x1f]{1,15}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*")
#: dnsmasq keeps every address that it may give out; more than a few thousand leases serve nobody.
_MOST_LEASES = 65_000
#: Since this version libvirt sets VLAN tags on Linux bridges too (news of libvirt 11.0.0).
TAGS_ON_LINUX_BRIDGES = 11_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HostNetworking:
    """What the host has, as far as libvirt tells. `interfaces` is None where it does not tell at all."""

    interfaces: Sequence[SeenInterface] | None
    libvirt: int = 0

    def called(self, name: str) -> SeenInterface | None:
        return next((each for each in self.interfaces or () if each.name == name), None)

    def lacks(self, name: str) -> bool:
        return self.interfaces is not None and self.called(name) is None


def wish_of(spec: NetworkSpec, host: HostNetworking, before: SeenNetwork | None = None) -> NetworkWish:
    """What the network becomes; `before` is what it is. Raises InvalidRequest with its field, Conflict for a VLAN's
    device that the host lacks.
    """
    check_name(spec.name)
    forward = _forward(spec, before)
    for field, name in (("bridge", spec.bridge), ("forward_device", spec.forward_device)):
        if name and not _DEVICE.fullmatch(name):
            raise InvalidRequest("This is no name for a device of the host.", field=field)
    wish = NetworkWish(
        name=spec.name,
        uuid=before.uuid if before is not None else "",
        forward=forward,
        device=spec.forward_device,
        bridge=spec.bridge,
        mtu=spec.mtu,
        note=NetworkNote(plan=spec.plan),
    )
    if MODES[forward] is NetworkMode.BRIDGE:
        return _bridged(spec, host, wish, before)
    if spec.vlan is not None:
        raise InvalidRequest("Only a network that leads to a bridge or a device of the host has a VLAN.", field="vlan")
    if not forward and spec.forward_device:
        raise InvalidRequest("An isolated network leads to no device.", field="forward_device")
    if spec.forward_device and host.lacks(spec.forward_device):
        raise InvalidRequest(f"The host has no device “{spec.forward_device}”.", field="forward_device")
    has_none = before is not None and not before.ranges and before.forward == forward
    if not spec.cidr and (spec.ipv6_cidr or (forward and not has_none)):
        raise InvalidRequest("Give a range of addresses, such as 192.0.2.0/24.", field="cidr")
    first, second = _ranges(spec, before)
    was_bridged = before is not None and MODES.get(before.forward) is NetworkMode.BRIDGE
    ranges = [part for part in (first, second) if part is not None]
    return replace(
        wish,
        bridge=spec.bridge or (before.bridge if before is not None and not was_bridged else ""),
        domain=_domain(spec.domain),
        first=first,
        second=second,
        leases=_leases(spec, before, ranges),
        dns_hosts=_dns_hosts(spec.dns_hosts, ranges),
    )


def _forward(spec: NetworkSpec, before: SeenNetwork | None) -> str:
    """libvirt's word for the mode; of several the one that it has by now."""
    if before is not None and MODES.get(before.forward) is spec.mode:
        return before.forward
    forward = _FORWARDS.get(spec.mode)
    if forward is None:
        raise InvalidRequest(f"The hypervisor makes no networks of mode “{spec.mode}”.", field="mode")
    return forward


# -- bridges, devices and VLANs ----------------------------------------------------------------------------------------


def _bridged(spec: NetworkSpec, host: HostNetworking, wish: NetworkWish, before: SeenNetwork | None) -> NetworkWish:
    refused: Mapping[str, object] = {
        "cidr": spec.cidr,
        "ipv6_cidr": spec.ipv6_cidr,
        "dhcp_start": spec.dhcp_start,
        "dhcp_end": spec.dhcp_end,
        "domain": spec.domain,
        "leases": spec.leases,
        "dns_hosts": spec.dns_hosts,
    }
    for field, value in refused.items():
        if value:
            raise InvalidRequest("Behind a bridge the outer network gives addresses and names.", field=field)
    if spec.mtu is not None:
        raise InvalidRequest("Behind a bridge the host's device sets the MTU.", field="mtu")
    if bool(spec.bridge) == bool(spec.forward_device):
        raise InvalidRequest("Name the bridge of the host that it leads to, or a device, and not both.", field="bridge")
    if before is not None and (spec.bridge, spec.forward_device, spec.vlan) == _leads_to(before):
        # Also a bridge that is gone by now: changing something else must not fail for that.
        return replace(
            wish,
            device=before.device,
            bridge=before.bridge,
            vlan=before.vlan,
            is_ovs=before.is_ovs,
            note=replace(before.note, plan=spec.plan),
        )
    field, name = ("bridge", spec.bridge) if spec.bridge else ("forward_device", spec.forward_device)
    if host.lacks(name):
        what = "bridge" if spec.bridge else "device"
        raise InvalidRequest(f"The host has no {what} “{name}”.", field=field)
    if spec.vlan is None:
        return wish
    return _tagged(spec, host, wish)


def _tagged(spec: NetworkSpec, host: HostNetworking, wish: NetworkWish) -> NetworkWish:
    """A VLAN: a tag set by Open vSwitch, or the VLAN device that the administrator made on the host's device."""
    if spec.bridge:
        found = host.called(spec.bridge)
        if found is not None and found.type == "bridge":
            if host.libvirt < TAGS_ON_LINUX_BRIDGES:
                raise InvalidRequest(
                    "This hypervisor sets no VLAN tags on a Linux bridge; name a device of the host, or use a bridge "
                    "of Open vSwitch.",
                    field="vlan",
                )
            return replace(wish, vlan=spec.vlan)
        return replace(wish, vlan=spec.vlan, is_ovs=True)
    for each in host.interfaces or ():
        if (each.parent, each.vlan) == (spec.forward_device, spec.vlan):
            note = replace(wish.note, device=spec.forward_device, vlan=spec.vlan)
            return replace(wish, device=each.name, note=note)
    raise Conflict(
        f"The host has no device for VLAN {spec.vlan} on “{spec.forward_device}”; its administrator must make one.",
        field="vlan",
    )


def _leads_to(seen: SeenNetwork) -> tuple[str, str, int | None]:
    return seen.bridge, seen.note.device or seen.device, seen.vlan or seen.note.vlan


# -- addresses ---------------------------------------------------------------------------------------------------------


def _ranges(spec: NetworkSpec, before: SeenNetwork | None) -> tuple[Range | None, Range | None]:
    first = _first(spec, before) if spec.cidr else None
    if not spec.ipv6_cidr:
        return first, None
    second = address_range(spec.ipv6_cidr, dhcp=spec.dhcp, field="ipv6_cidr")
    if second.host.version != 6:
        raise InvalidRequest("This is no range of IPv6, such as fd00:db8::/64.", field="ipv6_cidr")
    if first is not None and first.host.version == 6:
        raise InvalidRequest("The first range is one of IPv6 already.", field="ipv6_cidr")
    return first, _as_it_was(second, spec, before)


def _as_it_was(part: Range, spec: NetworkSpec, before: SeenNetwork | None) -> Range:
    """A range that stays keeps the host's own address, and what DHCP does there unless that is switched."""
    old = next((each for each in before.ranges if each.cidr == part.cidr), None) if before is not None else None
    if before is None or old is None:
        return part
    return old if before.dhcp == spec.dhcp else replace(part, host=old.host)


def _first(spec: NetworkSpec, before: SeenNetwork | None) -> Range:
    part = address_range(spec.cidr, dhcp=spec.dhcp)
    whole, part = part, _as_it_was(part, spec, before)
    if not spec.dhcp_start and not spec.dhcp_end:
        return part
    if not spec.dhcp:
        raise InvalidRequest("Without DHCP nothing is given out.", field="dhcp_start")
    first, last = spec.dhcp_start or part.first or whole.first, spec.dhcp_end or part.last or whole.last
    for field, text in (("dhcp_start", first), ("dhcp_end", last)):
        _inside(text, part, field)
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


def _inside(text: str, part: Range, field: str) -> None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as exc:
        raise InvalidRequest("This is no address, such as 192.0.2.7.", str(exc), field=field) from exc
    network = part.host.network
    edges = {network.network_address, network.broadcast_address} if network.version == 4 else set()
    if address not in network or address in edges:
        raise InvalidRequest(f"The address {text} is not in the range {part.cidr}.", field=field)


# -- kept addresses and names ------------------------------------------------------------------------------------------


def _leases(spec: NetworkSpec, before: SeenNetwork | None, ranges: Sequence[Range]) -> tuple[StaticLease, ...] | None:
    if spec.leases is None:
        if before is None or spec.dhcp:
            return None
        return ()
    checked: list[StaticLease] = []
    for lease in spec.leases:
        if not spec.dhcp:
            raise InvalidRequest("Without DHCP no addresses are kept.", field="leases")
        checked.append(lease_of(lease, ranges, checked, field="leases"))
    return tuple(checked)


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
    _inside(str(address), home, field or "address")
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


def _dns_hosts(hosts: Sequence[DnsHost] | None, ranges: Sequence[Range]) -> tuple[DnsHost, ...] | None:
    """One entry for each address, as libvirt demands."""
    if hosts is None:
        return None
    if hosts and not ranges:
        raise InvalidRequest("A network without a range of addresses has no DNS server.", field="dns_hosts")
    names: dict[str, list[str]] = {}
    for host in hosts:
        names.setdefault(checked_address(host.address, "dns_hosts"), []).extend(
            checked_host_name(name, "dns_hosts") for name in host.names
        )
    return tuple(DnsHost(address=address, names=tuple(dict.fromkeys(given))) for address, given in names.items())


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


def _domain(text: str) -> str:
    if text and not is_host_name(text):
        raise InvalidRequest("This is no name of a domain.", field="domain")
    return text
