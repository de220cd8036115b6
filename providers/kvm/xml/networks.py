"""Documents of networks (https://libvirt.org/formatnetwork.html)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from providers.kvm.xml.build import Element, add, node, read, text_at, write

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenNetwork:
    name: str
    uuid: str
    forward: str = ""
    """libvirt's word, empty for a network that leads nowhere."""
    bridge: str = ""
    cidrs: tuple[str, ...] = ()
    dhcp: bool = False
    domain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """One family's addresses: the host's own, and what DHCP gives out between two more."""

    host: Interface
    first: str = ""
    last: str = ""


def network_document(
    *, name: str, uuid: str = "", forward: str = "", bridge: str = "", domain: str = "", ranges: tuple[Range, ...] = ()
) -> str:
    """A network; `bridge` is an existing bridge of the host when `forward` is "bridge", else the new one's name."""
    root = node("network")
    add(root, "name", name)
    if uuid:
        add(root, "uuid", uuid)
    if forward:
        add(root, "forward", mode=forward)
    if bridge:
        add(root, "bridge", name=bridge)
    if domain:
        add(root, "domain", name=domain, localOnly=True)
    for part in ranges:
        family = "ipv6" if part.host.version == 6 else None
        network = part.host.network
        ip = add(root, "ip", family=family, address=str(part.host.ip), prefix=network.prefixlen)
        if part.first:
            add(add(ip, "dhcp"), "range", start=part.first, end=part.last)
    return write(root)


def read_network(text: str) -> SeenNetwork:
    root = read(text)
    forward = root.find("forward")
    return SeenNetwork(
        name=root.findtext("name") or "",
        uuid=text_at(root, "uuid"),
        forward=(forward.get("mode") or "nat") if forward is not None else "",
        bridge=text_at(root, "bridge/@name"),
        cidrs=tuple(cidr for ip in root.iterfind("ip") if (cidr := _cidr(ip))),
        dhcp=root.find("ip/dhcp") is not None,
        domain=text_at(root, "domain/@name"),
    )


def read_host_bridge(text: str) -> str:
    """The name in an <interface> document of the host when that is a bridge, else empty."""
    root = read(text)
    return (root.get("name") or "") if root.get("type") == "bridge" else ""


def _cidr(ip: Element) -> str:
    address, suffix = ip.get("address"), ip.get("prefix") or ip.get("netmask")
    if not address:
        return ""
    try:
        return str(ipaddress.ip_interface(f"{address}/{suffix}" if suffix else address).network)
    except ValueError:
        return ""
