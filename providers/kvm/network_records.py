"""From what was seen of a network to the portal's record of it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from providers.base import NetworkMode, NetworkRecord
from providers.kvm.design import BRIDGE_PREFIX
from providers.kvm.network_design import MODES
from providers.kvm.xml.networks import SeenNetwork


def network_record(
    seen: SeenNetwork,
    later: SeenNetwork,
    *,
    is_active: bool = True,
    autostart: bool = False,
    used_by: tuple[str, ...] = (),
) -> NetworkRecord:
    """The record of a network that is as was seen now, and as `later` after a restart."""
    now, then = _facts(seen), _facts(later)
    names = [field.name for field in fields(NetworkRecord)]
    return NetworkRecord(
        external_id=seen.name,
        name=seen.name,
        type="network",
        is_active=is_active,
        autostart=autostart,
        # A running network keeps the metadata that it started with, and nothing depends on them.
        plan=later.note.plan,
        used_by=used_by,
        portal_uuid=seen.uuid,
        pending=tuple(name for name in names if name in now and now[name] != then[name]),
        **now,
    )


def _facts(seen: SeenNetwork) -> dict[str, Any]:
    ordered = sorted(seen.ranges, key=lambda part: part.host.version)
    first = ordered[0] if ordered else None
    return {
        "mode": MODES.get(seen.forward, NetworkMode.PROVIDER),
        "cidrs": tuple(part.cidr for part in ordered),
        "dhcp": seen.dhcp,
        "domain": seen.domain,
        "bridge": seen.bridge,
        "gateway": str(first.host.ip) if first else "",
        "dhcp_start": first.first if first else "",
        "dhcp_end": first.last if first else "",
        "leases": seen.leases,
        "dns_hosts": seen.dns_hosts,
        "forward_device": seen.note.device or seen.device,
        "vlan": seen.vlan or seen.note.vlan,
        "mtu": seen.mtu,
    }


def bridge_record(name: str, used_by: tuple[str, ...] = ()) -> NetworkRecord:
    return NetworkRecord(
        external_id=BRIDGE_PREFIX + name,
        name=name,
        mode=NetworkMode.BRIDGE,
        type="bridge",
        bridge=name,
        used_by=used_by,
    )
