"""Disks and drives of simulated VMs; everything works on a running VM too."""

from __future__ import annotations

from providers.base import QUIET, Conflict, DiskDevice, Disks, DiskSpec, EventTopic, NotFound, Progress, VmRecord
from providers.fake import blocks
from providers.fake.cloud import Part
from providers.fake.moments import keeps
from providers.fake.state import Disk, Vm, Volume
from providers.fake.vms import saved, vm_of
from providers.fake.volumes import refuse_used


def disk_of(vm: Vm, disk_id: str) -> Disk:
    for disk in vm.disks:
        if disk.target == disk_id:
            return disk
    raise NotFound(f"“{vm.name}” has no disk “{disk_id}”.")


class FakeDisks(Part, Disks):
    def attach(self, external_id: str, disk: DiskSpec, progress: Progress = QUIET) -> VmRecord:
        with self.cloud.writing("disks.attach", vm=external_id, progress=progress) as tx:
            vm = vm_of(tx, external_id)
            vm.disks.append(blocks.plugged(tx, disk, vm))
            return saved(self.cloud, tx, vm, "disk attached")

    def detach(self, external_id: str, disk_id: str, *, delete: bool = False) -> VmRecord:
        with self.cloud.writing("disks.detach", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            disk = disk_of(vm, disk_id)
            vm.disks.remove(disk)
            tx.put(vm)
            if disk.volume:
                volume = tx.get(Volume, disk.volume)
                if delete:
                    if keeps(vm, volume.id):
                        raise Conflict("A snapshot needs this disk.")
                    refuse_used(tx, volume)
                    tx.drop(volume)
                elif volume.owner == vm.id:
                    # A detached disk stands alone: it is not deleted with the VM that once had it.
                    volume.owner = ""
                    tx.put(volume)
            return saved(self.cloud, tx, vm, "disk detached")

    def grow(self, external_id: str, disk_id: str, size_gib: int) -> VmRecord:
        with self.cloud.writing("disks.grow", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            disk = disk_of(vm, disk_id)
            if not disk.volume:
                raise Conflict("A drive has no size of its own.")
            blocks.grow(tx, tx.get(Volume, disk.volume), size_gib)
            return saved(self.cloud, tx, vm, "disk grown")

    def move(self, external_id: str, disk_id: str, pool: str, progress: Progress = QUIET) -> VmRecord:
        with self.cloud.writing("disks.move", vm=external_id, progress=progress) as tx:
            vm = vm_of(tx, external_id)
            disk = disk_of(vm, disk_id)
            if not vm.is_stopped:
                raise Conflict("Stop the VM first.")
            if not disk.volume:
                raise Conflict("A drive has no disk of its own to move.")
            volume, target = tx.get(Volume, disk.volume), blocks.pool_of(tx, pool)
            if volume.pool == target.id:
                return saved(self.cloud, tx, vm, "disk is there")
            if keeps(vm, volume.id):
                raise Conflict("A snapshot needs this disk where it is.")
            refuse_used(tx, volume, but=vm.id)
            taken = {other.name for other in tx.all(Volume) if other.pool == target.id}
            if volume.name in taken:
                volume.name = next(name for n in range(10_000) if (name := f"{n}_{volume.name}") not in taken)
            blocks.check_pool_room(tx, target, size_gib=volume.size_gib, allocation_gib=volume.allocation_gib)
            progress.report(50, "Copying the disk.")
            progress.checkpoint()
            tx.note(EventTopic.POOL, volume.pool, "disk moved away")
            # It arrives with all its content: what it built on stays behind.
            volume.pool, volume.backing = target.id, ""
            tx.put(volume)
            tx.note(EventTopic.POOL, target.id, "disk moved in")
            progress.report(100, "Moved.")
            return saved(self.cloud, tx, vm, "disk moved")

    def set_iso(self, external_id: str, image: str | None, *, force: bool = False) -> VmRecord:
        del force
        with self.cloud.writing("disks.set_iso", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            if image is not None:
                blocks.iso_of(tx, image)
            drive = next((disk for disk in vm.disks if disk.device is DiskDevice.CDROM), None)
            if drive is None and image is not None:
                drive = Disk(target=blocks.free_target(vm, "sata"), device=DiskDevice.CDROM, bus="sata")
                vm.disks.append(drive)
            if drive is not None:
                drive.image = image or ""
            return saved(self.cloud, tx, vm, "medium changed")
