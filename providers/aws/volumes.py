"""EBS volumes. A pool is an availability zone, since a volume can be used in its own only; a format is its type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from providers.aws import placement, tags
from providers.aws.cloud import Cloud, Part
from providers.aws.plugging import TYPES, make_from, until, volume
from providers.aws.waiting import wait_for
from providers.base import (
    QUIET,
    AlreadyExists,
    Conflict,
    InvalidRequest,
    NotFound,
    NotSupported,
    PoolRecord,
    Pools,
    PoolSpec,
    Progress,
    ProviderError,
    VolumeRecord,
    Volumes,
    VolumeSpec,
)

SNAPSHOT_S, GROW_S = 3600.0, 600.0


def record(told: Mapping[str, Any]) -> VolumeRecord:
    size = float(told.get("Size") or 0)
    return VolumeRecord(
        external_id=told["VolumeId"],
        name=tags.read(told).get(tags.NAME) or told["VolumeId"],
        pool=told["AvailabilityZone"],
        format=str(told.get("VolumeType") or ""),
        size_gib=size,
        allocation_gib=size,
        used_by=tuple(one["InstanceId"] for one in told.get("Attachments") or () if one.get("State") != "detached"),
    )


def made(cloud: Cloud, *, name: str, size_gib: int, zone: str, kind: str = "", vm: str = "") -> str:
    """A new volume, ready to be attached; nothing of it stays when it does not get ready."""
    own = ({tags.NAME: name} if name else {}) | ({tags.VM: vm} if vm else {})
    told = cloud.ec2(
        "create_volume",
        AvailabilityZone=zone,
        Size=size_gib,
        VolumeType=kind or "gp3",
        **({"TagSpecifications": tags.on("volume", own)} if own else {}),
    )
    try:
        until(cloud, told["VolumeId"], "available")
    except BaseException:
        with suppress(ProviderError):
            cloud.ec2("delete_volume", VolumeId=told["VolumeId"])
        raise
    return str(told["VolumeId"])


def grow(cloud: Cloud, external_id: str, size_gib: int) -> None:
    """Make it larger and wait until that can be seen; the guest's file system is the guest's business."""
    present = volume(cloud, external_id)
    if size_gib < present["Size"]:
        raise InvalidRequest("A volume cannot shrink.", field="size_gib")
    if size_gib == present["Size"]:
        return
    cloud.ec2("modify_volume", VolumeId=external_id, Size=size_gib)

    def look() -> bool | None:
        return True if volume(cloud, external_id)["Size"] >= size_gib else None

    wait_for(look, "Growing the volume", timeout_s=GROW_S)


class AwsPools(Part, Pools):
    def list(self) -> Sequence[PoolRecord]:
        """The zones; AWS tells no limit for them."""
        return [PoolRecord(external_id=zone, name=zone, type="zone") for zone in placement.zones(self.cloud)]

    def create(self, spec: PoolSpec) -> PoolRecord:
        raise NotSupported("Zones are AWS's own.")

    def delete(self, external_id: str, *, with_volumes: bool = False) -> None:
        raise NotSupported("Zones are AWS's own.")

    def update(self, external_id: str, *, active: bool | None = None, autostart: bool | None = None) -> PoolRecord:
        raise NotSupported("Zones are AWS's own.")

    def refresh(self, external_id: str) -> PoolRecord:
        self.cloud.forget("zones")
        for one in self.list():
            if one.external_id == external_id:
                return one
        raise NotFound("There is no such zone.")


class AwsVolumes(Part, Volumes):
    def list(self, pool: str = "") -> Sequence[VolumeRecord]:
        """Pages of five hundred."""
        wanted = tags.filters(availability_zone=pool) if pool else []
        return [record(one) for one in self.cloud.pages("ec2", "describe_volumes", "Volumes", Filters=wanted)]

    def get(self, external_id: str) -> VolumeRecord:
        return record(volume(self.cloud, external_id))

    def create(self, spec: VolumeSpec, progress: Progress = QUIET) -> VolumeRecord:
        if spec.image:
            raise NotSupported("A volume with an image's content is made with its VM.", field="image")
        if spec.format and spec.format not in TYPES:
            raise InvalidRequest(f"AWS has no disk type “{spec.format}” that could be had here.", field="format")
        zone = self._zone(spec.pool)
        self._refuse_taken(spec.name)
        progress.report(10, "Making the volume.")
        new = made(self.cloud, name=spec.name, size_gib=spec.size_gib, zone=zone, kind=spec.format)
        progress.report(100, "The volume is there.")
        return self.get(new)

    def grow(self, external_id: str, size_gib: int) -> VolumeRecord:
        grow(self.cloud, external_id, size_gib)
        return self.get(external_id)

    def clone(self, external_id: str, name: str, *, pool: str = "", progress: Progress = QUIET) -> VolumeRecord:
        """By a snapshot, which is deleted again; into another zone when that is named."""
        source = volume(self.cloud, external_id)
        for one in source.get("Attachments") or ():
            told = self.cloud.ec2("describe_instances", InstanceIds=[one["InstanceId"]])["Reservations"]
            if any(each["State"]["Name"] == "running" for group in told for each in group["Instances"]):
                raise Conflict("Stop the VM first: it writes to this volume.")
        zone = self._zone(pool) if pool else source["AvailabilityZone"]
        self._refuse_taken(name)
        progress.report(5, "Copying the volume.")
        part = self.cloud.ec2(
            "create_snapshot",
            VolumeId=external_id,
            TagSpecifications=tags.on("snapshot", {tags.NAME: f"copy to {name}"}),
        )
        try:
            self._wait(part["SnapshotId"], progress)
            progress.report(60, "Making the copy.")
            new = make_from(self.cloud, part, zone, "", progress, name=name, kind=source["VolumeType"])
        finally:
            with suppress(ProviderError):
                self.cloud.ec2("delete_snapshot", SnapshotId=part["SnapshotId"])
        progress.report(100, "The copy is there.")
        return self.get(new)

    def delete(self, external_id: str) -> None:
        if any(one.get("State") != "detached" for one in volume(self.cloud, external_id).get("Attachments") or ()):
            raise Conflict("A VM has this volume.")
        self.cloud.ec2("delete_volume", VolumeId=external_id)

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _zone(self, pool: str) -> str:
        known = placement.zones(self.cloud)
        if pool and pool not in known:
            raise NotFound(f"There is no zone “{pool}” in {self.cloud.config.region}.", field="pool")
        return pool or known[0]

    def _refuse_taken(self, name: str) -> None:
        if self.cloud.ec2("describe_volumes", Filters=[tags.tagged(tags.NAME, name)]).get("Volumes"):
            raise AlreadyExists(f"There is a volume “{name}” already.", field="name")

    def _wait(self, snapshot_id: str, progress: Progress) -> None:
        def look() -> bool | None:
            state = self.cloud.ec2("describe_snapshots", SnapshotIds=[snapshot_id])["Snapshots"][0]["State"]
            if state == "error":
                raise ProviderError("AWS could not copy the volume.", snapshot_id)
            return True if state == "completed" else None

        wait_for(look, "Copying the volume", timeout_s=SNAPSHOT_S, progress=progress)
