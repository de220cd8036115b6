"""From a wish for a network to its document, in libvirt's words: every choice and every refusal of values. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from providers.base import Conflict, DnsHost, InvalidRequest, NetworkMode, NetworkSpec, StaticLease
from providers.kvm.design import check_name
from providers.kvm.network_addresses import (
    address_range,
    as_it_was,
    checked_address,
    checked_host_name,
    first_range,
    is_host_name,
    lease_of,
)
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
        uuid=before.uuid if before is not None else spec.portal_uuid,
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
    is_new = before is None or spec.forward_device != before.device
    if spec.forward_device and is_new and host.lacks(spec.forward_device):
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


# -- addresses and names -----------------------------------------------------------------------------------------------


def _ranges(spec: NetworkSpec, before: SeenNetwork | None) -> tuple[Range | None, Range | None]:
    first = first_range(spec, before) if spec.cidr else None
    if not spec.ipv6_cidr:
        return first, None
    second = address_range(spec.ipv6_cidr, dhcp=spec.dhcp, field="ipv6_cidr")
    if second.host.version != 6:
        raise InvalidRequest("This is no range of IPv6, such as fd00:db8::/64.", field="ipv6_cidr")
    if first is not None and first.host.version == 6:
        raise InvalidRequest("The first range is one of IPv6 already.", field="ipv6_cidr")
    return first, as_it_was(second, spec, before)


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


def _domain(text: str) -> str:
    if text and not is_host_name(text):
        raise InvalidRequest("This is no name of a domain.", field="domain")
    return text
