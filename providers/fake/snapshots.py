"""Snapshots of simulated VMs: a tree, with memory when asked; going back really restores sizes and content."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import (
    QUIET,
    AlreadyExists,
    Conflict,
    InvalidRequest,
    NotFound,
    PowerState,
    Progress,
    SnapshotRecord,
    Snapshots,
    VmRecord,
)
from providers.fake.cloud import Part
from providers.fake.moments import remove, restore, take
from providers.fake.records import snapshot_record, snapshot_records
from providers.fake.state import Snapshot, Vm
from providers.fake.vms import check_room, saved, vm_of


def snapshot_of(vm: Vm, name: str) -> Snapshot:
    for snapshot in vm.snapshots:
        if snapshot.name == name:
            return snapshot
    raise NotFound(f"“{vm.name}” has no snapshot “{name}”.")


class FakeSnapshots(Part, Snapshots):
    def list(self, external_id: str) -> Sequence[SnapshotRecord]:
        with self.cloud.reading("snapshots.list", vm=external_id) as tx:
            return snapshot_records(vm_of(tx, external_id))

    def create(
        self,
        external_id: str,
        name: str,
        *,
        description: str = "",
        memory: bool = False,
        external: bool = False,
        progress: Progress = QUIET,
    ) -> SnapshotRecord:
        if not name or name != name.strip() or not name.isprintable():
            raise InvalidRequest("A snapshot needs a printable name without outer blanks.", field="name")
        if memory and external:
            raise InvalidRequest("An external snapshot keeps no memory.", field="external")
        with self.cloud.writing("snapshots.create", vm=external_id, progress=progress) as tx:
            vm = vm_of(tx, external_id)
            if any(snapshot.name == name for snapshot in vm.snapshots):
                raise AlreadyExists(f"“{vm.name}” has a snapshot “{name}” already.", field="name")
            if memory and vm.power not in (PowerState.RUNNING, PowerState.PAUSED):
                raise Conflict("Only a running VM has memory to keep.")
            made = take(tx, vm, name, description=description, memory=memory, external=external)
            saved(self.cloud, tx, vm, "snapshot made")
            progress.report(100, "Snapshot made.")
            return snapshot_record(vm, made)

    def revert(self, external_id: str, name: str, progress: Progress = QUIET) -> VmRecord:
        with self.cloud.writing("snapshots.revert", vm=external_id, progress=progress) as tx:
            vm = vm_of(tx, external_id)
            snapshot = snapshot_of(vm, name)
            if snapshot.has_memory:
                check_room(self.cloud, tx, vcpus=snapshot.vcpus, memory_mib=snapshot.memory_mib, except_for=external_id)
            restore(tx, vm, snapshot)
            progress.report(100, "Back at the snapshot.")
            return saved(self.cloud, tx, vm, "reverted")

    def delete(self, external_id: str, name: str, progress: Progress = QUIET) -> None:
        with self.cloud.writing("snapshots.delete", vm=external_id, progress=progress) as tx:
            vm = vm_of(tx, external_id)
            remove(vm, snapshot_of(vm, name))
            saved(self.cloud, tx, vm, "snapshot deleted")
            progress.report(100, "Snapshot deleted.")
