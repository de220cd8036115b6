"""From what was seen of a VM to the portal's record of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from providers.base import ConsoleKind, DiskDevice, DiskRecord, NicRecord, PowerState, VmRecord
from providers.kvm.design import BRIDGE_PREFIX
from providers.kvm.native import libvirt
from providers.kvm.xml.domain_reader import SeenCard, SeenDrive, SeenMachine

GIB = 1024**3

_POWER: dict[int, tuple[PowerState, str]] = {
    libvirt.VIR_DOMAIN_NOSTATE: (PowerState.UNKNOWN, "no state"),
    libvirt.VIR_DOMAIN_RUNNING: (PowerState.RUNNING, "running"),
    # "Blocked" is waiting for I/O; only Xen says it.
    libvirt.VIR_DOMAIN_BLOCKED: (PowerState.RUNNING, "blocked"),
    libvirt.VIR_DOMAIN_PAUSED: (PowerState.PAUSED, "paused"),
    libvirt.VIR_DOMAIN_SHUTDOWN: (PowerState.STOPPING, "in shutdown"),
    libvirt.VIR_DOMAIN_SHUTOFF: (PowerState.STOPPED, "shut off"),
    libvirt.VIR_DOMAIN_CRASHED: (PowerState.CRASHED, "crashed"),
    libvirt.VIR_DOMAIN_PMSUSPENDED: (PowerState.SUSPENDED, "pmsuspended"),
}

#: Reasons that make a state another one for a person: a saved VM is off but goes on where it was.
_BY_REASON: dict[tuple[int, int], tuple[PowerState, str]] = {
    (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_SAVED): (PowerState.SUSPENDED, "shut off (saved)"),
    (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_CRASHED): (PowerState.CRASHED, "shut off (crashed)"),
    (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR): (PowerState.PAUSED, "paused (I/O error)"),
    (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP): (PowerState.STARTING, "starting up"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Everything that a record is made of. Addresses are by MAC, sizes by the drive's target, in bytes."""

    machine: SeenMachine
    state: int
    reason: int = 0
    autostart: bool | None = None
    sizes: Mapping[str, int]
    addresses: Mapping[str, tuple[str, tuple[str, ...]]]
    """MAC → where they were read, and the addresses."""
    pools: Mapping[str, str]
    """Folder → name of the pool that keeps its volumes there."""


def power_of(state: int, reason: int = 0) -> tuple[PowerState, str]:
    """Our word and libvirt's for a state."""
    return _BY_REASON.get((state, reason)) or _POWER.get(state, (PowerState.UNKNOWN, f"state {state}"))


def vm_record(seen: Seen) -> VmRecord:
    machine = seen.machine
    power, raw_state = power_of(seen.state, seen.reason)
    return VmRecord(
        external_id=machine.uuid,
        name=machine.name,
        power=power,
        raw_state=raw_state,
        vcpus=machine.vcpus,
        memory_mib=machine.memory_mib,
        description=machine.description,
        image=machine.note.image,
        autostart=seen.autostart,
        created_at=_time(machine.note.created_at),
        nics=tuple(_nic(card, seen.addresses) for card in machine.cards),
        disks=tuple(_disk(drive, seen) for drive in machine.drives),
        consoles=frozenset(_consoles(machine)),
        portal_uuid=machine.note.portal_uuid,
        metadata=dict(machine.note.values),
        pending=machine.pending,
        options=machine.options,
    )


def _nic(card: SeenCard, addresses: Mapping[str, tuple[str, tuple[str, ...]]]) -> NicRecord:
    source, known = addresses.get(card.mac, ("", ()))
    return NicRecord(
        # The MAC and not the alias: aliases are given anew at each start, and a stopped VM has none.
        external_id=card.mac or card.alias,
        mac=card.mac,
        network=card.network or (BRIDGE_PREFIX + card.bridge if card.bridge else ""),
        model=card.model,
        addresses=known,
        addresses_source=source,
        filter=card.filter,
        isolated=card.isolated,
        vlan=card.vlan,
        is_linked=card.is_linked,
    )


def _disk(drive: SeenDrive, seen: Seen) -> DiskRecord:
    folder = drive.source.rpartition("/")[0]
    return DiskRecord(
        external_id=drive.target,
        device=DiskDevice(drive.device) if drive.device in {"cdrom", "floppy"} else DiskDevice.DISK,
        volume=drive.source,
        pool=drive.pool or seen.pools.get(folder, ""),
        format=drive.format,
        bus=drive.bus,
        size_gib=seen.sizes.get(drive.target, 0) / GIB,
        boot=drive.boot,
        read_only=drive.read_only,
        cache=drive.cache if drive.cache != "default" else "",
        shareable=drive.shareable,
    )


def _consoles(machine: SeenMachine) -> Iterable[ConsoleKind]:
    if any(graphics.type == "vnc" for graphics in machine.graphics):
        yield ConsoleKind.VNC
    if any(graphics.type == "spice" for graphics in machine.graphics):
        yield ConsoleKind.SPICE
    if machine.has_serial:
        yield ConsoleKind.SERIAL


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
