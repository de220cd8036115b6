"""Snapshots of VMs: AWS takes one of each disk at the same moment, without memory."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from providers.aws import inventory, moments, tags
from providers.aws.cloud import Cloud, Part
from providers.aws.lifecycle import in_state
from providers.aws.moments import Moment
from providers.aws.plugging import attach_as, detach, make_from, own
from providers.aws.records import power_of, state_of
from providers.aws.waiting import wait_for
from providers.base import (
    QUIET,
    AlreadyExists,
    Conflict,
    InvalidRequest,
    NotFound,
    NotSupported,
    PowerState,
    Progress,
    ProviderError,
    SnapshotRecord,
    Snapshots,
    VmRecord,
)

TAKE_S, STOP_S = 3600.0, 600.0


def delete_moments(cloud: Cloud, kept: Iterable[Moment]) -> None:
    for one in kept:
        for snapshot in one.snapshot_ids:
            with suppress(NotFound):
                cloud.ec2("delete_snapshot", SnapshotId=snapshot)


class AwsSnapshots(Part, Snapshots):
    def list(self, external_id: str) -> Sequence[SnapshotRecord]:
        told = inventory.instance(self.cloud, external_id)
        return moments.moments_of(self.cloud, external_id, tags.read(told).get(moments.CURRENT))

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
        """All disks at one moment, as after a power cut when it runs; returns when AWS has them safe."""
        if not name or name != name.strip() or not name.isprintable():
            raise InvalidRequest("A snapshot needs a printable name without outer blanks.", field="name")
        if memory:
            raise NotSupported("Snapshots at AWS keep disks, not memory.")
        if external:
            raise NotSupported("AWS has one sort of snapshots.")
        told = inventory.instance(self.cloud, external_id)
        before = moments.read(self.cloud, external_id)
        if any(one.name == name and one.is_complete for one in before):
            raise AlreadyExists(f"The VM has a snapshot “{name}” already.", field="name")
        progress.report(10, "Asking AWS for the snapshot.")
        key = uuid.uuid4().hex
        current = next((one.key for one in before if one.key == tags.read(told).get(moments.CURRENT)), "")
        own_tags = {
            tags.NAME: f"{tags.read(told).get(tags.NAME, external_id)[:100]}: {name}"[: tags.MOST_VALUE],
            tags.VM: external_id,
            moments.SET: key,
            moments.NAME: name,
            moments.POWER: power_of(told).value,
            moments.SIZE: told["InstanceType"],
        }
        own_tags |= {moments.PARENT: current} if current else {}
        own_tags |= {moments.ABOUT: description} if description else {}
        try:
            self._take(told, own_tags, description, progress)
        except BaseException:
            with suppress(ProviderError):
                delete_moments(self.cloud, [one for one in moments.read(self.cloud, external_id) if one.key == key])
            raise
        self.cloud.ec2("create_tags", Resources=[external_id], Tags=tags.written({moments.CURRENT: key}))
        progress.report(100, "Snapshot made.")
        return next(one for one in moments.moments_of(self.cloud, external_id, key) if one.external_id == key)

    def _take(self, told: Mapping[str, Any], own_tags: Mapping[str, str], description: str, progress: Progress) -> None:
        made = self.cloud.ec2(
            "create_snapshots",
            InstanceSpecification={"InstanceId": told["InstanceId"], "ExcludeBootVolume": False},
            Description=description[:255],
            TagSpecifications=tags.on("snapshot", own_tags),
        )["Snapshots"]
        devices = {one["Ebs"]["VolumeId"]: one["DeviceName"] for one in told["BlockDeviceMappings"] if one.get("Ebs")}
        progress.checkpoint()
        ids = [one["SnapshotId"] for one in made]
        progress.report(30, "AWS copies the disks.")

        def look() -> bool | None:
            found = self.cloud.ec2("describe_snapshots", SnapshotIds=ids)["Snapshots"]
            states = {one["State"] for one in found}
            if "error" in states:
                raise ProviderError("AWS could not make the snapshot.", str(sorted(states)))
            return True if states == {"completed"} else None

        wait_for(look, "The snapshot", timeout_s=TAKE_S, progress=progress)
        # Only now is it complete: one with a device on every part.
        for one in made:
            device = devices.get(one["VolumeId"])
            if device is None:
                raise Conflict("The disks of the VM changed meanwhile; take the snapshot again.")
            self.cloud.ec2("create_tags", Resources=[one["SnapshotId"]], Tags=tags.written({moments.DEVICE: device}))

    def revert(self, external_id: str, name: str, progress: Progress = QUIET) -> VmRecord:
        """New disks are made of the snapshot and take the places of the present ones, which are then deleted.

        A volume that is plugged in and was not at that moment is unplugged, and stays.
        """
        told = inventory.instance(self.cloud, external_id)
        moment = self._named(external_id, name)
        progress.report(5, "Switching the VM off.")
        if state_of(told) != "stopped":
            self.cloud.ec2("stop_instances", InstanceIds=[external_id], Force=True)
            told = in_state(self.cloud, external_id, "stopped", timeout_s=STOP_S, progress=progress)
        zone = told["Placement"]["AvailabilityZone"]
        made: dict[str, str] = {}
        try:
            for number, (device, part) in enumerate(moment.parts.items()):
                progress.report(15 + 40 * number // len(moment.parts), "Making the disks anew.")
                made[device] = make_from(self.cloud, part, zone, external_id, progress)
                progress.checkpoint()
        except BaseException:
            for volume_id in made.values():
                with suppress(ProviderError):
                    self.cloud.ec2("delete_volume", VolumeId=volume_id)
            raise
        # From here on it is carried through: half the disks of then and half of now would be neither.
        progress.report(60, "Changing the disks.")
        present = [one for one in told.get("BlockDeviceMappings") or () if one.get("Ebs")]
        for one in present:
            detach(self.cloud, external_id, one["Ebs"]["VolumeId"])
        for device, volume_id in made.items():
            attach_as(self.cloud, external_id, volume_id, device)
        own(self.cloud, external_id, made, True)
        for one in present:
            # Unplugged volumes of its own had a twin in the snapshot; others are not ours to delete.
            if one["DeviceName"] in made and one["Ebs"].get("DeleteOnTermination"):
                self.cloud.ec2("delete_volume", VolumeId=one["Ebs"]["VolumeId"])
        if moment.flavor and moment.flavor != told["InstanceType"]:
            self.cloud.ec2("modify_instance_attribute", InstanceId=external_id, InstanceType={"Value": moment.flavor})
        self.cloud.ec2("create_tags", Resources=[external_id], Tags=tags.written({moments.CURRENT: moment.key}))
        if moment.power is PowerState.RUNNING:
            progress.report(90, "Starting the VM.")
            self.cloud.ec2("start_instances", InstanceIds=[external_id])
            in_state(self.cloud, external_id, "running", timeout_s=STOP_S)
        progress.report(100, "Back at the snapshot.")
        return inventory.vm(self.cloud, external_id)

    def delete(self, external_id: str, name: str, progress: Progress = QUIET) -> None:
        """Children of the deleted one become children of its parent."""
        inventory.instance(self.cloud, external_id)
        moment = self._named(external_id, name)
        children = [one for one in moments.read(self.cloud, external_id) if one.parent == moment.key]
        for child in children:
            change = tags.written({moments.PARENT: moment.parent})
            self.cloud.ec2("create_tags", Resources=child.snapshot_ids, Tags=change)
        delete_moments(self.cloud, [moment])
        progress.report(100, "Snapshot deleted.")

    def tidy(self, external_id: str) -> None:
        """Delete sets that a broken-off job left: those without the device on every part."""
        broken = [one for one in moments.read(self.cloud, external_id) if not one.is_complete]
        delete_moments(self.cloud, broken)

    def _named(self, external_id: str, name: str) -> Moment:
        for one in moments.read(self.cloud, external_id):
            if one.name == name and one.is_complete:
                return one
        raise NotFound(f"There is no snapshot “{name}”.")
