"""Writing documents of networks: a new one is an empty one that was edited.

What an editor does not know stays as it is, and what does not change is not written anew: administrators put things
there that the portal has no words for (ports of NAT, extra routes, options of dnsmasq).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address

from lxml import etree

from providers.base import DnsHost, StaticLease
from providers.kvm.xml.build import Element, add, node, write
from providers.kvm.xml.networks import (
    NAMESPACE,
    NOTE,
    PREFIX,
    NetworkNote,
    Range,
    dns_host_of,
    lease_of,
    range_of,
    seen_network,
)

#: Elements that stand before those that an edit puts in, in the order in which libvirt writes them.
_BEFORE = ("name", "uuid", "metadata", "forward", "bridge", "mac", "mtu", "domain", "dns", "vlan", "virtualport")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkWish:
    """A network as it should be, in libvirt's words."""

    name: str
    uuid: str = ""
    forward: str = ""
    device: str = ""
    """What traffic is let out by; what cards sit on, when `forward` is "bridge" and there is no bridge."""
    bridge: str = ""
    """An existing bridge of the host when `forward` is "bridge", else the new one's name."""
    is_ovs: bool = False
    vlan: int | None = None
    mtu: int | None = None
    domain: str = ""
    first: Range | None = None
    second: Range | None = None
    """One of IPv6, beside a first of IPv4."""
    leases: tuple[StaticLease, ...] | None = None
    """None: those that there are, as far as their addresses are still in the ranges."""
    dns_hosts: tuple[DnsHost, ...] | None = None
    note: NetworkNote = field(default_factory=NetworkNote)


def network_document(
    *, name: str, uuid: str = "", forward: str = "", bridge: str = "", domain: str = "", ranges: tuple[Range, ...] = ()
) -> str:
    """A plain new network."""
    first, second = (*ranges, None, None)[:2]
    wish = NetworkWish(name=name, uuid=uuid, forward=forward, bridge=bridge, domain=domain, first=first, second=second)
    return write(new(wish))


def new(wish: NetworkWish) -> Element:
    root = node("network")
    add(root, "name", wish.name)
    if wish.uuid:
        add(root, "uuid", wish.uuid)
    edit(root, wish)
    return root


def edit(root: Element, wish: NetworkWish) -> None:
    """Make the document say what is wished, and leave everything else in it alone. The name is not touched."""
    before = seen_network(root)
    _note(root, wish.note)
    if (before.forward, before.device) != (wish.forward, wish.device):
        _forward(root, wish)
    if wish.bridge != seen_network(root).bridge:
        _attribute(root, "bridge", "name", wish.bridge)
    if wish.mtu != before.mtu:
        _attribute(root, "mtu", "size", None if wish.mtu is None else str(wish.mtu))
    if wish.domain != before.domain:
        _attribute(root, "domain", "name", wish.domain)
        if wish.domain and not before.domain:
            _child(root, "domain").set("localOnly", "yes")
    if (wish.vlan, wish.is_ovs) != (before.vlan, before.is_ovs):
        _switch(root, wish)
    # The first of a family is the one that specs speak of; more of them are the administrator's own.
    old_first = next((ip for version in (4, 6) for ip in _of_family(root, version)), None)
    old_second = next(iter(_of_family(root, 6)), None)
    if old_second is old_first:
        old_second = None
    _range(root, old_first, wish.first)
    _range(root, old_second, wish.second)
    if wish.forward == "nat" and not any(part.host.version == 6 for part in before.ranges):
        _nat6(root, wish)
    _leases(root, wish.leases)
    if wish.dns_hosts is not None:
        _dns(root, wish.dns_hosts)


# -- where it leads ----------------------------------------------------------------------------------------------------


def _forward(root: Element, wish: NetworkWish) -> None:
    old = root.find("forward")
    if not wish.forward:
        _drop(old)
        return
    forward = _child(root, "forward")
    if (forward.get("mode") or "nat") != wish.forward:
        # Ports of NAT, pools of virtual functions: they belong to the mode.
        forward.clear()
    forward.set("mode", wish.forward)
    for child in forward.findall("interface"):
        forward.remove(child)
    if "dev" in forward.attrib:
        del forward.attrib["dev"]
    if wish.device and wish.forward == "bridge":
        add(forward, "interface", dev=wish.device)
    elif wish.device:
        forward.set("dev", wish.device)
    if wish.forward == "bridge":
        for tag in ("bridge", "mac", "mtu", "domain", "dns", "ip"):
            for element in root.findall(tag):
                root.remove(element)


