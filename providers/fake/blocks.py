"""Volumes and where they are plugged in: making one from an image or empty, names, targets, room in the pool."""

from __future__ import annotations

from providers.base import AlreadyExists, Conflict, DiskSpec, EventTopic, InvalidRequest, OutOfCapacity
from providers.fake.state import Disk, Image, Pool, Vm, Volume
from providers.fake.store import Transaction

FORMATS = frozenset({"qcow2", "raw"})
BUSES = frozenset({"virtio", "scsi", "sata", "ide"})
CACHES = frozenset({"none", "writeback", "writethrough", "directsync", "unsafe"})
#: What a thin volume takes before anything is written to it.
THIN_GIB = 0.01
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_PREFIXES = {"virtio": "vd", "scsi": "sd", "sata": "sd", "ide": "hd"}


def check_bus(bus: str) -> str:
    if bus and bus not in BUSES:
        raise InvalidRequest(f"There is no disk bus “{bus}”; known are {', '.join(sorted(BUSES))}.", field="bus")
    return bus or "virtio"


def free_target(vm: Vm, bus: str) -> str:
    """The next device name on that bus; raises InvalidRequest after the 26th."""
    taken = {disk.target for disk in vm.disks}
    for letter in _LETTERS:
        target = _PREFIXES[bus] + letter
        if target not in taken:
            return target
    raise InvalidRequest("A VM takes at most 26 disks on one bus.")


def pool_of(tx: Transaction, pool: str) -> Pool:
    """The pool of that id, or the default one for an empty id; raises Conflict for one that is switched off."""
    found = tx.get(Pool, pool or "pool-1")
    if not found.is_active:
        raise Conflict(f"The storage pool “{found.name}” is switched off.", field="pool")
    return found


def plugged(tx: Transaction, spec: DiskSpec, vm: Vm, *, boot: bool = False) -> Disk:
    """A disk for the VM: its volume made, or found and free. The caller puts it in and stores the VM."""
    bus = check_bus(spec.bus)
    if spec.cache not in {"", *CACHES}:
        raise InvalidRequest(f"There is no cache mode “{spec.cache}”.", field="cache")
    if spec.shareable and not spec.volume and not spec.format:
        spec = spec.model_copy(update={"format": "raw"})
    volume = tx.get(Volume, spec.volume) if spec.volume else make_volume(tx, spec, vm)
    refuse_taken(tx, volume, spec, vm)
    return Disk(
        target=free_target(vm, bus),
        volume=volume.id,
        bus=bus,
        boot=boot,
        cache=spec.cache,
        read_only=spec.read_only,
        shareable=spec.shareable,
    )


def refuse_taken(tx: Transaction, volume: Volume, spec: DiskSpec, vm: Vm) -> None:
    """A volume belongs to one VM unless all say that they share it; raises Conflict, AlreadyExists."""
    if any(disk.volume == volume.id for disk in vm.disks):
        raise AlreadyExists("The VM has this volume already.", field="volume")
    users = [(other.name, disk.shareable) for other in tx.all(Vm) for disk in other.disks if disk.volume == volume.id]
    if users and not (spec.shareable and all(is_shared for _, is_shared in users)):
        raise Conflict(f"The volume “{volume.name}” is used by “{users[0][0]}”.", field="volume")
    if spec.shareable and volume.format != "raw":
        raise InvalidRequest("Only raw volumes can be shared: two writers ruin any other.", field="shareable")


def iso_of(tx: Transaction, image_id: str) -> Image:
    image = tx.get(Image, image_id)
    if not image.is_iso:
        raise InvalidRequest(f"“{image.name}” is not an ISO image.", field="iso")
    return image


def make_volume(tx: Transaction, spec: DiskSpec, vm: Vm | None, name: str = "") -> Volume:
    """A volume, empty or with the content of an image; `vm` owns it when given.

    Raises InvalidRequest for a size or format that does not fit, AlreadyExists, OutOfCapacity.
    """
    pool = pool_of(tx, spec.pool)
    format_ = spec.format or "qcow2"
    if format_ not in FORMATS:
        raise InvalidRequest(f"There is no volume format “{format_}”.", field="format")
    image = tx.get(Image, spec.image) if spec.image else None
    if image is not None and image.is_iso:
        raise InvalidRequest(f"“{image.name}” is an ISO image; a disk cannot be made from it.", field="image")
    size_gib = float(spec.size_gib) if spec.size_gib is not None else image.size_gib if image is not None else 0.0
    if not size_gib:
        raise InvalidRequest("A disk without an image needs a size.", field="size_gib")
    if image is not None and size_gib < image.size_gib:
        raise InvalidRequest(f"The image “{image.name}” needs at least {image.size_gib:g} GiB.", field="size_gib")
    taken = {volume.name for volume in tx.all(Volume) if volume.pool == pool.id}
    wanted = name or spec.name
    if wanted and wanted in taken:
        raise AlreadyExists(f"There is a volume “{wanted}” in the pool “{pool.name}” already.", field="name")
    if not wanted:
        stem = vm.name if vm is not None else "disk"
        wanted = next(found for number in range(10_000) if (found := f"{stem}_{number}.{format_}") not in taken)
    allocation_gib = min(THIN_GIB, size_gib) if spec.thin else size_gib
    check_pool_room(tx, pool, size_gib=size_gib, allocation_gib=allocation_gib)
    volume = Volume(
        id=f"vol-{tx.next_number('volume')}",
        name=wanted,
        pool=pool.id,
        format=format_,
        size_gib=size_gib,
        allocation_gib=allocation_gib,
        backing=image.id if image is not None and spec.thin else "",
        content=image.content if image is not None else "",
        owner=vm.id if vm is not None else "",
    )
    tx.put(volume)
    tx.note(EventTopic.POOL, pool.id, "volume created")
    return volume


def check_pool_room(tx: Transaction, pool: Pool, *, size_gib: float, allocation_gib: float) -> None:
    """Raise OutOfCapacity when the pool is too small for the size, or too full for what is taken at once."""
    if not pool.capacity_gib:
        return
    used = sum(volume.allocation_gib for volume in tx.all(Volume) if volume.pool == pool.id)
    if size_gib > pool.capacity_gib or used + allocation_gib > pool.capacity_gib:
        raise OutOfCapacity(f"The pool “{pool.name}” has no room for {size_gib:g} GiB.", field="size_gib")


def grow(tx: Transaction, volume: Volume, size_gib: int) -> None:
    """Make a volume larger; raises InvalidRequest for a smaller size, OutOfCapacity."""
    if size_gib < volume.size_gib:
        raise InvalidRequest(
            f"The volume has {volume.size_gib:g} GiB and cannot shrink to {size_gib}.", field="size_gib"
        )
    more = size_gib - volume.size_gib if volume.allocation_gib >= volume.size_gib else 0.0
    check_pool_room(tx, tx.get(Pool, volume.pool), size_gib=size_gib, allocation_gib=more)
    volume.size_gib = float(size_gib)
    volume.allocation_gib += more
    tx.put(volume)
    tx.note(EventTopic.POOL, volume.pool, "volume grown")
