"""Reading documents of networks (https://libvirt.org/formatnetwork.html); `network_edit` writes them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from providers.base import DnsHost, StaticLease
from providers.kvm.xml.build import Element, read, text_at

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

#: Of the portal's own element in a network's metadata. It is stored and never changes: a new shape gets a new number.
NAMESPACE = "urn:kvweb:network:1"
PREFIX = "kvweb"
NOTE = f"{{{NAMESPACE}}}network"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkNote:
    """What the portal writes into a network's metadata: what libvirt's own elements cannot tell."""

    plan: str = ""
    device: str = ""
    """The device that was asked for, where cards sit on its VLAN device in truth."""
    vlan: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """One family's addresses: the host's own, and what DHCP gives out between two more."""

    host: Interface
    first: str = ""
    last: str = ""

    @property
    def cidr(self) -> str:
        return str(self.host.network)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenNetwork:
    name: str
    uuid: str
    forward: str = ""
    """libvirt's word, empty for a network that leads nowhere."""
    device: str = ""
    """What traffic is let out by, or cards sit on."""
    bridge: str = ""
    ranges: tuple[Range, ...] = ()
    """In the order of the document, both families."""
    domain: str = ""
    leases: tuple[StaticLease, ...] = ()
    dns_hosts: tuple[DnsHost, ...] = ()
    has_dns: bool = True
    is_ovs: bool = False
    vlan: int | None = None
    mtu: int | None = None
    note: NetworkNote = field(default_factory=NetworkNote)

    @property
    def cidrs(self) -> tuple[str, ...]:
        return tuple(part.cidr for part in self.ranges)

    @property
    def dhcp(self) -> bool:
        return any(part.first for part in self.ranges) or bool(self.leases)


def read_network(text: str) -> SeenNetwork:
    return seen_network(read(text))


def seen_network(root: Element) -> SeenNetwork:
    forward = root.find("forward")
    tag = text_at(root, "vlan[not(@trunk='yes')]/tag[1]/@id")
    mtu = text_at(root, "mtu/@size")
    return SeenNetwork(
        name=root.findtext("name") or "",
        uuid=text_at(root, "uuid"),
        forward=(forward.get("mode") or "nat") if forward is not None else "",
        device=text_at(root, "forward/@dev") or text_at(root, "forward/interface[1]/@dev"),
        bridge=text_at(root, "bridge/@name"),
        ranges=tuple(part for ip in root.iterfind("ip") if (part := range_of(ip)) is not None),
        domain=text_at(root, "domain/@name"),
        leases=tuple(lease_of(host) for host in root.iterfind("ip/dhcp/host") if host.get("mac") and host.get("ip")),
        dns_hosts=tuple(dns_host_of(host) for host in root.iterfind("dns/host")),
        has_dns=text_at(root, "dns/@enable") != "no" and root.find("ip") is not None,
        is_ovs=text_at(root, "virtualport/@type") == "openvswitch",
        vlan=int(tag) if tag.isdigit() else None,
        mtu=int(mtu) if mtu.isdigit() else None,
        note=_note(root.find(f"metadata/{NOTE}")),
    )


def range_of(ip: Element) -> Range | None:
    """An <ip>; None for one that nobody can read. Of several DHCP ranges the whole span is told."""
    address, suffix = ip.get("address"), ip.get("prefix") or ip.get("netmask")
    if not address:
        return None
    try:
        host = ipaddress.ip_interface(f"{address}/{suffix}" if suffix else address)
    except ValueError:
        return None
    given = ip.findall("dhcp/range")
    first, last = (given[0].get("start"), given[-1].get("end")) if given else ("", "")
    return Range(host=host, first=first or "", last=last or "")


def lease_of(host: Element) -> StaticLease:
    """A <host> of DHCP."""
    mac, address, name = (host.get(key) or "" for key in ("mac", "ip", "name"))
    return StaticLease(mac=mac.lower(), address=address, name=name)


def dns_host_of(host: Element) -> DnsHost:
    names = tuple((name.text or "").strip() for name in host.iterfind("hostname"))
    return DnsHost(address=host.get("ip") or "", names=names)


def _note(element: Element | None) -> NetworkNote:
    if element is None:
        return NetworkNote()
    vlan = element.get("vlan") or ""
    return NetworkNote(
        plan=(element.findtext(f"{{{NAMESPACE}}}plan") or "").strip(),
        device=element.get("device") or "",
        vlan=int(vlan) if vlan.isdigit() else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenInterface:
    """A device of the host."""

    name: str
    type: str = ""
    """libvirt's word: "ethernet", "bridge", "vlan", "bond"."""
    vlan: int | None = None
    parent: str = ""
    """The device below a VLAN's."""


def read_interface(text: str) -> SeenInterface:
    """An <interface> document of the host (libvirt's interface driver)."""
    root = read(text)
    tag = text_at(root, "vlan/@tag")
    return SeenInterface(
        name=root.get("name") or "",
        type=root.get("type") or "",
        vlan=int(tag) if tag.isdigit() else None,
        parent=text_at(root, "vlan/interface/@name"),
    )
