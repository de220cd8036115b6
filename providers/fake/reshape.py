"""Updates of simulated VMs. Size changes need a stopped VM, the rest does not."""

from __future__ import annotations

from providers.base import Conflict, InvalidRequest, Reshape, VmRecord
from providers.fake.cloud import Part
from providers.fake.state import Flavor, Vm
from providers.fake.vms import check_name, saved, vm_of


def refuse_running(vm: Vm) -> None:
    if not vm.is_stopped:
        raise Conflict("Stop the VM first.")


class FakeReshape(Part, Reshape):
    def set_vcpus(self, external_id: str, vcpus: int) -> VmRecord:
        if not 1 <= vcpus <= 1024:
            raise InvalidRequest("A VM has between 1 and 1024 vCPUs.", field="vcpus")
        with self.cloud.writing("reshape.set_vcpus", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            refuse_running(vm)
            vm.vcpus, vm.flavor = vcpus, ""
            return saved(self.cloud, tx, vm, "vcpus")

    def set_memory(self, external_id: str, memory_mib: int) -> VmRecord:
        if memory_mib < 16:
            raise InvalidRequest("A VM has at least 16 MiB of memory.", field="memory_mib")
        with self.cloud.writing("reshape.set_memory", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            refuse_running(vm)
            vm.memory_mib, vm.flavor = memory_mib, ""
            return saved(self.cloud, tx, vm, "memory")

    def set_flavor(self, external_id: str, flavor: str) -> VmRecord:
        with self.cloud.writing("reshape.set_flavor", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            chosen = tx.get(Flavor, flavor)
            refuse_running(vm)
            vm.flavor, vm.vcpus, vm.memory_mib = chosen.id, chosen.vcpus, chosen.memory_mib
            return saved(self.cloud, tx, vm, "flavor")

    def rename(self, external_id: str, name: str) -> VmRecord:
        with self.cloud.writing("reshape.rename", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            if name != vm.name:
                check_name(tx, name)
                vm.name = name
            return saved(self.cloud, tx, vm, "renamed")

    def set_description(self, external_id: str, description: str) -> VmRecord:
        with self.cloud.writing("reshape.set_description", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            vm.description = description
            return saved(self.cloud, tx, vm, "description")

    def set_autostart(self, external_id: str, autostart: bool) -> VmRecord:
        with self.cloud.writing("reshape.set_autostart", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            vm.autostart = autostart
            return saved(self.cloud, tx, vm, "autostart")

    def set_metadata(self, external_id: str, key: str, value: str | None) -> VmRecord:
        if not key:
            raise InvalidRequest("A metadata key must not be empty.", field="key")
        with self.cloud.writing("reshape.set_metadata", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            if value is None:
                vm.metadata.pop(key, None)
            else:
                vm.metadata[key] = value
            return saved(self.cloud, tx, vm, "metadata")
