"""From what EC2 tells to records: pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from providers.aws import tags
from providers.aws.addresses import elastic_of
from providers.aws.types import InstanceType
from providers.base import DiskRecord, NicRecord, PowerState, SnapshotRecord, VmRecord

#: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html
POWER = {
    "pending": PowerState.STARTING,
    "running": PowerState.RUNNING,
    "stopping": PowerState.STOPPING,
    "shutting-down": PowerState.STOPPING,
    "stopped": PowerState.STOPPED,
    "terminated": PowerState.STOPPED,
}
#: Why a VM is off that nobody switched off.
_CRASHES = frozenset({"Server.InternalError", "Client.InternalError", "Client.InstanceTerminated"})
#: States in which there is still something to tell.
LISTED = ("pending", "running", "stopping", "stopped", "shutting-down")


def state_of(instance: Mapping[str, Any]) -> str:
    return str(instance.get("State", {}).get("Name", ""))


def power_of(instance: Mapping[str, Any]) -> PowerState:
    state, reason = state_of(instance), str(instance.get("StateReason", {}).get("Code", ""))
    if state == "stopped" and reason in _CRASHES:
        return PowerState.CRASHED
    if state == "stopped" and reason.endswith("UserInitiatedHibernate"):
        return PowerState.SUSPENDED
    return POWER.get(state, PowerState.UNKNOWN)


def raw_state_of(instance: Mapping[str, Any]) -> str:
    """The vendor's word, with its reason where that says more than "somebody asked for it"."""
    state, reason = state_of(instance), str(instance.get("StateReason", {}).get("Code", ""))
    return f"{state} ({reason})" if reason and "UserInitiated" not in reason else state


def vm_record(
    instance: Mapping[str, Any],
    volumes: Mapping[str, Mapping[str, Any]],
    types: Mapping[str, InstanceType],
    snapshots: Iterable[SnapshotRecord] | None = None,
) -> VmRecord:
    own = tags.read(instance)
    kind = types.get(str(instance.get("InstanceType", "")))
    cpu = instance.get("CpuOptions") or {}
    told_vcpus = int(cpu.get("CoreCount") or 0) * int(cpu.get("ThreadsPerCore") or 0)
    created = instance.get("LaunchTime")
    return VmRecord(
        external_id=instance["InstanceId"],
        name=own.get(tags.NAME) or instance["InstanceId"],
        power=power_of(instance),
        raw_state=raw_state_of(instance),
        vcpus=told_vcpus or (kind.vcpus if kind else None),
        memory_mib=kind.memory_mib if kind else None,
        flavor=str(instance.get("InstanceType", "")),
        description=own.get(tags.DESCRIPTION, ""),
        image=str(instance.get("ImageId") or ""),
        zone=str(instance.get("Placement", {}).get("AvailabilityZone") or ""),
        created_at=created.astimezone(UTC) if isinstance(created, datetime) else None,
        nics=tuple(nic_record(nic) for nic in _in_order(instance)),
        disks=tuple(disk_records(instance, volumes)),
        snapshots=tuple(snapshots) if snapshots is not None else None,
        consoles=None if kind is None or kind.has_serial_line else frozenset(),
        portal_uuid=own.get(tags.UUID, ""),
        metadata=tags.metadata(own),
    )


def _in_order(instance: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return sorted(
        instance.get("NetworkInterfaces") or (), key=lambda nic: int(nic.get("Attachment", {}).get("DeviceIndex") or 0)
    )


def nic_record(nic: Mapping[str, Any]) -> NicRecord:
    private = [one["PrivateIpAddress"] for one in nic.get("PrivateIpAddresses") or () if one.get("PrivateIpAddress")]
    if not private and nic.get("PrivateIpAddress"):
        private = [nic["PrivateIpAddress"]]
    public = [one.get("Association", {}).get("PublicIp") for one in nic.get("PrivateIpAddresses") or ()]
    public += [nic.get("Association", {}).get("PublicIp")]
    six = [one["Ipv6Address"] for one in nic.get("Ipv6Addresses") or ()]
    # The public one first: it is what people connect to.
    addresses = tuple(dict.fromkeys([*(one for one in public if one), *private, *six]))
    return NicRecord(
        external_id=nic["NetworkInterfaceId"],
        mac=str(nic.get("MacAddress") or ""),
        network=str(nic.get("VpcId") or ""),
        model="ena",
        addresses=addresses,
        addresses_source="provider" if addresses else "",
        public_address=elastic_of(nic),
    )


def device_name(told: str) -> str:
    """ "sda1" of "/dev/sda1": a name inside the VM that can stand in an address."""
    return told.removeprefix("/dev/")


def disk_records(instance: Mapping[str, Any], volumes: Mapping[str, Mapping[str, Any]]) -> Iterable[DiskRecord]:
    root = instance.get("RootDeviceName")
    mapped = instance.get("BlockDeviceMappings") or ()
    for one in sorted(mapped, key=lambda each: (each.get("DeviceName") != root, each.get("DeviceName", ""))):
        volume_id = one.get("Ebs", {}).get("VolumeId", "")
        volume = volumes.get(volume_id, {})
        yield DiskRecord(
            external_id=device_name(one.get("DeviceName", "")),
            volume=volume_id,
            pool=str(volume.get("AvailabilityZone") or ""),
            format=str(volume.get("VolumeType") or ""),
            size_gib=float(volume.get("Size") or 0),
            boot=one.get("DeviceName") == root,
            shareable=bool(volume.get("MultiAttachEnabled")),
        )
