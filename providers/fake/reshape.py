"""Updates of simulated VMs. A running one grows up to its most; what it cannot take waits for its next start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.base import Conflict, InvalidRequest, OptionsRecord, Reshape, VmRecord
from providers.fake.cloud import Part
from providers.fake.creation import checked_options, firewall_called
from providers.fake.records import AT_START, OPTIONS, options_of
from providers.fake.state import Flavor, Vm
from providers.fake.store import Transaction
from providers.fake.vms import check_name, check_room, saved, vm_of


def refuse_running(vm: Vm) -> None:
    if not vm.is_stopped:
        raise Conflict("Stop the VM first.")


class FakeReshape(Part, Reshape):
    def set_vcpus(self, external_id: str, vcpus: int) -> VmRecord:
        if not 1 <= vcpus <= 1024:
            raise InvalidRequest("A VM has between 1 and 1024 vCPUs.", field="vcpus")
        with self.cloud.writing("reshape.set_vcpus", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            self._grow(tx, vm, "vcpus", vcpus, most=vm.max_vcpus)
            return saved(self.cloud, tx, vm, "vcpus")

    def set_memory(self, external_id: str, memory_mib: int) -> VmRecord:
        if memory_mib < 16:
            raise InvalidRequest("A VM has at least 16 MiB of memory.", field="memory_mib")
        with self.cloud.writing("reshape.set_memory", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            self._grow(tx, vm, "memory_mib", memory_mib, most=vm.max_memory_mib)
            return saved(self.cloud, tx, vm, "memory")

    def _grow(self, tx: Transaction, vm: Vm, name: str, value: int, *, most: int) -> None:
        """Now where it can: a VM that is off, or one that runs and has room up to its most; else at its next start."""
        vm.next.pop(name, None)
        if vm.is_stopped or getattr(vm, name) <= value <= most:
            if not vm.is_stopped:
                wanted = {"vcpus": vm.vcpus, "memory_mib": vm.memory_mib, name: value}
                check_room(self.cloud, tx, **wanted, except_for=vm.id)
            setattr(vm, name, value)
            vm.flavor = ""
        elif value != getattr(vm, name):
            vm.next.update({name: value, "flavor": ""})

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

    def options(self, external_id: str) -> OptionsRecord:
        with self.cloud.reading("reshape.options", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            return OptionsRecord(live={name: getattr(vm, name) for name in OPTIONS}, pending=options_of(vm))

    def set_options(self, external_id: str, options: Mapping[str, Any]) -> VmRecord:
        """The CPU model and what it may grow to wait for the next start of a running VM, the rest works at once."""
        with self.cloud.writing("reshape.set_options", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            wanted = checked_options({**options_of(vm), **options}).model_dump(mode="json")
            for name in options:
                value = wanted[name]
                if name == "firewalls":
                    value = [firewall_called(tx, each).id for each in value]
                if name in AT_START and not vm.is_stopped:
                    vm.next.pop(name, None)
                    if value != getattr(vm, name):
                        vm.next[name] = value
                else:
                    setattr(vm, name, value)
            return saved(self.cloud, tx, vm, "options")

    def remove_cloud_init(self, external_id: str) -> VmRecord:
        with self.cloud.writing("reshape.remove_cloud_init", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            refuse_running(vm)
            vm.cloud_init = None
            return saved(self.cloud, tx, vm, "first-boot data")
