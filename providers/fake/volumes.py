"""Volumes of a simulated cloud."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import QUIET, Conflict, DiskSpec, EventTopic, Progress, VolumeRecord, Volumes, VolumeSpec
from providers.fake import blocks
from providers.fake.cloud import Part
from providers.fake.moments import keeps
from providers.fake.records import volume_record
from providers.fake.state import Pool, Vm, Volume
from providers.fake.store import Transaction


def refuse_used(tx: Transaction, volume: Volume) -> None:
    """Raise Conflict while a VM, a snapshot or an overlay needs the volume."""
    for vm in tx.all(Vm):
        if any(disk.volume == volume.id for disk in vm.disks):
            raise Conflict(f"The VM “{vm.name}” uses this volume.")
        if keeps(vm, volume.id):
            raise Conflict(f"A snapshot of “{vm.name}” needs this volume.")
    for other in tx.all(Volume):
        if other.backing == volume.id:
            raise Conflict(f"The volume “{other.name}” is an overlay of this one.")


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

    def delete(self, external_id: str) -> None:
        with self.cloud.writing("volumes.delete") as tx:
            volume = tx.get(Volume, external_id)
            refuse_used(tx, volume)
            tx.drop(volume)
            tx.note(EventTopic.POOL, volume.pool, "volume deleted")

    @staticmethod
    def _record(tx: Transaction, volume: Volume) -> VolumeRecord:
        return volume_record(volume, {pool.id: pool for pool in tx.all(Pool)}, tx.all(Vm))
