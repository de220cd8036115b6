"""What can be done to a machine's disks and its drive."""

from __future__ import annotations

from kvweb.accounts.models import User
from kvweb.jobs.models import Job
from providers.base import DiskSpec
from storage.models import Image, Pool, Volume
from vms.models import VirtualMachine
from vms.services import start_job


def attach_disk(
    vm: VirtualMachine,
    *,
    user: User,
    size_gib: int | None = None,
    pool: Pool | None = None,
    volume: Volume | None = None,
    bus: str = "",
    cache: str = "",
    format: str = "",  # noqa: A002 - the word of the contract
    thin: bool = True,
    shareable: bool = False,
    read_only: bool = False,
) -> Job:
    """Plug in a new disk, or `volume` when it is given. A running machine takes it at once where its provider can."""
    spec = DiskSpec(
        size_gib=None if volume else size_gib,
        pool=pool.external_id if pool and not volume else "",
        volume=volume.external_id if volume else "",
        bus=bus,
        cache=cache,
        format="" if volume else format,
        thin=thin,
        shareable=shareable,
        read_only=read_only,
    )
    return start_job(
        vm,
        "vm.attach_disk",
        verb=f"Attach “{volume.name}” to" if volume else f"Attach a disk of {size_gib} GiB to",
        doing="Attaching a disk",
        user=user,
        params={"spec": spec.model_dump(mode="json", exclude_defaults=True)},
    )


def grow_disk(vm: VirtualMachine, *, user: User, disk: str, size_gib: int) -> Job:
    return start_job(
        vm,
        "vm.grow_disk",
        verb=f"Grow disk {disk} of",
        doing="Growing a disk",
        user=user,
        params={"disk": disk, "size_gib": size_gib},
    )


def detach_disk(vm: VirtualMachine, *, user: User, disk: str, delete: bool = False) -> Job:
    """Unplug a disk; its volume stays unless `delete`."""
    return start_job(
        vm,
        "vm.detach_disk",
        verb=f"Delete disk {disk} of" if delete else f"Detach disk {disk} of",
        doing="Deleting a disk" if delete else "Detaching a disk",
        user=user,
        params={"disk": disk, "delete": delete},
    )


def move_disk(vm: VirtualMachine, *, user: User, disk: str, pool: Pool) -> Job:
    """Copy a disk of a machine that is off to another pool, in its place."""
    return start_job(
        vm,
        "vm.move_disk",
        verb=f"Move disk {disk} to “{pool}” of",
        doing="Moving a disk",
        user=user,
        params={"disk": disk, "pool": pool.external_id},
    )


def insert_iso(vm: VirtualMachine, *, user: User, image: Image) -> Job:
    return start_job(
        vm,
        "vm.set_iso",
        verb=f"Insert “{image}” into",
        doing="Inserting an image",
        user=user,
        params={"image": image.external_id},
    )


def eject_iso(vm: VirtualMachine, *, user: User, force: bool = False) -> Job:
    """`force` pulls it out also while the guest holds it."""
    return start_job(
        vm,
        "vm.set_iso",
        verb="Eject the image of",
        doing="Ejecting",
        user=user,
        params={"image": None, "force": force},
    )
