"""Which addresses a VM's cards have: leases for a whole list, agent and ARP for one VM."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from providers.kvm.agent import answered_soon
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.xml.domain_reader import SeenMachine

#: MAC → ("lease" | "agent" | "arp", addresses).
Addresses = Mapping[str, tuple[str, tuple[str, ...]]]


def leases(raw: Any) -> Addresses:
    """What libvirt's own networks have given out: one call per active network, whatever the number of VMs."""
    found: dict[str, list[str]] = {}
    for network in raw.listAllNetworks(libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE):
        try:
            given = network.DHCPLeases()
        except LibvirtError:
            # A network without DHCP, or one that stopped just now, has none to tell.
            continue
        for lease in given:
            if lease.get("mac") and lease.get("ipaddr"):
                found.setdefault(lease["mac"].lower(), []).append(lease["ipaddr"])
    return {mac: ("lease", tuple(dict.fromkeys(given))) for mac, given in found.items()}


def of_one(domain: Any, machine: SeenMachine) -> Addresses:
    """The best that can be known of a running VM: its agent where one is connected, else leases, else ARP."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    sources = [(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, "lease")]
    if machine.agent_connected:
        sources.insert(0, (libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT, "agent"))
    sources.append((libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP, "arp"))
    for source, word in sources:
        if all(card.mac in found for card in machine.cards):
            break
        for mac, given in _ask(domain, source).items():
            found.setdefault(mac, (word, given))
    return found


def _ask(domain: Any, source: int) -> dict[str, tuple[str, ...]]:
    is_agent = source == libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT
    try:
        with answered_soon(domain) if is_agent else nullcontext():
            answer = domain.interfaceAddresses(source)
    except LibvirtError:
        # Each source may be missing: no agent, no network of libvirt's own, nothing in the ARP table.
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for interface in answer.values():
        given = tuple(address["addr"] for address in interface.get("addrs") or () if not _is_idle_talk(address["addr"]))
        if given and interface.get("hwaddr"):
            found[interface["hwaddr"].lower()] = given
    return found


def _is_idle_talk(address: str) -> bool:
    """Loopback and link-local addresses, which nobody outside can use."""
    return address.startswith(("127.", "169.254.", "fe80:")) or address == "::1"
