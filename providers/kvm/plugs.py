"""Where a card is plugged in: what its network can do for it, and the address that is kept for it there."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from providers.base import Conflict, DnsHost, InvalidRequest, NetworkMode, NicSpec, NotFound, StaticLease
from providers.kvm import leases, network_updates
from providers.kvm.design import BRIDGE_PREFIX
from providers.kvm.errors import has_code, still_there
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.network_addresses import is_host_name, lease_of
from providers.kvm.network_design import MODES, TAGS_ON_LINUX_BRIDGES
from providers.kvm.xml.networks import SeenNetwork, read_network

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plug:
    """A network of libvirt's, or a bridge of the host when there is none."""

    raw: Any = None
    """libvirt's network."""
    seen: SeenNetwork | None = None
    bridge: str = ""

    @property
    def is_direct(self) -> bool:
        """Cards sit on a device of the host, and no bridge is between."""
        return self.seen is not None and MODES.get(self.seen.forward) is NetworkMode.BRIDGE and not self.seen.bridge

    @property
    def is_ovs(self) -> bool:
        return self.seen is not None and self.seen.is_ovs


def plug_of(raw: Any, external_id: str, field: str = "network", *, is_new: bool = True) -> Plug:
    """The network of a card; for one that is newly plugged in raises Conflict when the network is switched off, and
    NotFound for a bridge that the host does not have. Raises NotFound for no network at all.
    """
    if external_id.startswith(BRIDGE_PREFIX):
        name = external_id.removeprefix(BRIDGE_PREFIX)
        if is_new:
            _demand_bridge(raw, name, field)
        return Plug(bridge=name)
    try:
        network = raw.networkLookupByName(external_id)
    except LibvirtError as exc:
        if has_code(exc, libvirt.VIR_ERR_NO_NETWORK):
            raise NotFound(f"There is no network “{external_id}”.", field=field) from exc
        raise
    if is_new and not network.isActive():
        raise Conflict(f"The network “{external_id}” is switched off.", field=field)
    return Plug(raw=network, seen=read_network(network.XMLDesc(0)))


def _demand_bridge(raw: Any, name: str, field: str) -> None:
    try:
        raw.interfaceLookupByName(name)
    except LibvirtError as exc:
        if has_code(exc, libvirt.VIR_ERR_NO_INTERFACE):
            raise NotFound(f"The host has no bridge “{name}”.", field=field) from exc
        # A libvirt without a driver for the host's interfaces tells nothing; a start will show.
        if not has_code(exc, libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_NO_CONNECT):
            raise


def check_plug(
    raw: Any, plug: Plug, *, filter_: str = "", isolated: bool = False, vlan: int | None = None, at: str = ""
) -> None:
    """Raise NotFound or InvalidRequest for what this network does not do for a card; `at` begins the fields' names."""
    if filter_ and filter_ not in filters(raw):
        raise NotFound(f"The hypervisor has no traffic filter “{filter_}”.", field=f"{at}filter")
    if filter_ and (plug.is_direct or plug.is_ovs):
        raise InvalidRequest("Only cards on a Linux bridge can be filtered.", field=f"{at}filter")
    if isolated and (plug.is_direct or plug.is_ovs):
        raise InvalidRequest("Only cards on a Linux bridge can be kept apart from each other.", field=f"{at}isolated")
    if vlan is not None and not plug.is_ovs and (plug.is_direct or raw.getLibVersion() < TAGS_ON_LINUX_BRIDGES):
        raise InvalidRequest("Only a network of Open vSwitch sets VLAN tags on its cards here.", field=f"{at}vlan")


def features(raw: Any) -> dict[str, Any]:
    """What of `NicFeatures` depends on this host."""
    return {"filters": filters(raw), "vlan": raw.getLibVersion() >= TAGS_ON_LINUX_BRIDGES or _has_ovs(raw)}


def _has_ovs(raw: Any) -> bool:
    networks = raw.listAllNetworks(libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE)
    return any(still_there(networks, lambda network: read_network(network.XMLDesc(0)).is_ovs))


def filters(raw: Any) -> frozenset[str]:
    """Names of the traffic filters that this host has; none where libvirt is without them."""
    try:
        return frozenset(found.name() for found in raw.listAllNWFilters(0))
    except LibvirtError as exc:
        if has_code(exc, libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_NO_CONNECT):
            return frozenset()
        raise


# -- kept addresses ----------------------------------------------------------------------------------------------------


def keep_address(plug: Plug, nic: NicSpec, name: str, at: str = "") -> Callable[[], object] | None:
    """Keep the card's fixed address in a network of libvirt's own, so that DHCP gives it to nobody else.

    Returns how to undo that; None when there was nothing to do. Raises AlreadyExists for an address that is kept for
    another card, InvalidRequest for the network's own.
    """
    seen = plug.seen
    if seen is None or not nic.address or not seen.dhcp:
        return None
    address = ipaddress.ip_interface(nic.address).ip
    if address.version == 6 or not any(address in part.host.network for part in seen.ranges):
        return None
    names = {each.name for each in seen.leases if each.mac != nic.mac.lower()}
    wish = StaticLease(mac=nic.mac, address=str(address), name=name if is_host_name(name) and name not in names else "")
    others = [each for each in seen.leases if each.mac != nic.mac.lower()]
    lease = lease_of(wish, seen.ranges, others, field=f"{at}address")
    if lease in seen.leases:
        return None
    network_updates.keep(plug.raw, seen, lease)
    return lambda: network_updates.give_up(plug.raw, lease)


def give_back(raw: Any, network: str, macs: Iterable[str]) -> None:
    """Keep no address any more for cards that are gone from a network. A network that is gone as well is no matter."""
    if not network or network.startswith(BRIDGE_PREFIX):
        return
    try:
        found = raw.networkLookupByName(network)
    except LibvirtError as exc:
        if has_code(exc, libvirt.VIR_ERR_NO_NETWORK):
            return
        raise
    _give_back(found, set(macs))


def forget_name(raw: Any, network: str, name: str, macs: Collection[str]) -> None:
    """Answer the name of a VM that goes no more, also with a domain behind it, unless its address is another card's by
    now. Other names of that address stay."""
    if not network or network.startswith(BRIDGE_PREFIX):
        return
    try:
        found = raw.networkLookupByName(network)
        seen = read_network(found.XMLDesc(0))
        known = leases.of_network(found, seen.leases) if any(name in host.names for host in seen.dns_hosts) else ()
        others = {lease.address for lease in known if lease.mac not in macs}
        for host in seen.dns_hosts:
            if name in host.names and host.address not in others:
                left = tuple(each for each in host.names if each != name and not each.startswith(f"{name}."))
                kept = DnsHost(address=host.address, names=left) if left else None
                network_updates.replace_names(found, host, kept)
    except LibvirtError as exc:
        if not has_code(exc, libvirt.VIR_ERR_NO_NETWORK):
            _log.warning("The name “%s” is still answered in %s: %s", name, network, exc)


def give_back_everywhere(raw: Any, macs: Iterable[str]) -> None:
    wanted = set(macs)
    for network in raw.listAllNetworks(0):
        _give_back(network, wanted)


def _give_back(network: Any, macs: set[str]) -> None:
    try:
        for lease in read_network(network.XMLDesc(0)).leases:
            if lease.mac in macs:
                network_updates.give_up(network, lease)
    except LibvirtError as exc:
        # The card is gone; a kept address is a trifle that the network's page shows.
        _log.warning("An address is still kept in %s: %s", network.name(), exc)
