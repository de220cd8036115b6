"""What the DHCP servers of libvirt's own networks have given out, and what they keep."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from providers.base import LeaseRecord, StaticLease
from providers.kvm.errors import has_code
from providers.kvm.native import LibvirtError, libvirt


def of_network(network: Any, kept: Sequence[StaticLease] = ()) -> Sequence[LeaseRecord]:
    """Every lease of one network, by address; `kept` are those that its document keeps for a card.

    A lease outlives the VM that asked for it, until it expires.
    """
    static = {(each.mac, each.address) for each in kept}
    rows = [
        LeaseRecord(
            mac=given["mac"].lower(),
            address=given["ipaddr"],
            hostname=given.get("hostname") or "",
            expires_at=_moment(given.get("expirytime")),
            is_static=(given["mac"].lower(), given["ipaddr"]) in static,
        )
        for given in _given(network)
        if given.get("mac") and given.get("ipaddr")
    ]
    asked = {(row.mac, row.address) for row in rows}
    rows += [
        LeaseRecord(mac=each.mac, address=each.address, hostname=each.name, is_static=True)
        for each in kept
        if (each.mac, each.address) not in asked
    ]
    return sorted(rows, key=lambda row: (ipaddress.ip_address(row.address).version, ipaddress.ip_address(row.address)))


def _given(network: Any) -> Sequence[dict[str, Any]]:
    if not network.isActive():
        return []
    try:
        given: list[dict[str, Any]] = network.DHCPLeases()
    except LibvirtError as exc:
        # A network that leads to a bridge of the host has no DHCP server to ask.
        if has_code(exc, libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_SUPPORT):
            return []
        raise
    return given


def _moment(seconds: int | None) -> datetime | None:
    """0 is a lease for ever."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
