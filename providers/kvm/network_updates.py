"""Telling a network what changes while it runs (`virNetworkUpdate`).

libvirt before 7.2 took the arguments section and command in the wrong order on both ends of the wire; its client
library asks the other end since then, so the order of the published signature is right with every server.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from providers.base import DnsHost, StaticLease
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.xml.build import Element, node, read, write
from providers.kvm.xml.network_diff import Section, Update, updates
from providers.kvm.xml.network_edit import dns_element, ip_index, lease_element
from providers.kvm.xml.networks import SeenNetwork

_SECTIONS = {
    Section.RANGE: libvirt.VIR_NETWORK_SECTION_IP_DHCP_RANGE,
    Section.HOST: libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST,
    Section.DNS: libvirt.VIR_NETWORK_SECTION_DNS_HOST,
}
_ADD = libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST
_DELETE = libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE
_LIVE = libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE
_CONFIG = libvirt.VIR_NETWORK_UPDATE_AFFECT_CONFIG


def apply(network: Any, live: Element, wanted: Element) -> bool:
    """Make a running network what its document should be; False when only a restart can.

    Raises libvirt's errors with the steps before the failed one undone.
    """
    steps = updates(live, wanted)
    if steps is None:
        return False
    done: list[Update] = []
    try:
        for step in steps:
            _tell(network, step, _LIVE)
            done.append(step)
    except LibvirtError:
        for step in reversed(done):
            _tell(network, replace(step, is_add=not step.is_add), _LIVE)
        raise
    return True


def keep(network: Any, seen: SeenNetwork, lease: StaticLease) -> None:
    """Keep an address for a card, in place of another that is kept for it."""
    flags = _both(network)
    index = ip_index(read(network.XMLDesc(0)), lease.address)
    old = [each for each in seen.leases if each.mac == lease.mac]
    for each in old:
        _tell(network, _host(each, is_add=False), flags)
    try:
        _tell(network, _host(lease, is_add=True, index=index), flags)
    except LibvirtError:
        for each in old:
            _tell(network, _host(each, is_add=True, index=index), flags)
        raise


def give_up(network: Any, lease: StaticLease) -> None:
    _tell(network, _host(lease, is_add=False), _both(network))


def replace_names(network: Any, old: DnsHost | None, new: DnsHost | None) -> None:
    """Put one entry of the DNS server in the place of another; None is none."""
    flags = _both(network)
    if old is not None:
        _tell(network, _names(old, is_add=False), flags)
    if new is None:
        return
    try:
        _tell(network, _names(new, is_add=True), flags)
    except LibvirtError:
        if old is not None:
            _tell(network, _names(old, is_add=True), flags)
        raise


def _host(lease: StaticLease, *, is_add: bool, index: int = -1) -> Update:
    return Update(section=Section.HOST, is_add=is_add, ip_index=index, document=write(lease_element(lease)))


def _names(host: DnsHost, *, is_add: bool) -> Update:
    return Update(section=Section.DNS, is_add=is_add, document=write(dns_element(host)))


def _tell(network: Any, step: Update, flags: int) -> None:
    document = step.document
    if step.section is Section.DNS and not step.is_add:
        # By its address alone: libvirt deletes nothing when another entry has one of the names too.
        document = write(node("host", ip=read(document).get("ip")))
    network.update(_ADD if step.is_add else _DELETE, _SECTIONS[step.section], step.ip_index, document, flags)


def _both(network: Any) -> int:
    """Now and after a restart, as far as the network knows of either."""
    live: int = _LIVE if network.isActive() else 0
    config: int = _CONFIG if network.isPersistent() else 0
    return live | config
