"""Disks of VMs at AWS: EBS volumes, plugged in and out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from providers.aws import inventory
from providers.aws.cloud import Part
from providers.aws.plugging import attach, check_disk, detach, volume
from providers.aws.records import device_name, state_of
from providers.aws.volumes import grow, made
from providers.base import (
    QUIET,
    Conflict,
    Disks,
    DiskSpec,
    InvalidRequest,
    NotFound,
    NotSupported,
    Progress,
    ProviderError,
    VmRecord,
)


class AwsDisks(Part, Disks):
    def attach(self, external_id: str, disk: DiskSpec, progress: Progress = QUIET) -> VmRecord:
        """A disk that is made here goes with its VM; a volume that was there stays."""
        check_disk(disk)
        told = inventory.instance(self.cloud, external_id)
        zone = told["Placement"]["AvailabilityZone"]
        if disk.pool and disk.pool != zone:
            raise InvalidRequest(f"The VM is in {zone}, and its disks must be there.", field="pool")
        if disk.volume:
            present = volume(self.cloud, disk.volume)
            if any(one["Ebs"]["VolumeId"] == disk.volume for one in _mapped(told)):
                return inventory.vm(self.cloud, external_id, told)
            if present["State"] != "available":
                raise Conflict("Another VM has this volume.")
            if present["AvailabilityZone"] != zone:
                raise Conflict(f"The volume is in {present['AvailabilityZone']}, the VM in {zone}.")
            attach(self.cloud, told, disk.volume, owned=False, progress=progress)
            return inventory.vm(self.cloud, external_id)
        if disk.size_gib is None:
            raise InvalidRequest("A new disk needs a size.", field="size_gib")
        progress.report(10, "Making the volume.")
        new = made(self.cloud, name=disk.name, size_gib=disk.size_gib, zone=zone, kind=disk.format, vm=external_id)
        try:
            progress.report(50, "Attaching it.")
            attach(self.cloud, told, new, owned=True, progress=progress)
        except BaseException:
            with suppress(ProviderError):
                self.cloud.ec2("delete_volume", VolumeId=new)
            raise
        return inventory.vm(self.cloud, external_id)

    def detach(self, external_id: str, disk_id: str, *, delete: bool = False) -> VmRecord:
        told = inventory.instance(self.cloud, external_id)
        one = _disk(told, disk_id)
        if one["DeviceName"] == told.get("RootDeviceName") and state_of(told) != "stopped":
            raise Conflict("Stop the VM first: it is the disk that it runs from.")
        detach(self.cloud, external_id, one["Ebs"]["VolumeId"])
        if delete:
            self.cloud.ec2("delete_volume", VolumeId=one["Ebs"]["VolumeId"])
        return inventory.vm(self.cloud, external_id)

    def grow(self, external_id: str, disk_id: str, size_gib: int) -> VmRecord:
        told = inventory.instance(self.cloud, external_id)
        grow(self.cloud, _disk(told, disk_id)["Ebs"]["VolumeId"], size_gib)
        return inventory.vm(self.cloud, external_id, told)

    def move(self, external_id: str, disk_id: str, pool: str, progress: Progress = QUIET) -> VmRecord:
        raise NotSupported("At AWS a disk stays in its zone.")

    def set_iso(self, external_id: str, image: str | None, *, force: bool = False) -> VmRecord:
        raise NotSupported("VMs at AWS have no drive.")


def _mapped(told: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in told.get("BlockDeviceMappings") or () if one.get("Ebs")]


def _disk(told: Mapping[str, Any], disk_id: str) -> Mapping[str, Any]:
    for one in _mapped(told):
        if device_name(one["DeviceName"]) == disk_id:
            return one
    raise NotFound("The VM has no such disk.")
