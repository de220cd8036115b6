"""What all facets share: the connection, and finding and reading one VM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from providers.base import NotFound, PowerState, Progress, VmRecord
from providers.base.progress import QUIET
from providers.vsphere import tasks
from providers.vsphere.config import VsphereConfig
from providers.vsphere.connection import Connection
from providers.vsphere.devices import Layout
from providers.vsphere.native import vim, vmodl
from providers.vsphere.note import KEY, Note
from providers.vsphere.properties import Found, children, in_view, one, retrieve, step, typed, wanted
from providers.vsphere.records import VM_PATHS, Place, backing_files, is_template, power_of, vm_record
from providers.vsphere.site import vm_folder


class Part:
    """Base of the facets. Its methods raise the SDK's faults: they are for inside `vendor_calls()`."""

    def __init__(self, connection: Connection, config: VsphereConfig) -> None:
        self.connection = connection
        self.config = config

    def handle(self, external_id: str) -> Any:
        return self.connection.object(vim.VirtualMachine, external_id)

    def look(self, external_id: str, *more: str) -> tuple[Found, Mapping[str, Place]]:
        """A VM's properties and where it runs, in one call. Raises NotFound for what is gone or is a template."""
        objects = [
            one(
                self.handle(external_id),
                step(vim.VirtualMachine, "runtime.host", step(vim.HostSystem, "parent")),
            )
        ]
        properties = [
            wanted(vim.VirtualMachine, *VM_PATHS, *more),
            wanted(vim.HostSystem, "name", "parent"),
            wanted(vim.ComputeResource, "name"),
        ]
        try:
            everything = list(retrieve(self.connection, objects, properties))
        except vmodl.fault.ManagedObjectNotFound as exc:
            raise NotFound("The VM does not exist any more.", str(exc)) from exc
        vm = next(found for found in everything if found.id == external_id)
        if is_template(vm):
            raise NotFound("This is a template by now, and not a VM.")
        return vm, places_of(everything)

    def record(self, external_id: str) -> VmRecord:
        return vm_record(*self.look(external_id))

    def state(self, external_id: str) -> PowerState:
        return power_of(self.look(external_id)[0])[0]

    def run_task(
        self,
        task: Any,
        progress: Progress = QUIET,
        *,
        part: tuple[int, int] = (0, 100),
        sentence: str = "",
        can_stop: bool = True,
    ) -> str:
        """Wait for a task; answers with the external_id of what it made, if anything."""
        ended = tasks.wait(self.connection, task, progress, part=part, sentence=sentence, can_stop=can_stop)
        return ended.text("info.result")

    def reconfigure(self, external_id: str, spec: Any, progress: Progress = QUIET) -> None:
        """One change of a VM, to its end; a change is short and is not broken off half-way."""
        self.run_task(self.handle(external_id).ReconfigVM_Task(spec), progress, can_stop=False)

    def layout(self, external_id: str) -> Layout:
        """The VM's devices, to be changed."""
        return Layout(typed(self.connection, self.handle(external_id), "config.hardware.device") or ())

    def rearranged(self, external_id: str, layout: Layout, known: Note | None = None) -> VmRecord:
        """Send the layout's changes, with a new note if there is one, and read the VM again."""
        spec = vim.vm.ConfigSpec(deviceChange=layout.changes)
        if known is not None:
            self.keep(external_id, known, spec)
        elif layout.changes:
            self.reconfigure(external_id, spec)
        return self.record(external_id)

    def shown(self) -> Any:
        """The view of the VMs and templates that this provider shows: those of its folder, or all there are."""
        if not self.config.folder.strip("/"):
            return self.connection.view(vim.VirtualMachine)
        return self.connection.view(vim.VirtualMachine, inside=vm_folder(self.connection))

    def everybody(self, *paths: str) -> list[Found]:
        """Every VM and template of the datacenter with these properties, in one call and its pages: also those that are
        not shown use disks, names and addresses."""
        view = self.connection.view(vim.VirtualMachine)
        return list(retrieve(self.connection, [in_view(view)], [wanted(vim.VirtualMachine, *paths)]))

    def used_by_others(self, external_id: str) -> list[Sequence[str]]:
        """Of every disk of every other VM and template: its file, and those that it builds on."""
        return [
            files
            for found in self.everybody("config.hardware.device")
            if found.id != external_id
            for device in children(found.values.get("config.hardware.device"))
            if (files := backing_files(device))
        ]

    def keep(self, external_id: str, known: Note, spec: Any) -> None:
        """A change together with a new note."""
        spec.extraConfig = [*(spec.extraConfig or ()), vim.option.OptionValue(key=KEY, value=known.to_text())]
        self.reconfigure(external_id, spec)


def places_of(everything: list[Found]) -> Mapping[str, Place]:
    """Where hosts are, from what was read with the VMs."""
    names = {found.id: found.text("name") for found in everything if found.kind.endswith("ComputeResource")}
    return {
        found.id: Place(found.text("name"), names.get(found.text("parent"), ""))
        for found in everything
        if found.kind == "HostSystem"
    }
