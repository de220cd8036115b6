"""Machines tell which disks they have: volumes follow at once, without being read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kvweb.events.services import News, publish_many
from providers.base import DiskDevice
from providers.models import Provider
from storage.models import Pool, Volume


@dataclass(frozen=True, slots=True)
class Move:
    """One machine's disks before and now, with the fields of DiskRecord; None: not read."""

    machine: str
    """Its external_id."""
    before: list[dict[str, Any]] | None
    now: list[dict[str, Any]] | None

    def volumes(self, disks: list[dict[str, Any]] | None) -> set[str]:
        return {
            disk["volume"]
            for disk in disks or []
            if disk.get("volume") and disk.get("device", DiskDevice.DISK) == DiskDevice.DISK
        }


def note_moves(provider: Provider, moves: Iterable[Move]) -> None:
    """Write who has the volumes now. One that is not known yet has all of them read when somebody looks next."""
    joined: dict[str, set[str]] = {}
    left: dict[str, set[str]] = {}
    for move in moves:
        before, now = move.volumes(move.before), move.volumes(move.now)
        for volume in now - before:
            joined.setdefault(volume, set()).add(move.machine)
        for volume in before - now:
            left.setdefault(volume, set()).add(move.machine)
    if not joined and not left:
        return
    changed = []
    known = set()
    for row in Volume.objects.filter(provider=provider, external_id__in={*joined, *left}):
        known.add(row.external_id)
        users = sorted((set(row.used_by) | joined.get(row.external_id, set())) - left.get(row.external_id, set()))
        if users != row.used_by:
            row.used_by, row.is_used = users, bool(users)
            changed.append(row)
    Volume.objects.bulk_update(changed, ["used_by", "is_used"], batch_size=200)
    publish_many(News(row.subject, row.project_id) for row in changed)
    if set(joined) - known:
        read_soon(provider)


def read_soon(provider: Provider) -> None:
    """What is known of the volumes may be wrong by now: read them when somebody looks, and within minutes otherwise."""
    Pool.objects.filter(provider=provider).update(volumes_at=None)
