"""Lifecycle: list, read, create, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from providers.base import QUIET, Conflict, GuestRecord, Machines, NotFound, Progress, VmRecord, VmSpec
from providers.vsphere import guests, note
from providers.vsphere.creation import Creation
from providers.vsphere.errors import vendor_calls
from providers.vsphere.native import vim
from providers.vsphere.part import Part, places_of
from providers.vsphere.properties import Found, children, in_view, retrieve, wanted
from providers.vsphere.records import VM_PATHS, backing_files, is_template, note_of, vm_record

_LISTED: Sequence[Any] = (
    wanted(vim.VirtualMachine, *VM_PATHS),
    wanted(vim.HostSystem, "name", "parent"),
    wanted(vim.ComputeResource, "name"),
)


class VsphereMachines(Part, Machines):
    """A VM's identity is its managed object id, which the server never gives to another one."""

    def list(self) -> Sequence[VmRecord]:
        """All VMs with what they have, their hosts' names included: one call for every page of 500 objects."""
        with vendor_calls():
            everything = list(retrieve(self.connection, self._everything(), _LISTED))
            places = places_of(everything)
            return [vm_record(found, places) for found in everything if _is_vm(found)]

    def _everything(self) -> Sequence[Any]:
        """Objects of a list: the VMs of the folder, and the hosts of the datacenter."""
        view = self.connection.view
        if not self.config.folder.strip("/"):
            return [in_view(view(vim.VirtualMachine, vim.HostSystem, vim.ComputeResource))]
        return [in_view(self.shown()), in_view(view(vim.HostSystem, vim.ComputeResource))]

    def get(self, external_id: str) -> VmRecord:
        with vendor_calls():
            return self.record(external_id)

    def guest(self, external_id: str) -> GuestRecord:
        """What VMware Tools told the server last, which is at most a minute ago."""
        with vendor_calls():
            return guests.guest_record(self.look(external_id, *guests.PATHS)[0])

    def find(self, name: str) -> VmRecord:
        with vendor_calls():
            asked = [wanted(vim.VirtualMachine, "name", "config.template")]
            for found in retrieve(self.connection, [in_view(self.shown())], asked):
                if found.text("name") == name and not is_template(found):
                    return self.record(found.id)
        raise NotFound(f"There is no VM called “{name}”.")

    def create(self, spec: VmSpec, progress: Progress = QUIET) -> VmRecord:
        with vendor_calls():
            external_id = Creation(self.connection, self.config).run(spec, progress)
            record = self.record(external_id)
        progress.report(100, "Done")
        return record

    def discard(self, portal_uuid: str) -> bool:
        """Remove the VM that a create left half made when its worker died; never one that is complete."""
        if not portal_uuid:
            return False
        with vendor_calls():
            creation = Creation(self.connection, self.config)
            external_id = creation.made_before(note.instance_of(portal_uuid))
            if not external_id:
                return False
            known = note_of(self.look(external_id)[0])
            if known.portal_uuid != portal_uuid or not known.is_unfinished:
                return False
            creation.destroy(external_id)
            return True

    def delete(
        self,
        external_id: str,
        *,
        keep_disks: bool = False,
        with_snapshots: bool = False,
        progress: Progress = QUIET,
    ) -> None:
        """The server deletes every disk that is plugged in, so those that must stay are unplugged first."""
        with vendor_calls():
            found, _ = self.look(external_id)
            if "snapshot" in found.values and not with_snapshots:
                raise Conflict("The VM has snapshots; delete them first.")
            files = set(_files(found))
            others = self.used_by_others(external_id)
            parents = {file for each in others for file in each[1:]} & files
            if parents:
                raise Conflict(
                    "Another VM is a linked clone of this one and builds on its disk; delete that one first."
                )
            foreign = ({each[0] for each in others} | set(note_of(found).attached)) & files
            vm = self.handle(external_id)
            if found.text("runtime.powerState") != "poweredOff":
                progress.report(10, "Switching it off")
                self.run_task(vm.PowerOffVM_Task(), can_stop=False)
            if keep_disks and "snapshot" in found.values:
                progress.report(20, "Merging its snapshots")
                self.run_task(vm.RemoveAllSnapshots_Task(None, None), can_stop=False)
            self._unplug(external_id, None if keep_disks else foreign)
            progress.report(50, "Deleting it")
            self.run_task(vm.Destroy_Task(), can_stop=False)
            progress.report(100, "Deleted")

    def _unplug(self, external_id: str, files: set[str] | None) -> None:
        """Take out the disks with these files, or all of them, and leave the files."""
        if files is not None and not files:
            return
        layout = self.layout(external_id)
        for disk in layout.disks:
            if files is None or getattr(disk.backing, "fileName", "") in files:
                layout.remove(disk)
        if layout.changes:
            self.reconfigure(external_id, vim.vm.ConfigSpec(deviceChange=layout.changes))


def _is_vm(found: Found) -> bool:
    """Neither a template nor one on its way in."""
    if found.kind != "VirtualMachine" or is_template(found):
        return False
    known = note_of(found)
    return not (known.is_image and known.is_unfinished)


def _files(found: Found) -> Sequence[str]:
    """The files that are plugged in as disks, without those below them."""
    devices = children(found.values.get("config.hardware.device"))
    return [files[0] for files in (backing_files(device) for device in devices) if files]
