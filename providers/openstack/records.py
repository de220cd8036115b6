"""From the services' JSON to records.

States: https://docs.openstack.org/nova/latest/reference/vm-states.html; the raw word is kept as "STATUS/task".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from providers.base import ConsoleKind, DiskRecord, FlavorRecord, NicRecord, PowerState, VmRecord, VolumeRecord
from providers.openstack.part import MARK
from providers.openstack.service import Json

_STATES = {
    "ACTIVE": PowerState.RUNNING,
    "BUILD": PowerState.STARTING,
    "REBUILD": PowerState.STARTING,
    "REBOOT": PowerState.RUNNING,
    "HARD_REBOOT": PowerState.RUNNING,
    "PASSWORD": PowerState.RUNNING,
    "RESCUE": PowerState.RUNNING,
    "MIGRATING": PowerState.RUNNING,
    "PAUSED": PowerState.PAUSED,
    "SUSPENDED": PowerState.SUSPENDED,
    "SHUTOFF": PowerState.STOPPED,
    "SHELVED": PowerState.STOPPED,
    "SHELVED_OFFLOADED": PowerState.STOPPED,
    "SOFT_DELETED": PowerState.STOPPED,
    "ERROR": PowerState.CRASHED,
}
_TASKS = {
    "powering-off": PowerState.STOPPING,
    "deleting": PowerState.STOPPING,
    "soft-deleting": PowerState.STOPPING,
    "powering-on": PowerState.STARTING,
    "unshelving": PowerState.STARTING,
    "resuming": PowerState.STARTING,
}
#: While a resize is on its way the status says nothing about power; this number does (1 runs, 3 paused, 4 is off).
_BY_NUMBER = {1: PowerState.RUNNING, 3: PowerState.PAUSED, 4: PowerState.STOPPED, 7: PowerState.SUSPENDED}
_GIB = 1024**3


def power_of(server: Json) -> PowerState:
    status, task = str(server.get("status", "")), server.get("OS-EXT-STS:task_state")
    if task in _TASKS:
        return _TASKS[str(task)]
    if status in ("RESIZE", "VERIFY_RESIZE", "REVERT_RESIZE"):
        return _BY_NUMBER.get(int(server.get("OS-EXT-STS:power_state") or 0), PowerState.UNKNOWN)
    return _STATES.get(status, PowerState.UNKNOWN)


def raw_state(server: Json) -> str:
    task = server.get("OS-EXT-STS:task_state")
    return f"{server.get('status', '')}/{task}" if task else str(server.get("status", ""))


def is_deleted(server: Json) -> bool:
    return server.get("status") == "DELETED" or server.get("OS-EXT-STS:task_state") == "deleting"


def vm_record(
    server: Json,
    ports: Iterable[Json],
    volumes: Mapping[str, Json],
    consoles: frozenset[ConsoleKind],
    floating: Mapping[str, str] | None = None,
) -> VmRecord:
    """`volumes` holds those that are known, by id; `floating` the address that each port has."""
    flavor: Json = server.get("flavor") or {}
    metadata = {str(key): str(value) for key, value in (server.get("metadata") or {}).items()}
    portal_uuid = metadata.pop(MARK, "")
    power, image = power_of(server), server.get("image") or {}
    return VmRecord(
        external_id=server["id"],
        name=server.get("name") or "",
        power=power,
        raw_state=raw_state(server),
        vcpus=flavor.get("vcpus"),
        memory_mib=flavor.get("ram"),
        flavor=flavor.get("original_name", ""),
        description=server.get("description") or "",
        image=image.get("id", "") or metadata.pop("kvweb_image", ""),
        host=server.get("OS-EXT-SRV-ATTR:host") or "",
        zone=server.get("OS-EXT-AZ:availability_zone") or "",
        created_at=moment(server.get("created")),
        nics=tuple(nic_record(port, (floating or {}).get(port["id"], "")) for port in ports),
        disks=tuple(_disks(server, flavor, volumes)),
        consoles=consoles if power in (PowerState.RUNNING, PowerState.PAUSED) else frozenset(),
        portal_uuid=portal_uuid,
        metadata={key: value for key, value in metadata.items() if key != "kvweb_image"},
    )


def nic_record(port: Json, floating: str) -> NicRecord:
    fixed = [str(each["ip_address"]) for each in port.get("fixed_ips", ())]
    return NicRecord(
        external_id=port["id"],
        mac=str(port.get("mac_address", "")).lower(),
        network=port.get("network_id", ""),
        model="",
        addresses=tuple(fixed + ([floating] if floating else [])),
        addresses_source="provider" if fixed or floating else "",
        public_address=floating,
        is_linked=port.get("admin_state_up", True) is not False,
    )


def _disks(server: Json, flavor: Json, volumes: Mapping[str, Json]) -> list[DiskRecord]:
    attached = [str(each["id"]) for each in server.get("os-extended-volumes:volumes_attached", ())]
    found = []
    if server.get("image"):
        found.append(DiskRecord(external_id="root", size_gib=float(flavor.get("disk") or 0), boot=True))
    if flavor.get("ephemeral"):
        found.append(DiskRecord(external_id="ephemeral", size_gib=float(flavor["ephemeral"])))
    disks = [_volume_disk(server["id"], each, volumes.get(each, {})) for each in attached]
    # Nova tells them in no order; devices are in that of their plugging in.
    disks.sort(key=lambda disk: (len(disk.external_id), disk.external_id))
    names = [disk.external_id for disk in disks]
    if len(set(names)) < len(names):
        disks = [_volume_disk(server["id"], each, {**volumes.get(each, {}), "attachments": ()}) for each in attached]
    if disks and not server.get("image"):
        first = disks[0]
        disks[0] = DiskRecord(**{**_fields(first), "boot": True})
    return found + disks


def _fields(disk: DiskRecord) -> dict[str, Any]:
    return {name: getattr(disk, name) for name in DiskRecord.__dataclass_fields__}


def _volume_disk(server_id: str, volume_id: str, volume: Json) -> DiskRecord:
    """Named for its device where Cinder tells it, else for its volume."""
    device = next(
        (each.get("device") or "" for each in volume.get("attachments", ()) if each.get("server_id") == server_id), ""
    )
    return DiskRecord(
        external_id=str(device).rpartition("/")[2] or volume_id,
        volume=volume_id,
        pool=str(volume.get("volume_type") or ""),
        size_gib=float(volume.get("size") or 0),
        shareable=bool(volume.get("multiattach")),
    )


def volume_record(volume: Json) -> VolumeRecord:
    return VolumeRecord(
        external_id=volume["id"],
        name=volume.get("name") or volume["id"],
        pool=str(volume.get("volume_type") or ""),
        size_gib=float(volume.get("size") or 0),
        allocation_gib=float(volume.get("size") or 0),
        used_by=users_of(volume),
    )


def users_of(volume: Json) -> tuple[str, ...]:
    """ids of the servers that have it."""
    return tuple(str(each["server_id"]) for each in volume.get("attachments", ()) if each.get("server_id"))


def flavor_record(flavor: Json) -> FlavorRecord:
    """Its name is its identity here: servers tell that of their flavor and not the id, and names are unique."""
    return FlavorRecord(
        external_id=flavor["name"],
        name=flavor["name"],
        vcpus=int(flavor["vcpus"]),
        memory_mib=int(flavor["ram"]),
        disk_gib=int(flavor.get("disk") or 0) or None,
    )


def moment(text: str | None) -> datetime | None:
    """The services' times are of UTC, with or without saying so."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def gib(size: int | None) -> float:
    return (size or 0) / _GIB
