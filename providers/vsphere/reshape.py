"""Updates: size, name, notes, metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.base import Conflict, NotSupported, OptionsRecord, PowerState, Reshape, VmRecord
from providers.vsphere import guestinfo
from providers.vsphere.creation import check_memory, check_name, refuse_taken_name
from providers.vsphere.errors import vendor_calls
from providers.vsphere.native import vim
from providers.vsphere.part import Part
from providers.vsphere.records import note_of, power_of

_HOT_CPU, _HOT_MEMORY = "config.cpuHotAddEnabled", "config.memoryHotAddEnabled"


class VsphereReshape(Part, Reshape):
    def set_vcpus(self, external_id: str, vcpus: int) -> VmRecord:
        """A running VM takes more only where that was switched on before its start."""
        with vendor_calls():
            self._demand_growth(external_id, "config.hardware.numCPU", vcpus, _HOT_CPU)
            found, _ = self.look(external_id, "config.hardware.numCoresPerSocket")
            spec = vim.vm.ConfigSpec(numCPUs=vcpus)
            if vcpus % (found.number("config.hardware.numCoresPerSocket") or 1):
                # CPUs that do not fill their sockets are refused.
                spec.numCoresPerSocket = 1
            self.reconfigure(external_id, spec)
            return self.record(external_id)

    def set_memory(self, external_id: str, memory_mib: int) -> VmRecord:
        check_memory(memory_mib)
        with vendor_calls():
            self._demand_growth(external_id, "config.hardware.memoryMB", memory_mib, _HOT_MEMORY)
            self.reconfigure(external_id, vim.vm.ConfigSpec(memoryMB=memory_mib))
            return self.record(external_id)

    def _demand_growth(self, external_id: str, path: str, wished: int, hot: str) -> None:
        found, _ = self.look(external_id, hot)
        if power_of(found)[0] is PowerState.STOPPED:
            return
        if not found.is_true(hot):
            raise Conflict("Stop the VM first; it was started without the option to grow while it runs.")
        if wished < (found.number(path) or 0):
            raise Conflict("Stop the VM first; while it runs it can only grow.")

    def rename(self, external_id: str, name: str) -> VmRecord:
        """Its folder on the datastore keeps the old name until it is moved."""
        check_name(name)
        with vendor_calls():
            found, _ = self.look(external_id)
            if found.text("name") != name:
                refuse_taken_name(self, name)
                self.run_task(self.handle(external_id).Rename_Task(name), can_stop=False)
            return self.record(external_id)

    def set_description(self, external_id: str, description: str) -> VmRecord:
        with vendor_calls():
            self.look(external_id)
            self.reconfigure(external_id, vim.vm.ConfigSpec(annotation=description))
            return self.record(external_id)

    def set_metadata(self, external_id: str, key: str, value: str | None) -> VmRecord:
        with vendor_calls():
            found, _ = self.look(external_id)
            known = note_of(found).with_value(key, value)
            self.keep(external_id, known.of(found.text("config.instanceUuid")), vim.vm.ConfigSpec())
            return self.record(external_id)

    def remove_cloud_init(self, external_id: str) -> VmRecord:
        with vendor_calls():
            self.look(external_id)
            self.reconfigure(external_id, vim.vm.ConfigSpec(extraConfig=guestinfo.pairs(guestinfo.cleared())))
            return self.record(external_id)

    # -- what there is not ------------------------------------------------------------------------------------------

    def set_flavor(self, external_id: str, flavor: str) -> VmRecord:
        raise NotSupported("vSphere has no flavors.")

    def set_autostart(self, external_id: str, autostart: bool) -> VmRecord:
        raise NotSupported("vSphere decides by host and cluster what starts with a host.")

    def options(self, external_id: str) -> OptionsRecord:
        raise NotSupported

    def set_options(self, external_id: str, options: Mapping[str, Any]) -> VmRecord:
        raise NotSupported
