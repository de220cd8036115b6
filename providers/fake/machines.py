"""Lifecycle of simulated VMs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from providers.base import QUIET, Conflict, EventTopic, GuestRecord, Machines, NotFound, Progress, VmRecord, VmSpec
from providers.fake.cloud import Part, forget_vm
from providers.fake.creation import Creation
from providers.fake.guests import guest_record
from providers.fake.records import build_vm_record, vm_record
from providers.fake.state import Image, Vm, Volume
from providers.fake.vms import power_off, vm_of


class FakeMachines(Part, Machines):
    def list(self) -> Sequence[VmRecord]:
        """All VMs in one call, however many there are."""
        with self.cloud.reading("machines.list") as tx:
            volumes = {volume.id: volume for volume in tx.all(Volume)}
            images = {image.id: image for image in tx.all(Image)}
            lease_s = self.cloud.config.lease_s
            return [build_vm_record(vm, tx.now, lease_s, volumes, images) for vm in tx.all(Vm) if not vm.is_building]

    def get(self, external_id: str) -> VmRecord:
        with self.cloud.reading("machines.get", vm=external_id) as tx:
            return vm_record(tx, vm_of(tx, external_id), self.cloud.config.lease_s)

    def guest(self, external_id: str) -> GuestRecord:
        with self.cloud.reading("machines.guest", vm=external_id) as tx:
            return guest_record(tx, vm_of(tx, external_id), self.cloud.config.lease_s)

    def find(self, name: str) -> VmRecord:
        """One call: the store looks names up."""
        with self.cloud.reading("machines.find") as tx:
            vm = tx.named(Vm, name)
            if vm is None or vm.is_building:
                raise NotFound(f"There is no VM called “{name}”.")
            return vm_record(tx, vm, self.cloud.config.lease_s)

    def create(self, spec: VmSpec, progress: Progress = QUIET) -> VmRecord:
        return Creation(self.cloud, spec, progress).run()

    def delete(
        self,
        external_id: str,
        *,
        keep_disks: bool = False,
        with_snapshots: bool = False,
        progress: Progress = QUIET,
    ) -> None:
        with self.cloud.writing("machines.delete", vm=external_id, progress=progress) as tx:
            vm = vm_of(tx, external_id)
            if vm.snapshots and not with_snapshots:
                raise Conflict("The VM has snapshots; delete them first.")
            power_off(vm)
            vm.snapshots.clear()
            if keep_disks:
                self._disown(tx.all(Volume), vm, tx.put)
            tx.put(vm)
            # Watchers see it stop before it goes, as at a real hypervisor.
            tx.note(EventTopic.VM, vm.id, "stopped")
            forget_vm(tx, vm.id)
            progress.report(100, "Deleted.")

    @staticmethod
    def _disown(volumes: Sequence[Volume], vm: Vm, put: Callable[[Volume], None]) -> None:
        for volume in volumes:
            if volume.owner == vm.id:
                volume.owner = ""
                put(volume)
