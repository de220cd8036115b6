"""Disks of a VM, and the medium in its drive."""

from __future__ import annotations

from dataclasses import replace

from providers.base import (
    QUIET,
    Conflict,
    Disks,
    DiskSpec,
    InvalidRequest,
    NotFound,
    NotSupported,
    PowerState,
    Progress,
    VmRecord,
)
from providers.vsphere.creation import grow
from providers.vsphere.datastores import demand_file
from providers.vsphere.errors import vendor_calls
from providers.vsphere.native import vim
from providers.vsphere.part import Part
from providers.vsphere.properties import below, children
from providers.vsphere.records import KIB_PER_GIB, backing_files, note_of, power_of
from providers.vsphere.site import read_site


class VsphereDisks(Part, Disks):
    def attach(self, external_id: str, disk: DiskSpec, progress: Progress = QUIET) -> VmRecord:
        """A new disk lies in the VM's folder. One that existed before is noted, so that it outlives the VM."""
        if disk.cache or disk.read_only:
            raise NotSupported("vSphere has neither a choice of caches nor disks that can only be read.")
        if disk.image:
            raise NotSupported("Only the first disk of a new VM can begin with an image.")
        if not disk.volume and disk.size_gib is None:
            raise InvalidRequest("An empty disk needs a size.", field="size_gib")
        with vendor_calls():
            found, _ = self.look(external_id)
            known = note_of(found).of(found.text("config.instanceUuid"))
            layout = self.layout(external_id)
            if disk.volume:
                if any(_file(each) == disk.volume for each in layout.disks):
                    return self.record(external_id)
                demand_file(self.connection, disk.volume)
                self._demand_free(external_id, disk)
                known = replace(known, attached=(*known.attached, disk.volume))
            store = "" if disk.volume else read_site(self.connection).datastore(disk.pool).text("name")
            progress.report(20, "Plugging in the disk")
            layout.add_disk(
                datastore=store,
                size_gib=disk.size_gib or 0,
                file=disk.volume,
                thin=disk.thin,
                bus=disk.bus,
                shared=disk.shareable,
            )
            return self.rearranged(external_id, layout, known if disk.volume else None)

    def _demand_free(self, external_id: str, disk: DiskSpec) -> None:
        """A volume that others have may be taken only when all of them share it."""
        for vm in self.everybody("config.hardware.device"):
            for device in children(vm.values.get("config.hardware.device")):
                if vm.id == external_id or disk.volume not in backing_files(device):
                    continue
                if not (disk.shareable and below(device, "backing/sharing") == "sharingMultiWriter"):
                    raise Conflict("Another VM has this disk.")

    def _is_taken(self, external_id: str, file: str) -> bool:
        return any(file in files for files in self.used_by_others(external_id))

    def detach(self, external_id: str, disk_id: str, *, delete: bool = False) -> VmRecord:
        with vendor_calls():
            found, _ = self.look(external_id)
            layout = self.layout(external_id)
            disk = layout.disk(disk_id)
            if "snapshot" in found.values:
                raise Conflict("The VM has snapshots that need this disk; delete them first.")
            file = _file(disk)
            if delete and self._is_taken(external_id, file):
                raise Conflict("Another VM uses this disk, so it cannot be deleted.")
            layout.remove(disk, destroy=delete)
            known = note_of(found)
            if file not in known.attached:
                return self.rearranged(external_id, layout)
            left = tuple(each for each in known.attached if each != file)
            return self.rearranged(external_id, layout, replace(known, attached=left))

    def grow(self, external_id: str, disk_id: str, size_gib: int) -> VmRecord:
        with vendor_calls():
            found, _ = self.look(external_id)
            layout = self.layout(external_id)
            disk = layout.disk(disk_id)
            if size_gib * KIB_PER_GIB < disk.capacityInKB:
                raise InvalidRequest("A disk can only grow.", field="size_gib")
            if "snapshot" in found.values:
                raise Conflict("A disk with snapshots cannot grow; delete them first.")
            grow(layout, disk, size_gib)
            return self.rearranged(external_id, layout)

    def move(self, external_id: str, disk_id: str, pool: str, progress: Progress = QUIET) -> VmRecord:
        """The server copies the disk and lets go of the original; the VM's other files stay where they are."""
        if not pool:
            raise InvalidRequest("Choose the datastore.", field="pool")
        with vendor_calls():
            found, _ = self.look(external_id)
            layout = self.layout(external_id)
            disk = layout.disk(disk_id)
            file, store = _file(disk), read_site(self.connection).datastore(pool)
            if file.startswith(f"[{store.text('name')}] "):
                return self.record(external_id)
            if power_of(found)[0] is not PowerState.STOPPED:
                raise Conflict("Stop the VM first.")
            if "snapshot" in found.values:
                raise Conflict("The VM has snapshots that need this disk where it is; delete them first.")
            if self._is_taken(external_id, file):
                raise Conflict("Another VM uses this disk or builds on it.")
            place = vim.vm.RelocateSpec.DiskLocator(
                diskId=disk.key, datastore=self.connection.object(vim.Datastore, store.id)
            )
            task = self.handle(external_id).RelocateVM_Task(vim.vm.RelocateSpec(disk=[place]))
            self.run_task(task, progress, sentence="Copying the disk")
            return self._noted_anew(external_id, file, disk_id)

    def _noted_anew(self, external_id: str, old: str, disk_id: str) -> VmRecord:
        """A disk that outlives its VM does so at its new place."""
        found, _ = self.look(external_id)
        known = note_of(found).of(found.text("config.instanceUuid"))
        if old in known.attached:
            moved = _file(self.layout(external_id).disk(disk_id))
            attached = tuple(moved if each == old else each for each in known.attached)
            self.keep(external_id, replace(known, attached=attached), vim.vm.ConfigSpec())
        return self.record(external_id)

    def set_iso(self, external_id: str, image: str | None, *, force: bool = False) -> VmRecord:
        """The server takes a medium out of a running guest's hands without asking, so `force` changes nothing."""
        del force
        with vendor_calls():
            self.look(external_id)
            if image is not None and not image.lower().endswith(".iso"):
                raise NotFound(f"There is no ISO image “{image}”.", field="image")
            if image is not None:
                demand_file(self.connection, image)
            layout = self.layout(external_id)
            if image is None:
                layout.eject()
            else:
                layout.insert(image)
            return self.rearranged(external_id, layout)


def _file(device: object) -> str:
    return str(getattr(getattr(device, "backing", None), "fileName", "") or "")
