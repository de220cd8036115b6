"""From the API's JSON to records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from ipaddress import ip_network
from typing import Any

from providers.base import (
    ConsoleKind,
    DiskDevice,
    DiskRecord,
    ImageRecord,
    NicRecord,
    PowerState,
    SnapshotRecord,
    VmRecord,
    VolumeRecord,
)
from providers.hcloud import labels
from providers.hcloud.api import Json

#: external_id of the internet side of servers, which the API has no object for.
PUBLIC = "public"
#: external_id of a server's local disk, inside the server.
ROOT = "root"
DRIVE = "cdrom"

_STATES = {
    "initializing": PowerState.STARTING,
    "starting": PowerState.STARTING,
    "running": PowerState.RUNNING,
    "stopping": PowerState.STOPPING,
    "off": PowerState.STOPPED,
    "deleting": PowerState.STOPPING,
    "rebuilding": PowerState.STARTING,
    # Moves to another host, or to another size while it is off: the API does not say which.
    "migrating": PowerState.UNKNOWN,
}


def power_of(server: Json) -> PowerState:
    return _STATES.get(server["status"], PowerState.UNKNOWN)


def time_of(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def place_of(row: Json) -> str:
    """Name of the location; older answers have it inside the datacenter."""
    place = row.get("location") or (row.get("datacenter") or {}).get("location") or {}
    return str(place.get("name", ""))


def vm_record(
    server: Json,
    volumes: Mapping[int, Json],
    snapshots: Sequence[SnapshotRecord] | None = None,
    options: Mapping[str, Any] | None = None,
) -> VmRecord:
    """`volumes` by id: those that the server has, or all."""
    power, kind, own = power_of(server), server["server_type"], server["labels"]
    return VmRecord(
        external_id=str(server["id"]),
        name=server["name"],
        power=power,
        raw_state=server["status"],
        vcpus=kind["cores"],
        memory_mib=int(kind["memory"] * 1024),
        flavor=kind["name"],
        image=str(server["image"]["id"]) if server["image"] else "",
        zone=place_of(server),
        created_at=time_of(server["created"]),
        nics=tuple(_nics(server)),
        disks=tuple(_disks(server, volumes)),
        snapshots=tuple(snapshots) if snapshots is not None else None,
        consoles=frozenset({ConsoleKind.VNC}) if power is PowerState.RUNNING else frozenset(),
        portal_uuid=own.get(labels.UUID, ""),
        metadata=labels.metadata(own),
        options=options,
    )


def _nics(server: Json) -> list[NicRecord]:
    public = server["public_net"]
    addresses = []
    if public["ipv4"]:
        addresses.append(public["ipv4"]["ip"])
    if public["ipv6"]:
        # The network is the server's; the first address in it is the one that its image takes.
        addresses.append(str(ip_network(public["ipv6"]["ip"])[1]))
    nics = []
    if addresses:
        nics.append(
            NicRecord(external_id=PUBLIC, network=PUBLIC, addresses=tuple(addresses), addresses_source="provider")
        )
    for net in server["private_net"]:
        number = str(net["network"])
        nics.append(
            NicRecord(
                external_id=number,
                network=number,
                mac=net["mac_address"],
                addresses=(net["ip"], *net["alias_ips"]),
                addresses_source="provider",
            )
        )
    return nics


def _disks(server: Json, volumes: Mapping[int, Json]) -> list[DiskRecord]:
    disks = [
        DiskRecord(
            external_id=ROOT, volume=f"server-{server['id']}", size_gib=float(server["primary_disk_size"]), boot=True
        )
    ]
    for number in server["volumes"]:
        size = volumes[number]["size"] if number in volumes else 0
        disks.append(DiskRecord(external_id=str(number), volume=str(number), size_gib=float(size)))
    if server["iso"]:
        drive = DiskRecord(
            external_id=DRIVE, device=DiskDevice.CDROM, volume=iso_id(server["iso"]), format="iso", read_only=True
        )
        disks.append(drive)
    return disks


def iso_id(iso: Json) -> str:
    """ISO images are told apart from others by their external_id."""
    return f"iso-{iso['id']}"


def volume_record(volume: Json) -> VolumeRecord:
    return VolumeRecord(
        external_id=str(volume["id"]),
        name=volume["name"],
        path=volume["linux_device"],
        format=volume["format"] or "",
        size_gib=float(volume["size"]),
        allocation_gib=float(volume["size"]),
        used_by=(str(volume["server"]),) if volume["server"] else (),
    )


def image_name(image: Json) -> str:
    """System images have a name, the same for each kind of processor; snapshots have what the portal calls them."""
    own = image["labels"].get(labels.IMAGE) or image["labels"].get(labels.SNAPSHOT)
    if own:
        return labels.text_of(own)
    name = str(image["name"] or image["description"] or f"image {image['id']}")
    return f"{name} ({image['architecture']})" if image["architecture"] != "x86" else name


def image_record(image: Json) -> ImageRecord:
    version = f" {image['os_version']}" if image["os_version"] else ""
    return ImageRecord(
        external_id=str(image["id"]),
        name=image_name(image),
        size_gib=float(image["disk_size"]),
        stored_bytes=int((image["image_size"] or 0) * 1024**3),
        os="" if image["os_flavor"] == "unknown" else f"{image['os_flavor']}{version}",
        default_user="root",
        created_at=time_of(image["created"]),
    )


def iso_record(iso: Json) -> ImageRecord:
    return ImageRecord(external_id=iso_id(iso), name=iso["name"] or iso["description"], format="iso", is_iso=True)


def snapshot_records(server: Json, images: Sequence[Json]) -> list[SnapshotRecord]:
    """Snapshots of a server, oldest first; where they came from is written on them, since each is a whole copy."""
    names = {str(image["id"]): labels.text_of(image["labels"][labels.SNAPSHOT]) for image in images}
    current = server["labels"].get(labels.CURRENT, "")
    return [
        SnapshotRecord(
            external_id=str(image["id"]),
            name=names[str(image["id"])],
            description="" if image["description"] == names[str(image["id"])] else image["description"],
            created_at=time_of(image["created"]),
            parent=names.get(image["labels"].get(labels.PARENT, "")),
            is_current=str(image["id"]) == current,
            power=PowerState(image["labels"].get(labels.POWER, PowerState.UNKNOWN)),
            size_bytes=int(image["image_size"] * 1024**3) if image["image_size"] else None,
        )
        for image in sorted(images, key=lambda one: int(one["id"]))
    ]
