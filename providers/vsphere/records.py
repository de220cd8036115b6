"""From properties to records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from providers.base import (
    ConsoleKind,
    DiskDevice,
    DiskRecord,
    NicRecord,
    PowerState,
    SnapshotRecord,
    VmRecord,
)
from providers.vsphere import note
from providers.vsphere.properties import Element, Found, below, child, children, type_of

KIB_PER_GIB = 1024 * 1024

#: What a record of a VM is made of.
VM_PATHS = (
    "name",
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.host",
    "config.template",
    "config.instanceUuid",
    "config.annotation",
    "config.createDate",
    "config.hardware.numCPU",
    "config.hardware.memoryMB",
    "config.hardware.device",
    "guest.net",
    "snapshot",
    note.PATH,
)

_POWER = {
    "poweredOn": PowerState.RUNNING,
    "poweredOff": PowerState.STOPPED,
    # Its memory lies on the datastore; it goes on where it was when it is resumed.
    "suspended": PowerState.PAUSED,
}
_BUSES = (("SCSI", "scsi"), ("AHCI", "sata"), ("SATA", "sata"), ("NVME", "nvme"), ("IDE", "ide"))
_DRIVES = frozenset({"VirtualDisk", "VirtualCdrom", "VirtualFloppy"})
#: vSphere's names of card models → ours.
MODELS = {
    "VirtualVmxnet3": "vmxnet3",
    "VirtualE1000e": "e1000e",
    "VirtualE1000": "e1000",
    "VirtualVmxnet2": "vmxnet2",
    "VirtualPCNet32": "pcnet32",
    "VirtualSriovEthernetCard": "sriov",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A host by its name, and what it belongs to."""

    host: str
    zone: str = ""


def is_template(found: Found) -> bool:
    return found.is_true("config.template")


def power_of(found: Found) -> tuple[PowerState, str]:
    """The common state and vSphere's own word. A VM that its server cannot see is in no state at all."""
    connection = found.text("runtime.connectionState")
    if connection and connection != "connected":
        return PowerState.UNKNOWN, connection
    raw = found.text("runtime.powerState")
    return _POWER.get(raw, PowerState.UNKNOWN), raw


def note_of(found: Found) -> note.Note:
    value = found.values.get(note.PATH)
    text = below(value, "value") or (value.text or "" if value is not None else "")
    return note.read(text, found.text("config.instanceUuid"))


def vm_record(found: Found, places: Mapping[str, Place]) -> VmRecord:
    """The record of one VM; None stands for what a VM that is out of reach does not tell."""
    power, raw = power_of(found)
    known = note_of(found)
    place = places.get(found.text("runtime.host"), Place(""))
    devices = found.values.get("config.hardware.device")
    runs = power is PowerState.RUNNING
    return VmRecord(
        external_id=found.id,
        name=plain_name(found.text("name")),
        power=power,
        raw_state=raw,
        vcpus=found.number("config.hardware.numCPU"),
        memory_mib=found.number("config.hardware.memoryMB"),
        description=found.text("config.annotation"),
        image=known.image,
        host=place.host,
        zone=place.zone,
        created_at=moment(found.text("config.createDate")),
        nics=None if devices is None else tuple(_nics(devices, found.values.get("guest.net") if runs else None)),
        disks=None if devices is None else tuple(disks_of(devices)),
        snapshots=tuple(snapshots_of(found.values.get("snapshot"))),
        consoles=frozenset({ConsoleKind.VNC}),
        portal_uuid=known.portal_uuid,
        metadata=known.metadata,
    )


def plain_name(name: str) -> str:
    """vSphere gives these three back encoded: they would be parts of a path."""
    return name.replace("%2f", "/").replace("%5c", "\\").replace("%25", "%")


