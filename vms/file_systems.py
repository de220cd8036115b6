"""What the guest of a machine tells of its file systems: who may look, what was told last, and as pages show it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from django.utils import timezone

from providers.base import GuestRecord
from vms import looking
from vms.choices import Presence
from vms.models import GuestReading, VirtualMachine

#: In Redis: who looks at the file systems of which machines.
LOOKING = "guests"
#: A guest with containers mounts hundreds; nobody reads them all.
MOST_KEPT = 60
#: File systems that are always full and nobody's to fill.
_ALWAYS_FULL = frozenset({"squashfs", "iso9660", "udf", "erofs", "cdfs"})
FULL_PERCENT = 90


def is_offered(vm: VirtualMachine) -> bool:
    """Whether the machine's provider can ask guests at all."""
    return vm.can.machines.guest


def may_ask(vm: VirtualMachine) -> bool:
    """Whether there is a guest that could answer now."""
    return is_offered(vm) and vm.presence == Presence.PRESENT and vm.is_running and vm.provider.is_reachable


def look(vms: Iterable[VirtualMachine]) -> None:
    """Somebody looks: those that can answer are asked in the next seconds."""
    if asked := [vm for vm in vms if may_ask(vm)]:
        looking.look(LOOKING, asked)


# -- what was told -----------------------------------------------------------------------------------------------------


def keep(vm: VirtualMachine, told: GuestRecord) -> None:
    file_systems = [
        {**asdict(each), "mount_point": each.mount_point[:255], "type": each.type[:40], "disks": [*each.disks]}
        for each in sorted(told.file_systems or (), key=lambda each: each.mount_point)[:MOST_KEPT]
    ]
    GuestReading.objects.update_or_create(
        vm=vm,
        defaults={
            "told_at": timezone.now(),
            "problem": "",
            "os": told.os[:255],
            "hostname": told.hostname[:255],
            "users": None if told.users is None else [name[:64] for name in told.users[:MOST_KEPT]],
            "file_systems": None if told.file_systems is None else file_systems,
        },
    )


def keep_silence(vm: VirtualMachine, reason: str) -> None:
    """Nobody answered; what was told before stays, with its time."""
    GuestReading.objects.update_or_create(vm=vm, defaults={"problem": reason[:500]})


# -- as pages show it --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    mount_point: str
    #: "ext4 on vda": its type, and the disks in which it lies.
    words: str
    used_bytes: int | None
    total_bytes: int | None
    percent: int | None
    is_full: bool


def _row(one: dict[str, Any]) -> Row:
    used, total = one.get("used_bytes"), one.get("total_bytes")
    percent = round(100 * used / total) if total and used is not None else None
    disks = ", ".join(one.get("disks") or ())
    kind = one.get("type") or ""
    return Row(
        mount_point=one.get("mount_point") or "",
        words=f"{kind} on {disks}".strip() if disks else kind,
        used_bytes=used,
        total_bytes=total,
        percent=percent,
        is_full=percent is not None and percent > FULL_PERCENT and kind.lower() not in _ALWAYS_FULL,
    )


def why_nothing(vm: VirtualMachine, reading: GuestReading | None) -> str:
    """Why nothing (new) is shown: "off", "silent" (the provider), "problem" (the guest), "waiting"; or empty."""
    if not vm.is_running:
        return "off"
    if not may_ask(vm):
        return "silent"
    if reading is not None and reading.problem:
        return "problem"
    return "" if reading is not None and reading.told_at else "waiting"


def context_of(vm: VirtualMachine) -> dict[str, Any]:
    """For `vms/_file_systems.html`; being shown is being looked at."""
    if not is_offered(vm):
        return {"tells_file_systems": False}
    look([vm])
    reading = GuestReading.objects.filter(vm=vm).first()
    told = reading.file_systems or [] if reading is not None else []
    return {
        "tells_file_systems": True,
        "guest": reading,
        "file_systems": [_row(one) for one in told if one.get("type") != "squashfs"],
        "no_file_systems": why_nothing(vm, reading),
    }
