"""Volumes in VMs: made, attached, detached, each until AWS says that it is done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from providers.aws import tags
from providers.aws.cloud import Cloud
from providers.aws.records import device_name
from providers.aws.waiting import wait_for
from providers.base import QUIET, Conflict, DiskSpec, InvalidRequest, NotFound, Progress, ProviderError

#: What AWS recommends for further disks, whatever the guest calls them.
LETTERS = "fghijklmnopqrstuvwxyz"
#: Those that can be had without saying how fast they shall be; AWS asks that for io1 and io2.
TYPES = frozenset({"gp3", "gp2", "standard", "st1", "sc1"})
READY_S = 300.0


def check_disk(disk: DiskSpec, *, with_image: bool = False) -> None:
    """What AWS has no word for is refused."""
    if disk.image and not with_image:
        raise InvalidRequest("At AWS only the first disk begins with an image.", field="image")
    if disk.bus or disk.cache or disk.read_only:
        raise InvalidRequest("At AWS a disk has no bus or cache to choose.", field="bus")
    if disk.shareable:
        raise InvalidRequest("This portal does not share volumes of AWS between VMs.", field="shareable")
    if disk.format and disk.format not in TYPES:
        raise InvalidRequest(f"AWS has no disk type “{disk.format}” that could be had here.", field="format")


def free_devices(taken: Iterable[str]) -> Iterator[str]:
    """Names for further disks; raises Conflict when all are taken."""
    letters = {device_name(one)[-1:] for one in taken if device_name(one)[:2] in ("sd", "xv")}
    yield from (f"/dev/sd{letter}" for letter in LETTERS if letter not in letters)
    raise Conflict("The VM has no place left for a disk.")


def volume(cloud: Cloud, external_id: str) -> Mapping[str, Any]:
    """One volume; raises NotFound."""
    if external_id.startswith("vol-"):
        try:
            found = cloud.ec2("describe_volumes", VolumeIds=[external_id]).get("Volumes") or ()
        except InvalidRequest as exc:
            raise NotFound("The volume does not exist any more.", exc.detail) from exc
        for one in found:
            return dict(one)
    raise NotFound("The volume does not exist any more.")


def until(cloud: Cloud, external_id: str, state: str, progress: Progress = QUIET) -> Mapping[str, Any]:
    """Wait for a volume to be "available" or "in-use"."""

    def look() -> Mapping[str, Any] | None:
        one = volume(cloud, external_id)
        if one["State"] == "error":
            raise ProviderError("AWS could not make the volume.", f"{external_id} is in state error")
        is_settled = all(each.get("State") in ("attached", "detached") for each in one.get("Attachments") or ())
        return one if one["State"] == state and is_settled else None

    return wait_for(look, f"Getting the volume to be {state}", timeout_s=READY_S, progress=progress)


def attach(
    cloud: Cloud, instance: Mapping[str, Any], volume_id: str, *, owned: bool, progress: Progress = QUIET
) -> str:
    """Plug a volume in and return its device; `owned`: it goes when the VM goes. Raises Conflict for one in use."""
    mapped = [one.get("DeviceName", "") for one in instance.get("BlockDeviceMappings") or ()]
    device = next(free_devices(mapped))
    cloud.ec2("attach_volume", InstanceId=instance["InstanceId"], VolumeId=volume_id, Device=device)
    try:
        until(cloud, volume_id, "in-use", progress)
        if owned:
            own(cloud, instance["InstanceId"], [device], True)
    except BaseException:
        with suppress(ProviderError):
            detach(cloud, instance["InstanceId"], volume_id)
        raise
    return device


def own(cloud: Cloud, instance_id: str, devices: Iterable[str], owned: bool) -> None:
    """Whether these disks go when the VM goes."""
    mapped = [{"DeviceName": one, "Ebs": {"DeleteOnTermination": owned}} for one in devices]
    if mapped:
        cloud.ec2("modify_instance_attribute", InstanceId=instance_id, BlockDeviceMappings=mapped)


def detach(cloud: Cloud, instance_id: str, volume_id: str, progress: Progress = QUIET) -> None:
    """Pull a volume out and wait until it is free."""
    cloud.ec2("detach_volume", InstanceId=instance_id, VolumeId=volume_id)
    until(cloud, volume_id, "available", progress)


def attach_as(cloud: Cloud, instance_id: str, volume_id: str, device: str) -> None:
    """Plug a volume into a certain place."""
    cloud.ec2("attach_volume", InstanceId=instance_id, VolumeId=volume_id, Device=device)
    until(cloud, volume_id, "in-use")


def make_from(
    cloud: Cloud,
    snapshot: Mapping[str, Any],
    zone: str,
    instance_id: str,
    progress: Progress = QUIET,
    *,
    name: str = "",
    kind: str = "",
) -> str:
    """A volume with the content of a snapshot, ready to be plugged in."""
    own_tags = ({tags.VM: instance_id} if instance_id else {}) | ({tags.NAME: name} if name else {})
    made = cloud.ec2(
        "create_volume",
        SnapshotId=snapshot["SnapshotId"],
        AvailabilityZone=zone,
        VolumeType=kind if kind in TYPES else "gp3",
        TagSpecifications=tags.on("volume", own_tags),
    )
    try:
        until(cloud, made["VolumeId"], "available", progress)
    except BaseException:
        with suppress(ProviderError):
            cloud.ec2("delete_volume", VolumeId=made["VolumeId"])
        raise
    return str(made["VolumeId"])
