"""Volumes of a simulated cloud."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from providers.base import (
    QUIET,
    AlreadyExists,
    Conflict,
    DiskSpec,
    EventTopic,
    InvalidRequest,
    Progress,
    VolumeRecord,
    Volumes,
    VolumeSpec,
)
from providers.fake import blocks
from providers.fake.cloud import Part
from providers.fake.moments import keeps
from providers.fake.records import volume_record
from providers.fake.state import Pool, Vm, Volume
from providers.fake.store import Transaction


def refuse_written(tx: Transaction, volume: Volume) -> None:
    """Raise Conflict while a VM that is on may write to the volume: a copy would be torn."""
    for vm in tx.all(Vm):
        vm.settle(tx.now)
        if not vm.is_stopped and any(disk.volume == volume.id and not disk.read_only for disk in vm.disks):
            raise Conflict(f"The VM “{vm.name}” writes to this volume; stop it first.")


def refuse_used(tx: Transaction, volume: Volume, *, but: str = "") -> None:
    """Raise Conflict while a VM (other than `but`), a snapshot or an overlay needs the volume."""
    for vm in tx.all(Vm):
        if vm.id == but:
            continue
        if any(disk.volume == volume.id for disk in vm.disks):
            raise Conflict(f"The VM “{vm.name}” uses this volume.")
        if keeps(vm, volume.id):
            raise Conflict(f"A snapshot of “{vm.name}” needs this volume.")
    for other in tx.all(Volume):
        if other.backing == volume.id:
            raise Conflict(f"The volume “{other.name}” is an overlay of this one.")


#: So many bytes of a volume are kept in the cloud's file; what lies beyond reads as nothing.
_KEPT_BYTES = 1024 * 1024
_PIECE = 64 * 1024


class FakeVolumes(Part, Volumes):
    def list(self, pool: str = "") -> Sequence[VolumeRecord]:
        with self.cloud.reading("volumes.list") as tx:
            if pool:
                tx.get(Pool, pool)
            pools = {found.id: found for found in tx.all(Pool)}
            vms = [vm for vm in tx.all(Vm) if not vm.is_building]
            users: dict[str, list[Vm]] = {}
            for vm in vms:
                for disk in vm.disks:
                    users.setdefault(disk.volume, []).append(vm)
            return [
                volume_record(volume, pools, users.get(volume.id, []))
                for volume in tx.all(Volume)
                if not pool or volume.pool == pool
            ]

    def get(self, external_id: str) -> VolumeRecord:
        with self.cloud.reading("volumes.get") as tx:
            return self._record(tx, tx.get(Volume, external_id))

    def create(self, spec: VolumeSpec, progress: Progress = QUIET) -> VolumeRecord:
        with self.cloud.writing("volumes.create", progress=progress) as tx:
            wish = DiskSpec(
                size_gib=spec.size_gib, pool=spec.pool, format=spec.format, thin=spec.thin, image=spec.image
            )
            record = self._record(tx, blocks.make_volume(tx, wish, None, spec.name))
            progress.report(100, "Made.")
            return record

    def grow(self, external_id: str, size_gib: int) -> VolumeRecord:
        with self.cloud.writing("volumes.grow") as tx:
            volume = tx.get(Volume, external_id)
            blocks.grow(tx, volume, size_gib)
            return self._record(tx, volume)

    def clone(self, external_id: str, name: str, *, pool: str = "", progress: Progress = QUIET) -> VolumeRecord:
        with self.cloud.writing("volumes.clone", progress=progress) as tx:
            volume = tx.get(Volume, external_id)
            refuse_written(tx, volume)
            target = blocks.pool_of(tx, pool or volume.pool)
            if any(other.name == name and other.pool == target.id for other in tx.all(Volume)):
                raise AlreadyExists(f"There is a volume “{name}” in the pool “{target.name}” already.", field="name")
            blocks.check_pool_room(tx, target, size_gib=volume.size_gib, allocation_gib=volume.allocation_gib)
            progress.report(50, "Copying the volume.")
            progress.checkpoint()
            copy = volume.model_copy(
                update={
                    "id": f"vol-{tx.next_number('volume')}",
                    "name": name,
                    "pool": target.id,
                    "backing": "",
                    "owner": "",
                }
            )
            tx.put(copy)
            tx.note(EventTopic.POOL, target.id, "volume cloned")
            progress.report(100, "Copied.")
            return self._record(tx, copy)

    def upload(
        self,
        external_id: str,
        read: Callable[[int], bytes],
        *,
        offset: int = 0,
        length: int,
        progress: Progress = QUIET,
    ) -> VolumeRecord:
        with self.cloud.writing("volumes.upload", progress=progress) as tx:
            volume = tx.get(Volume, external_id)
            refuse_used(tx, volume)
            if offset < 0 or length < 0 or offset + length > volume.size_gib * 1024**3:
                raise InvalidRequest("The volume is too small for this.", field="length")
            old = volume.content.encode("latin-1", "replace")
            new = bytearray(old[:offset].ljust(min(offset, _KEPT_BYTES), b"\0"))
            came = 0
            while came < length:
                progress.checkpoint()
                piece = read(min(_PIECE, length - came))
                if not piece:
                    raise InvalidRequest("The upload ended too early.", field="length")
                came += len(piece)
                new += piece[: max(0, _KEPT_BYTES - len(new))]
                progress.report(came * 99 // length, "Writing the volume.")
            new += old[offset + length :]
            volume.content = bytes(new).decode("latin-1")
            tx.put(volume)
            tx.note(EventTopic.POOL, volume.pool, "volume written")
            return self._record(tx, volume)

    def download(
        self,
        external_id: str,
        write: Callable[[bytes], None],
        *,
        offset: int = 0,
        length: int | None = None,
        progress: Progress = QUIET,
    ) -> int:
        with self.cloud.reading("volumes.download") as tx:
            volume = tx.get(Volume, external_id)
            refuse_written(tx, volume)
        content = volume.content.encode("latin-1", "replace")[offset:]
        content = content if length is None else content[:length].ljust(length, b"\0")
        for start in range(0, len(content), _PIECE):
            progress.checkpoint()
            write(content[start : start + _PIECE])
            progress.report(min(99, start * 100 // len(content)), "Reading the volume.")
        return len(content)

    def delete(self, external_id: str) -> None:
        with self.cloud.writing("volumes.delete") as tx:
            volume = tx.get(Volume, external_id)
            refuse_used(tx, volume)
            tx.drop(volume)
            tx.note(EventTopic.POOL, volume.pool, "volume deleted")

    @staticmethod
    def _record(tx: Transaction, volume: Volume) -> VolumeRecord:
        return volume_record(volume, {pool.id: pool for pool in tx.all(Pool)}, tx.all(Vm))
