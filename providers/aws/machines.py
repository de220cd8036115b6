"""Lifecycle of VMs at AWS."""

from __future__ import annotations

from collections.abc import Sequence

from providers.aws import addresses, inventory, moments, tags
from providers.aws.cloud import Part
from providers.aws.creation import Creation, remove
from providers.aws.lifecycle import gone
from providers.aws.plugging import own
from providers.aws.snapshots import delete_moments
from providers.base import QUIET, Conflict, Machines, NotFound, Progress, VmRecord, VmSpec

DELETE_S = 600.0


class AwsMachines(Part, Machines):
    def list(self) -> Sequence[VmRecord]:
        """All VMs of the region that are not terminated; pages of a thousand."""
        return inventory.all_vms(self.cloud)

    def get(self, external_id: str) -> VmRecord:
        return inventory.vm(self.cloud, external_id)

    def find(self, name: str) -> VmRecord:
        """Names need not be unique at AWS: of several the oldest. A VM without name is called by its id."""
        found = inventory.called(self.cloud, name)
        if found is not None:
            return inventory.vm(self.cloud, found["InstanceId"], found)
        one = inventory.raw_instance(self.cloud, name)
        if one is not None and tags.NAME not in tags.read(one):
            return self.get(name)
        raise NotFound(f"There is no VM called “{name}”.")

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
        """Terminates it. Disks that were made with it go along; volumes that were attached stay."""
        told = inventory.instance(self.cloud, external_id)
        kept = moments.read(self.cloud, external_id)
        if kept and not with_snapshots:
            raise Conflict("The VM has snapshots; delete them first.")
        progress.checkpoint()
        if keep_disks:
            devices = [one["DeviceName"] for one in told.get("BlockDeviceMappings") or () if one.get("Ebs")]
            own(self.cloud, external_id, devices, False)
        progress.report(20, "Deleting the VM.")
        addresses.take_all(self.cloud, told)
        self.cloud.ec2("terminate_instances", InstanceIds=[external_id])
        gone(self.cloud, external_id, timeout_s=DELETE_S)
        progress.report(80, "Deleting its snapshots.")
        delete_moments(self.cloud, kept)
        progress.report(100, "Deleted.")

    def discard(self, portal_uuid: str) -> bool:
        """Terminate what a creation that died had begun: it still carries the mark of being built."""
        if not portal_uuid:
            return False
        found = inventory.instances(self.cloud, tags.tagged(tags.UUID, portal_uuid))
        begun = [one for one in found if tags.BUILDING in tags.read(one)]
        for one in begun:
            remove(self.cloud, one["InstanceId"])
        return bool(begun)
