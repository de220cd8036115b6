"""The tab of disks and drives: what is plugged in, what is being done to it, and what can be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kvweb.accounts.models import User
from kvweb.ui.badges import Badge
from storage.models import Image, Pool, Volume
from vms import file_systems, looks
from vms.disk_forms import is_data
from vms.models import VirtualMachine
from vms.tab import Tab

CHANGES = {"vm.grow_disk": "Growing", "vm.move_disk": "Moving", "vm.detach_disk": "Detaching"}


@dataclass(frozen=True, slots=True)
class Row:
    """A disk or drive as the table shows it."""

    target: str
    is_disk: bool
    size_gib: float
    volume: str
    #: In full, for the pointer.
    volume_path: str
    pool: str
    #: "virtio", "qcow2", "writeback": what it is like, the rest of it.
    bus: str
    format: str
    marks: list[str]
    busy: Badge | None


def _marks(disk: dict[str, Any]) -> list[str]:
    found = [
        ("Boot", disk.get("boot") and is_data(disk)),
        ("Read only", disk.get("read_only") and is_data(disk)),
        ("Shared", disk.get("shareable")),
    ]
    cache = disk.get("cache") or ""
    return [word for word, holds in found if holds] + ([f"Cache: {cache}"] if cache else [])


def _busy(vm: VirtualMachine, target: str) -> Badge | None:
    job = vm.active_job
    if job is None or job.params.get("disk") != target:
        return None
    return Badge(CHANGES.get(job.kind, job.doing), "blue", "loader-2", is_busy=True, percent=job.percent)


def rows(vm: VirtualMachine) -> list[Row]:
    """Three queries at most, for names of pools, volumes and images."""
    listed = vm.disks or []
    if not listed:
        return []
    pools = dict(Pool.objects.filter(provider_id=vm.provider_id).values_list("external_id", "name"))
    behind = [disk["volume"] for disk in listed if is_data(disk) and disk.get("volume")]
    names = dict(
        Volume.objects.filter(provider_id=vm.provider_id, external_id__in=behind).values_list("external_id", "name")
    )
    media = [disk.get("volume") or "" for disk in listed if not is_data(disk)]
    images = {
        image.external_id: str(image)
        for image in Image.objects.filter(provider_id=vm.provider_id, external_id__in=[one for one in media if one])
    }
    return [
        Row(
            target=disk["external_id"],
            is_disk=is_data(disk),
            size_gib=disk.get("size_gib") or 0,
            volume={**names, **images}.get(disk.get("volume") or "") or (disk.get("volume") or "").rpartition("/")[2],
            volume_path=disk.get("volume") or "",
            pool=pools.get(disk.get("pool") or "", disk.get("pool") or ""),
            bus=disk.get("bus") or "",
            format=disk.get("format") or "",
            marks=_marks(disk),
            busy=_busy(vm, disk["external_id"]),
        )
        for disk in listed
    ]


def _arriving(vm: VirtualMachine) -> Badge | None:
    """A disk that is being attached has no row yet."""
    job = vm.active_job
    if job is None or job.kind != "vm.attach_disk":
        return None
    return Badge("Attaching", "blue", "loader-2", is_busy=True, percent=job.percent, note=job.message)


def _context(vm: VirtualMachine, user: User) -> dict[str, Any]:
    return {
        "rows": rows(vm),
        "arriving": _arriving(vm),
        "acts": looks.buttons_of(vm, user, "disks"),
        "can_change": vm.can.disks is not None,
        "has_drive": any(not is_data(disk) for disk in vm.disks or []),
        **file_systems.context_of(vm),
    }


def _count(vm: VirtualMachine) -> int | None:
    return len(vm.disks or []) or None


TAB = Tab(name="disks", label="Disks", context=_context, count=_count)
