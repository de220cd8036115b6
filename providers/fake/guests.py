"""What simulated guests tell of themselves: file systems on their disks, filled as their ids have it."""

from __future__ import annotations

import zlib

from providers.base import Conflict, DiskDevice, GuestFileSystem, GuestRecord, PowerState
from providers.fake.state import Image, Vm, Volume
from providers.fake.store import Transaction

_GIB = 1024**3
#: Of the first disk, before the root file system.
_BOOT_BYTES = 512 * 1024**2
#: What a file system keeps of its disk for itself.
_OVERHEAD = 0.02
#: Where the disks after the first are mounted, in their order.
_PLACES = ("/srv", "/var/lib/data")
_SYSTEMS = {
    "debian13": "Debian GNU/Linux 13 (trixie)",
    "ubuntu24.04": "Ubuntu 24.04 LTS",
    "alpine3.22": "Alpine Linux v3.22",
}


def guest_record(tx: Transaction, vm: Vm, lease_s: float) -> GuestRecord:
    """What the agent of a running guest tells, as soon as it has its addresses. Raises Conflict before."""
    if vm.power is not PowerState.RUNNING:
        raise Conflict("The VM does not run.")
    # A guest that ignores the power button is one without an agent, too.
    if not vm.has_guest or vm.ignores_shutdown or vm.then is not None or tx.now < vm.booted_at + lease_s:
        raise Conflict("No guest agent answers in this machine.")
    system = next((image.os for image in tx.all(Image) if image.id == vm.image), "")
    return GuestRecord(
        os=_SYSTEMS.get(system, system),
        hostname=vm.cloud_init.hostname if vm.cloud_init and vm.cloud_init.hostname else vm.name,
        users=tuple(user.name for user in vm.cloud_init.users[:1]) if vm.cloud_init else (),
        file_systems=_file_systems(tx, vm),
    )


def _file_systems(tx: Transaction, vm: Vm) -> tuple[GuestFileSystem, ...]:
    found: list[GuestFileSystem] = []
    disks = [disk for disk in vm.disks if disk.device is DiskDevice.DISK]
    for number, disk in enumerate(disks):
        whole = int(tx.get(Volume, disk.volume).size_gib * _GIB)
        if number == 0 and whole > 4 * _BOOT_BYTES:
            found.append(_filled(vm, "/boot", "ext4", _BOOT_BYTES, disk.target))
            whole -= _BOOT_BYTES
        place = "/" if number == 0 else _PLACES[number - 1] if number <= len(_PLACES) else f"/mnt/{disk.target}"
        found.append(_filled(vm, place, "ext4" if number == 0 else "xfs", whole, disk.target))
    return tuple(sorted(found, key=lambda each: each.mount_point))


def _filled(vm: Vm, place: str, kind: str, whole: int, target: str) -> GuestFileSystem:
    """5 to 97 % full, always the same: of the VM's id and the place."""
    share = 0.05 + 0.92 * (zlib.crc32(f"{vm.id}{place}".encode()) % 1000) / 1000
    total = int(whole * (1 - _OVERHEAD))
    return GuestFileSystem(
        mount_point=place, type=kind, total_bytes=total, used_bytes=int(total * share), disks=(target,)
    )