def moment(text: str) -> datetime | None:
    """A time of vSphere's; those before 1971 stand for "not known"."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    return found if found.year > 1970 else None


# -- devices -----------------------------------------------------------------------------------------------------------


def disks_of(devices: Element) -> Iterator[DiskRecord]:
    """Disks and drives in the order of their controllers' places; the first disk is the one it starts from."""
    buses: dict[str, str] = {}
    found: list[Element] = []
    for each in children(devices):
        kind = type_of(each)
        if kind in _DRIVES:
            found.append(each)
        elif bus := _bus(kind):
            buses[below(each, "key")] = bus
    is_first = True
    for device in sorted(found, key=_position):
        kind = type_of(device)
        bus = buses.get(below(device, "controllerKey"), "")
        backing = child(device, "backing")
        file = below(backing, "fileName")
        if kind != "VirtualDisk":
            is_cd = kind == "VirtualCdrom"
            yield DiskRecord(
                external_id=below(device, "key"),
                device=DiskDevice.CDROM if is_cd else DiskDevice.FLOPPY,
                volume=file,
                pool=below(backing, "datastore") if file else "",
                format="iso" if file and is_cd else "",
                bus=bus,
                read_only=is_cd,
            )
            continue
        yield DiskRecord(
            external_id=below(device, "key"),
            volume=file,
            pool=below(backing, "datastore"),
            format="vmdk",
            bus=bus,
            size_gib=int(below(device, "capacityInKB") or 0) / KIB_PER_GIB,
            boot=is_first,
            shareable=below(backing, "sharing") == "sharingMultiWriter",
        )
        is_first = False


def _position(device: Element) -> tuple[bool, int, int]:
    is_disk = type_of(device) == "VirtualDisk"
    return not is_disk, int(below(device, "controllerKey") or 0), int(below(device, "unitNumber") or 0)


@cache
def _bus(kind: str) -> str:
    if not kind.endswith("Controller"):
        return "scsi" if "LsiLogic" in kind or "BusLogic" in kind else ""
    return next((bus for part, bus in _BUSES if part in kind), "")


def _nics(devices: Element, guest: Element | None) -> Iterator[NicRecord]:
    told = {below(each, "macAddress").lower(): each for each in children(guest)}
    for device in children(devices):
        model = MODELS.get(type_of(device))
        if model is None:
            continue
        mac = below(device, "macAddress").lower()
        card = told.get(mac)
        addresses = tuple(each.text for each in children(card, "ipAddress") if each.text) if card is not None else ()
        yield NicRecord(
            external_id=below(device, "key"),
            mac=mac,
            network=network_of(device),
            model=model,
            addresses=addresses,
            addresses_source="agent" if addresses else "",
            is_linked=below(device, "connectable/startConnected") != "false",
        )


def network_of(device: Element) -> str:
    """external_id of a card's network: a host's port group, or one of a distributed switch."""
    return below(device, "backing/port/portgroupKey") or below(device, "backing/network")


def backing_files(device: Element) -> Sequence[str]:
    """The file of a disk and those that it builds on, the nearest first."""
    files, backing = [], child(device, "backing")
    while backing is not None:
        files.append(below(backing, "fileName"))
        backing = child(backing, "parent")
    return [file for file in files if file]


# -- snapshots ---------------------------------------------------------------------------------------------------------


def snapshots_of(info: Element | None) -> Iterator[SnapshotRecord]:
    """The tree as a list, parents before children."""
    if info is None:
        return
    current = below(info, "currentSnapshot")
    waiting: list[tuple[Element, str | None]] = [(each, None) for each in children(info, "rootSnapshotList")]
    while waiting:
        element, parent = waiting.pop(0)
        name = below(element, "name")
        runs = below(element, "state") == "poweredOn"
        yield SnapshotRecord(
            external_id=name,
            name=name,
            description=below(element, "description"),
            created_at=moment(below(element, "createTime")),
            parent=parent,
            is_current=below(element, "snapshot") == current,
            has_memory=runs,
            power=PowerState.RUNNING if runs else PowerState.STOPPED,
        )
        waiting += [(each, name) for each in children(element, "childSnapshotList")]


def snapshot_refs(info: Element | None) -> Mapping[str, str]:
    """Name → vSphere's own id of each snapshot."""
    found: dict[str, str] = {}
    waiting = list(children(info, "rootSnapshotList"))
    while waiting:
        element = waiting.pop(0)
        found[below(element, "name")] = below(element, "snapshot")
        waiting += list(children(element, "childSnapshotList"))
    return found