def _nat6(root: Element, wish: NetworkWish) -> None:
    """NAT is NAT for both families: without this libvirt would route the new one (since 6.5)."""
    if any(part is not None and part.host.version == 6 for part in (wish.first, wish.second)):
        forward = _child(root, "forward")
        nat = forward.find("nat")
        (add(forward, "nat") if nat is None else nat).set("ipv6", "yes")


def _switch(root: Element, wish: NetworkWish) -> None:
    for tag in ("vlan", "virtualport"):
        _drop(root.find(tag))
    if wish.vlan is not None:
        add(_child(root, "vlan"), "tag", id=wish.vlan)
    if wish.is_ovs:
        _child(root, "virtualport").set("type", "openvswitch")


# -- addresses ---------------------------------------------------------------------------------------------------------


def _of_family(root: Element, version: int) -> Iterable[Element]:
    return [ip for ip in root.iterfind("ip") if (found := range_of(ip)) is not None and found.host.version == version]


def _range(root: Element, old: Element | None, wanted: Range | None) -> None:
    if wanted is None:
        _drop(old)
        return
    before = range_of(old) if old is not None else None
    if old is None or before is None:
        old = etree.SubElement(root, "ip")
    if before is None or before.cidr != wanted.cidr:
        old.clear()
        if wanted.host.version == 6:
            old.set("family", "ipv6")
        old.set("address", str(wanted.host.ip))
        old.set("prefix", str(wanted.host.network.prefixlen))
        before = None
    if before is not None and (before.first, before.last) == (wanted.first, wanted.last):
        return
    for each in old.findall("dhcp/range"):
        _drop(each)
    dhcp = old.find("dhcp")
    if not wanted.first:
        _drop(dhcp)
        return
    if dhcp is None:
        dhcp = add(old, "dhcp")
    dhcp.insert(0, node("range", start=wanted.first, end=wanted.last))


def _leases(root: Element, wanted: tuple[StaticLease, ...] | None) -> None:
    if wanted is None:
        return
    missing = list(wanted)
    for host in root.findall("ip/dhcp/host"):
        known = lease_of(host)
        if known in missing:
            missing.remove(known)
        elif known.mac and known.address:
            _drop(host)
    for lease in missing:
        dhcp = root.findall("ip")[ip_index(root, lease.address)].find("dhcp")
        if dhcp is not None:
            dhcp.append(lease_element(lease))


def ip_index(root: Element, address: str) -> int:
    """Which <ip> an address belongs to; raises LookupError when it is in none."""
    for index, ip in enumerate(root.iterfind("ip")):
        found = range_of(ip)
        if found is not None and ip_address(address) in found.host.network:
            return index
    raise LookupError(address)


def lease_element(lease: StaticLease) -> Element:
    return node("host", mac=lease.mac, name=lease.name or None, ip=lease.address)


def dns_element(host: DnsHost) -> Element:
    element = node("host", ip=host.address)
    for name in host.names:
        add(element, "hostname", name)
    return element


def _dns(root: Element, wanted: tuple[DnsHost, ...]) -> None:
    missing = list(wanted)
    for host in root.findall("dns/host"):
        known = dns_host_of(host)
        if known in missing:
            missing.remove(known)
        else:
            _drop(host)
    if missing:
        dns = _child(root, "dns")
        for each in missing:
            dns.append(dns_element(each))


# -- the portal's own element ------------------------------------------------------------------------------------------


def _note(root: Element, note: NetworkNote) -> None:
    if seen_network(root).note == note:
        return
    metadata = _child(root, "metadata")
    _drop(metadata.find(NOTE))
    if note != NetworkNote():
        element = etree.SubElement(metadata, NOTE, nsmap={PREFIX: NAMESPACE})
        if note.plan:
            add(element, f"{{{NAMESPACE}}}plan", note.plan)
        if note.device:
            element.set("device", note.device)
        if note.vlan is not None:
            element.set("vlan", str(note.vlan))
    if not len(metadata):
        root.remove(metadata)


# -- small steps -------------------------------------------------------------------------------------------------------


def _child(root: Element, tag: str) -> Element:
    """The child of this name, made in its usual place when there is none."""
    found = root.find(tag)
    if found is not None:
        return found
    earlier = _BEFORE[: _BEFORE.index(tag)]
    index = max((place + 1 for place, child in enumerate(root) if child.tag in earlier), default=0)
    made = etree.Element(tag)
    root.insert(index, made)
    return made


def _attribute(root: Element, tag: str, name: str, value: str | None) -> None:
    if value:
        _child(root, tag).set(name, value)
    else:
        _drop(root.find(tag))


def _drop(element: Element | None) -> None:
    if element is not None and (parent := element.getparent()) is not None:
        parent.remove(element)
