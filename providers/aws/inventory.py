"""Reading VMs: all of them in a few pages, or one of them in full."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from providers.aws import tags, types
from providers.aws.cloud import Cloud
from providers.aws.moments import CURRENT, moments_of
from providers.aws.records import LISTED, state_of, vm_record
from providers.base import NotFound, VmRecord

_ID = re.compile(r"i-[0-9a-f]{8,17}")
_GONE = "The VM does not exist any more."
_IS_LISTED = {"Name": "instance-state-name", "Values": list(LISTED)}


def instances(cloud: Cloud, *wanted: dict[str, Any]) -> list[Mapping[str, Any]]:
    """Instances that fit the filters, without those that are gone; of every reservation all, page by page."""
    told = cloud.pages("ec2", "describe_instances", "Reservations", Filters=[_IS_LISTED, *wanted])
    return [one for reservation in told for one in reservation.get("Instances") or ()]


def instance(cloud: Cloud, external_id: str) -> Mapping[str, Any]:
    """One instance as EC2 tells it; raises NotFound also for one that is terminated or that never was."""
    found = raw_instance(cloud, external_id)
    if found is None or state_of(found) == "terminated" or tags.BUILDING in tags.read(found):
        raise NotFound(_GONE)
    return found


def raw_instance(cloud: Cloud, external_id: str) -> Mapping[str, Any] | None:
    """In any state; None for one that EC2 does not know (any more, or yet)."""
    if not _ID.fullmatch(external_id):
        return None
    try:
        told = cloud.ec2("describe_instances", InstanceIds=[external_id])
    except NotFound:
        return None
    return next((one for each in told.get("Reservations") or () for one in each.get("Instances") or ()), None)


def all_vms(cloud: Cloud) -> list[VmRecord]:
    """All VMs that are complete: pages of instances, pages of volumes, and types that were not met before."""
    found = [one for one in instances(cloud) if tags.BUILDING not in tags.read(one)]
    if not found:
        return []
    attached = {"Name": "attachment.status", "Values": ["attaching", "attached", "detaching", "busy"]}
    told = cloud.pages("ec2", "describe_volumes", "Volumes", Filters=[attached])
    volumes = {one["VolumeId"]: one for one in told}
    known = types.known(cloud, {str(one.get("InstanceType", "")) for one in found})
    return [vm_record(one, volumes, known) for one in found]


def vm(cloud: Cloud, external_id: str, told: Mapping[str, Any] | None = None) -> VmRecord:
    """One VM in full, with its snapshots; `told` is the instance when it was just read."""
    one = told if told is not None else instance(cloud, external_id)
    known = types.known(cloud, [str(one.get("InstanceType", ""))])
    return vm_record(
        one, volumes_of(cloud, one), known, moments_of(cloud, one["InstanceId"], tags.read(one).get(CURRENT))
    )


def volume_ids(one: Mapping[str, Any]) -> list[str]:
    return [each["Ebs"]["VolumeId"] for each in one.get("BlockDeviceMappings") or () if each.get("Ebs")]


def volumes_of(cloud: Cloud, one: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return volumes_by_id(cloud, volume_ids(one))


def volumes_by_id(cloud: Cloud, ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Those of these that exist."""
    wanted = sorted(ids)
    if not wanted:
        return {}
    told = cloud.ec2("describe_volumes", Filters=tags.filters(volume_id=wanted))
    return {each["VolumeId"]: each for each in told.get("Volumes") or ()}


def called(cloud: Cloud, name: str) -> Mapping[str, Any] | None:
    """A complete VM of this name; names need not be unique at AWS, so the oldest of them."""
    found = [one for one in instances(cloud, tags.tagged(tags.NAME, name)) if tags.BUILDING not in tags.read(one)]
    return min(found, key=lambda one: (str(one.get("LaunchTime")), one["InstanceId"])) if found else None
