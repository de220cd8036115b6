"""Who has which address of a network, as its page lists them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone

from networking import addresses
from networking.action_forms import has_card_in
from networking.models import Network
from providers.machines import Machine

#: On one page.
MOST_ROWS = 200


def rows_of(network: Network, machines: list[Machine]) -> list[dict[str, Any]]:
    """Addresses that are given out or kept: each once, with the machine whose card it is where that may be told.

    Guests tell the DHCP server their names, so the name is another project's affair too.
    """
    kept = {(lease["mac"].lower(), lease["address"]) for lease in network.reservations}
    owners = {
        str(nic.get("mac", "")).lower(): machine for machine in machines for nic in has_card_in(machine.nics, network)
    }
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for lease in [*network.reservations, *network.leases]:
        mac = lease["mac"].lower()
        owner = owners.get(mac)
        key = (lease["address"], mac)
        row = rows.setdefault(key, {"mac": mac, "address": lease["address"], "name": "", "expires": None})
        row["is_anothers"] = owner is not None and not owner.is_visible
        if not row["is_anothers"]:
            row["name"] = row["name"] or lease.get("hostname") or lease.get("name") or ""
        row["expires"] = row["expires"] or _moment(lease.get("expires_at"))
        row["is_kept"] = (mac, lease["address"]) in kept
        row["machine"] = owner if owner is not None and owner.is_visible else None
    return sorted(rows.values(), key=lambda row: _sortable(row["address"]))


def most_telling(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many as a page bears: all that are kept or a machine's, and of the others the first."""
    room = MOST_ROWS - sum(row["is_kept"] or row["machine"] is not None for row in rows)
    shown = []
    for row in rows:
        is_telling = row["is_kept"] or row["machine"] is not None
        room -= not is_telling
        if is_telling or room >= 0:
            shown.append(row)
    return shown


def _sortable(address: str) -> tuple[int, int]:
    try:
        found = addresses.read_address(address)
    except addresses.BadRange:
        return 9, 0
    return found.version, int(found)


def _moment(text: str | None) -> datetime | None:
    """When a lease ends; one that has ended is not told."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment > timezone.now() else None
