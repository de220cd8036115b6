"""Clones of a VM, templates made from one, and VMs that become templates themselves."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from providers.base import (
    QUIET,
    Clones,
    Conflict,
    ImageRecord,
    NotFound,
    NotSupported,
    PowerState,
    Progress,
    VmRecord,
)
from providers.guest.cloudinit import SeedTexts
from providers.guest.identity import of_copy
from providers.vsphere import guestinfo, note
from providers.vsphere.creation import Creation, check_name, refuse_taken_name
from providers.vsphere.errors import vendor_calls
from providers.vsphere.images import template_record
from providers.vsphere.native import vim, vmodl
from providers.vsphere.part import Part
from providers.vsphere.properties import Found, below, read_one, typed
from providers.vsphere.records import disks_of, note_of, power_of
from providers.vsphere.site import read_site, vm_folder

_BASE = "base of linked clones"
_TOLD = tuple(f'config.extraConfig["{key}"]' for key in (guestinfo.USER_DATA, guestinfo.META_DATA))


class VsphereClones(Part, Clones):
    def clone(
        self,
        external_id: str,
        name: str,
        *,
        full: bool = False,
        start: bool = False,
        portal_uuid: str = "",
        progress: Progress = QUIET,
    ) -> VmRecord:
        """A full clone copies what is on the disks, running or not; a linked one builds on a snapshot of its original,
        which stays there for it."""
        check_name(name)
        instance = note.instance_of(portal_uuid)
        with vendor_calls():
            source, _ = self.look(external_id, *_TOLD)
            creation = Creation(self.connection, self.config)
            existing = creation.made_before(instance) if portal_uuid else ""
            if existing and not note_of(self.look(existing)[0]).is_unfinished:
                return self.record(existing)
            if existing:
                creation.destroy(existing)
            refuse_taken_name(self, name)
            progress.checkpoint()
            mark = note.Note(
                portal_uuid=portal_uuid, image=note_of(source).image, is_unfinished=True, instance=instance
            )
            spec = self._spec(source, mark, linked=not full, progress=progress)
            try:
                task = self.handle(external_id).CloneVM_Task(vm_folder(self.connection), name, spec)
                made = self.run_task(task, progress, part=(20, 90), sentence="Copying the VM")
                self._finish_identity(made, source, mark, name)
                progress.checkpoint()
                if start:
                    self.run_task(self.handle(made).PowerOnVM_Task(None), progress, can_stop=False)
            except BaseException:
                creation.undo(instance)
                raise
            record = self.record(made)
        progress.report(100, "Cloned")
        return record

    def _spec(self, source: Found, mark: note.Note, *, linked: bool, progress: Progress) -> Any:
        location = vim.vm.RelocateSpec()
        spec = vim.vm.CloneSpec(location=location, powerOn=False, template=False)
        spec.config = vim.vm.ConfigSpec(
            instanceUuid=mark.instance, extraConfig=guestinfo.pairs({note.KEY: mark.to_text()})
        )
        if linked:
            if power_of(source)[0] is not PowerState.STOPPED:
                raise Conflict("Stop the VM first; a linked clone builds on disks that stand still.")
            location.diskMoveType = "createNewChildDiskBacking"
            progress.report(10, "Taking a snapshot to build on")
            vm = self.handle(source.id)
            self.run_task(vm.CreateSnapshot_Task(_BASE, "Linked clones build on it.", False, False), can_stop=False)
            spec.snapshot = typed(self.connection, vm, "snapshot").currentSnapshot
        return spec

    def _finish_identity(self, made: str, source: Found, mark: note.Note, name: str) -> None:
        """MACs that were given by hand would be the same, and cloud-init would think that it had run already."""
        layout = self.layout(made)
        macs: dict[str, str] = {}
        for card in layout.cards:
            if card.addressType == "manual":
                card.addressType, card.macAddress = "generated", ""
                layout.edit(card)
        finished = note.Note(
            portal_uuid=mark.portal_uuid, image=mark.image, metadata=note_of(source).metadata, instance=mark.instance
        )
        texts = {note.KEY: finished.to_text(), **_told_anew(source, name=name, instance=mark.instance, macs=macs)}
        self.reconfigure(made, vim.vm.ConfigSpec(deviceChange=layout.changes, extraConfig=guestinfo.pairs(texts)))

    def export(self, external_id: str, image_name: str, progress: Progress = QUIET) -> ImageRecord:
        """A template: a copy of the whole VM that cannot be started."""
        check_name(image_name)
        with vendor_calls():
            source, _ = self.look(external_id)
            if power_of(source)[0] is not PowerState.STOPPED:
                raise Conflict("Stop the VM first.")
            if not self.connection.is_vcenter:
                raise NotSupported("A single ESXi host has no templates; a vCenter has.")
            refuse_taken_name(self, image_name)
            instance = note.instance_of("")
            mark = note.Note(is_unfinished=True, instance=instance)
            config = vim.vm.ConfigSpec(
                instanceUuid=instance,
                extraConfig=guestinfo.pairs({note.KEY: mark.to_text(), **guestinfo.cleared()}),
            )
            site = read_site(self.connection)
            location = vim.vm.RelocateSpec(pool=site.pool(site.cluster(self.config.cluster)))
            spec = vim.vm.CloneSpec(location=location, config=config, powerOn=False, template=True)
            creation = Creation(self.connection, self.config)
            try:
                task = self.handle(external_id).CloneVM_Task(vm_folder(self.connection), image_name, spec)
                made = self.run_task(task, progress, part=(10, 95), sentence="Copying the VM")
                progress.checkpoint()
                record = template_record(self.connection, made)
            except BaseException:
                creation.undo(instance)
                raise
        progress.report(100, "The template is there")
        return record

    def to_template(self, external_id: str) -> ImageRecord:
        """The VM is marked as a template; its note stays with it, so that it is known again later."""
        with vendor_calls():
            found, _ = self.look(external_id)
            if power_of(found)[0] is not PowerState.STOPPED:
                raise Conflict("Stop the VM first.")
            if "snapshot" in found.values:
                raise Conflict("The VM has snapshots; delete them first.")
            own = {disk.volume for disk in disks_of(found.values["config.hardware.device"]) if disk.format == "vmdk"}
            if any(own & set(files) for files in self.used_by_others(external_id)):
                raise Conflict("Another VM has one of its disks, or builds on it.")
            self.handle(external_id).MarkAsTemplate()
            return template_record(self.connection, external_id)

    def to_vm(self, image: str) -> VmRecord:
        """In the resource pool of the host that has the template."""
        with vendor_calls():
            if image.startswith("["):
                raise NotFound("This image never was a VM.")
            try:
                found = read_one(self.connection, self.handle(image), "config.template", "runtime.host")
            except vmodl.fault.ManagedObjectNotFound as exc:
                raise NotFound("There is no such image any more.", str(exc)) from exc
            if not found.is_true("config.template"):
                raise NotFound("This is a VM already.")
            own = {str(getattr(disk.backing, "fileName", "")) for disk in self.layout(image).disks}
            if any(set(files[1:]) & own for files in self.used_by_others(image)):
                raise Conflict("A linked clone builds on this template.")
            site = read_site(self.connection)
            host = next((each for each in site.of("HostSystem") if each.id == found.text("runtime.host")), None)
            cluster = site.cluster(host.text("parent") if host else self.config.cluster)
            self.handle(image).MarkAsVirtualMachine(site.pool(cluster), None)
            return self.record(image)


def _told_anew(source: Found, *, name: str, instance: str, macs: Mapping[str, str]) -> Mapping[str, str]:
    """The original's first-boot data for somebody with another name; empty where it had none."""
    told = [_decoded(source, path) for path in _TOLD]
    if not any(told):
        return {}
    texts = of_copy(SeedTexts(user_data=told[0], meta_data=told[1]), name=name, instance_id=instance, macs=macs)
    return guestinfo.encoded(texts)


def _decoded(source: Found, path: str) -> str:
    value = source.values.get(path)
    text = below(value, "value") if value is not None else ""
    return base64.b64decode(text).decode(errors="replace") if text else ""
