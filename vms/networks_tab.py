"""The tab of network cards: where each is plugged in, how it is reached, and what can be changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kvweb.accounts.models import User
from kvweb.ui.badges import Badge
from networking.models import Network
from vms import looks
from vms.models import VirtualMachine
from vms.tab import Tab

CHANGES = {
    "vm.change_nic": "Changing",
    "vm.remove_nic": "Removing",
    "vm.give_address": "Giving an address",
    "vm.take_address": "Taking an address",
}


@dataclass(frozen=True, slots=True)
class Card:
    """A network card as the page shows it."""

    name: str
    mac: str
    model: str
    network: str
    network_kind: str
    addresses: list[dict[str, str]]
    public_address: str
    is_linked: bool
    marks: list[str]
    busy: Badge | None


def _marks(nic: dict[str, Any]) -> list[str]:
    found = [(f"Filter: {nic.get('filter')}", nic.get("filter")), ("Isolated", nic.get("isolated"))]
    found.append((f"VLAN {nic.get('vlan')}", nic.get("vlan")))
    return [words for words, holds in found if holds]


def _busy(vm: VirtualMachine, nic: str) -> Badge | None:
    job = vm.active_job
    if job is None or job.params.get("nic") != nic:
        return None
    return Badge(CHANGES.get(job.kind, job.doing), "blue", "loader-2", is_busy=True, percent=job.percent)


def cards(vm: VirtualMachine) -> list[Card]:
    """One query, for the networks' names."""
    if not vm.nics:
        return []
    networks = {one.external_id: one for one in Network.objects.filter(provider_id=vm.provider_id)}
    found = []
    for nic in vm.nics:
        network = networks.get(nic.get("network") or "")
        public = nic.get("public_address") or ""
        source = looks.SOURCES.get(nic.get("addresses_source") or "", "")
        found.append(
            Card(
                name=nic["external_id"],
                mac=nic.get("mac") or "",
                model=nic.get("model") or "",
                network=network.name if network else nic.get("network") or "",
                network_kind=", ".join([network.get_mode_display(), *network.cidrs[:1]]) if network else "",
                addresses=[
                    {"address": address, "source": "public" if address == public else source}
                    for address in nic.get("addresses") or []
                ],
                public_address=public,
                is_linked=nic.get("is_linked", True),
                marks=_marks(nic),
                busy=_busy(vm, nic["external_id"]),
            )
        )
    return found


def _context(vm: VirtualMachine, user: User) -> dict[str, Any]:
    is_arriving = vm.active_job is not None and vm.active_job.kind == "vm.add_nic"
    return {
        "cards": cards(vm),
        "arriving": Badge("Adding", "blue", "loader-2", is_busy=True) if is_arriving else None,
        "acts": looks.buttons_of(vm, user, "networks"),
        "can_change": vm.can.nics is not None,
    }


def _count(vm: VirtualMachine) -> int | None:
    return len(vm.nics or []) or None


TAB = Tab(name="networks", label="Networks", context=_context, count=_count)
