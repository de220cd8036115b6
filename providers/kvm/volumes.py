"""Volumes: disks that exist whether or not a VM has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from providers.base import QUIET, Conflict, InvalidRequest, Progress, VolumeRecord, Volumes, VolumeSpec
from providers.kvm import storage, unfinished
from providers.kvm.design import check_name
from providers.kvm.errors import vendor_calls
from providers.kvm.inventory import Inventory
from providers.kvm.native import libvirt
from providers.kvm.part import Part
from providers.kvm.transfers import Transfers
from providers.kvm.users import refuse_disguised, refuse_when_used, refuse_while_written
from providers.kvm.xml.storage import SeenVolume


class KvmVolumes(Part, Volumes):
    """A volume's identity is libvirt's key: the path of a file or device, or the storage's own id."""

    def list(self, pool: str = "") -> Sequence[VolumeRecord]:
        """Looks at the pools' files again, so 0.5 ms for each volume."""
        with vendor_calls():
            pools = [self.pool(pool)] if pool else self.active_pools()
            seen = storage.all_seen(pools, refresh=True)
            users = Inventory.of(self.connection).users_of(*(volume.path for _, volume in seen))
            names = {(owner.name(), volume.name) for owner, volume in seen}
            return [
                volume_record(owner.name(), volume, users[volume.path])
                for owner, volume in seen
                # Images that are still being brought in are nobody's volumes yet.
                if not unfinished.is_marked(volume.name, owner.name(), names)
            ]

    def get(self, external_id: str) -> VolumeRecord:
        with vendor_calls():
            return self._record(self.volume(external_id))

    def create(self, spec: VolumeSpec, progress: Progress = QUIET) -> VolumeRecord:
        check_name(spec.name)
        with vendor_calls():
            pool = self.pool(spec.pool)
            in_files = storage.pool_type(pool) in storage.FILE_POOLS
            format_ = spec.format or ("qcow2" if in_files else "raw")
            if format_ not in {"qcow2", "raw"} or (format_ == "qcow2" and not in_files):
                raise InvalidRequest(f"The pool keeps no volumes of format “{format_}”.", field="format")
            capacity = spec.size_gib * storage.GIB
            if not spec.image:
                return self._record(
                    storage.blank(pool, name=spec.name, capacity=capacity, format_=format_, thin=spec.thin)
                )
            image_volume = self.volume(spec.image, "image", "image")
            image = storage.check_image(self.raw, image_volume, field="image")
            if capacity < image.capacity:
                least = -(-image.capacity // storage.GIB)
                raise InvalidRequest(f"This image needs a volume of {least} GiB or more.", field="size_gib")
            if spec.thin and format_ == "qcow2":
                return self._record(storage.overlay(pool, image, name=spec.name, capacity=capacity))
            return self._record(
                storage.copy(
                    pool, image_volume, image, name=spec.name, capacity=capacity, format_=format_, progress=progress
                )
            )

    def grow(self, external_id: str, size_gib: int) -> VolumeRecord:
        """Also while its VM runs, which then sees the new size at once. Raises Conflict for what others build on."""
        with vendor_calls():
            volume = self.volume(external_id)
            seen = storage.seen(volume)
            capacity = size_gib * storage.GIB
            if capacity < seen.capacity:
                raise InvalidRequest("A volume can only grow.", field="size_gib")
            if capacity == seen.capacity:
                return self._record(volume)
            if storage.overlays_of(self.raw, [seen.path])[seen.path]:
                raise Conflict("Other volumes build on it, so it must stay as it is.")
            grow_anywhere(self.connection, volume, seen, capacity)
            return self._record(volume)

    def clone(self, external_id: str, name: str, *, pool: str = "", progress: Progress = QUIET) -> VolumeRecord:
        """libvirt copies on the host itself; it cannot be broken off in the middle."""
        check_name(name)
        with vendor_calls():
            volume = self.volume(external_id)
            refuse_while_written(self, volume)
            seen = storage.check_image(self.raw, volume, field="volume")
            refuse_disguised(self, volume, seen.format)
            target = self.pool(pool) if pool else volume.storagePoolLookupByVolume()
            in_files = storage.pool_type(target) in storage.FILE_POOLS
            copy = storage.copy(
                target,
                volume,
                seen,
                name=name,
                capacity=seen.capacity,
                format_="qcow2" if in_files and seen.format == "qcow2" else "raw",
                progress=progress,
            )
            progress.report(100, "Done")
            return self._record(copy)

    def upload(
        self,
        external_id: str,
        read: Callable[[int], bytes],
        *,
        offset: int = 0,
        length: int,
        progress: Progress = QUIET,
    ) -> VolumeRecord:
        with vendor_calls():
            volume = self.volume(external_id)
            Transfers(self.connection, self.config).upload(
                volume, read, offset=offset, length=length, progress=progress
            )
            progress.report(100, "Done")
            return self._record(self.volume(external_id))

    def download(
        self,
        external_id: str,
        write: Callable[[bytes], None],
        *,
        offset: int = 0,
        length: int | None = None,
        progress: Progress = QUIET,
    ) -> int:
        with vendor_calls():
            volume = self.volume(external_id)
            got = Transfers(self.connection, self.config).download(
                volume, write, offset=offset, length=length, progress=progress
            )
            progress.report(100, "Done")
            return got

    def delete(self, external_id: str) -> None:
        with vendor_calls():
            volume = self.volume(external_id)
            refuse_when_used(self, volume)
            storage.remove(volume)

    def _record(self, volume: Any) -> VolumeRecord:
        seen = storage.seen(volume)
        users = Inventory.of(self.connection).users_of(seen.path)
        return volume_record(volume.storagePoolLookupByVolume().name(), seen, users[seen.path])


def volume_record(pool: str, volume: SeenVolume, users: tuple[str, ...]) -> VolumeRecord:
    return VolumeRecord(
        external_id=volume.key,
        name=volume.name,
        pool=pool,
        path=volume.path,
        format=volume.format,
        size_gib=volume.capacity / storage.GIB,
        allocation_gib=volume.allocation / storage.GIB,
        backing=volume.backing,
        used_by=users,
    )


def grow_anywhere(connection: Any, volume: Any, seen: SeenVolume, capacity: int) -> None:
    """Grow through the running VMs that have the volume open, else in the pool: QEMU locks what it has open."""
    is_open = False
    for vm, known in Inventory.of(connection).everything():
        drive = next((drive for drive in known.machine.drives if drive.source == seen.path), None)
        if drive is not None:
            Inventory.of(connection).forget(vm.uuid)
            if vm.is_active:
                # Each of those that share it has to be told.
                vm.domain.blockResize(drive.target, capacity, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
                is_open = True
    if not is_open:
        volume.resize(capacity)
