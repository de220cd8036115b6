"""Snapshots: the server's own, of disks and, where wished, of memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from providers.base import (
    QUIET,
    AlreadyExists,
    Conflict,
    InvalidRequest,
    NotFound,
    NotSupported,
    PowerState,
    Progress,
    SnapshotRecord,
    Snapshots,
    VmRecord,
)
from providers.vsphere.errors import vendor_calls
from providers.vsphere.native import vim
from providers.vsphere.part import Part
from providers.vsphere.properties import Found, children
from providers.vsphere.records import backing_files, power_of, snapshot_refs, snapshots_of

_LONGEST_NAME = 80


class VsphereSnapshots(Part, Snapshots):
    def list(self, external_id: str) -> Sequence[SnapshotRecord]:
        with vendor_calls():
            return _records(self.look(external_id)[0])

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
        """vSphere would take the same name twice; here it is refused, since names tell snapshots apart."""
        if external:
            raise NotSupported("vSphere has one sort of snapshots only.")
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise InvalidRequest(f"A snapshot's name has 1 to {_LONGEST_NAME} printable characters.", field="name")
        with vendor_calls():
            found, _ = self.look(external_id)
            if any(record.name == name for record in _records(found)):
                raise AlreadyExists(f"There is a snapshot “{name}” already.", field="name")
            if memory and power_of(found)[0] is not PowerState.RUNNING:
                raise Conflict("Only a running VM has memory to keep.")
            task = self.handle(external_id).CreateSnapshot_Task(name, description, memory, False)
            self.run_task(task, progress, sentence="Taking the snapshot")
            return next(record for record in self.list(external_id) if record.name == name)

    def revert(self, external_id: str, name: str, progress: Progress = QUIET) -> VmRecord:
        with vendor_calls():
            snapshot = self._one(self.look(external_id)[0], name)
            task = snapshot.RevertToSnapshot_Task(None, False)
            self.run_task(task, progress, sentence="Going back", can_stop=False)
            return self.record(external_id)

    def delete(self, external_id: str, name: str, progress: Progress = QUIET) -> None:
        with vendor_calls():
            found, _ = self.look(external_id)
            snapshot = self._one(found, name)
            files = {
                file
                for device in children(found.values.get("config.hardware.device"))
                for file in backing_files(device)
            }
            if files & {file for each in self.used_by_others(external_id) for file in each[1:]}:
                raise Conflict("A linked clone builds on a disk of this VM; delete the clone first.")
            self.run_task(snapshot.RemoveSnapshot_Task(False, True), progress, sentence="Merging", can_stop=False)

    def _one(self, vm: Found, name: str) -> Any:
        ref = snapshot_refs(vm.values.get("snapshot")).get(name)
        if ref is None:
            raise NotFound(f"There is no snapshot “{name}”.")
        return self.connection.object(vim.vm.Snapshot, ref)


def _records(vm: Found) -> Sequence[SnapshotRecord]:
    return list(snapshots_of(vm.values.get("snapshot")))
