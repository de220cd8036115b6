"""The parts of a VM's document as plain data: what the design decides and the writer writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a drive's content is: a file, a block device, or a volume that only libvirt can name."""

    kind: str
    """ "file", "block", "volume", or "rbd" for an image of Ceph's, which libvirt cannot find by its pool."""
    path: str = ""
    """Of a file or device; of an image of Ceph's its pool and name ("vms/web-0")."""
    pool: str = ""
    volume: str = ""
    format: str = "raw"
    hosts: tuple[tuple[str, str], ...] = ()
    """Name and port of each of Ceph's monitors."""
    user: str = ""
    secret_uuid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    source: Source | None
    """None: a drive without a medium."""
    target: str
    bus: str
    device: str = "disk"
    boot_order: int | None = None
    read_only: bool = False
    shareable: bool = False
    cache: str = ""
    """libvirt's word, empty for the emulator's default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    network: str = ""
    """Name of a libvirt network; exactly one of network and bridge is given."""
    bridge: str = ""
    mac: str = ""
    model: str = "virtio"
    boot_order: int | None = None
    filter: str = ""
    filter_address: str = ""
    """The only address of IPv4 that the filter lets the guest use; empty: the first that it uses."""
    isolated: bool = False
    vlan: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What the portal writes into a VM's metadata, to recognise it and to know what belongs to it."""

    portal_uuid: str = ""
    created_at: str = ""
    """ISO 8601 with its zone."""
    image: str = ""
    volumes: tuple[str, ...] = ()
    """Keys of the volumes that were made for this VM and go with it."""
    values: tuple[tuple[str, str], ...] = ()
    """The VM's free metadata, sorted by key."""
    tags: tuple[str, ...] = ()
    fresh_firmware: bool = False
    """The firmware was changed: its variables are begun anew at the next start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A whole VM."""

    name: str
    uuid: str
    description: str = ""
    note: Note
    virt_type: str
    arch: str
    machine: str
    emulator: str = ""
    vcpus: int
    memory_mib: int
    firmware: str = ""
    """ "efi" to let libvirt choose one, empty for the machine's BIOS."""
    cpu_mode: str = ""
    """libvirt's mode, empty for the emulator's default."""
    acpi: bool = True
    x86: bool = True
    """Has the parts that only a PC has: apic, RTC and HPET timers."""
    drives: tuple[Drive, ...] = ()
    cards: tuple[Card, ...] = ()
    listen: str = "none"
    spice_listen: str = ""
    """VNC: "none" (reached only through a descriptor that libvirt passes), or an address to listen on."""
    video: str = "virtio"
    """Empty: no screen at all."""
    usb_tablet: bool = True
    agent: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further options of the kind, by their names: those that were asked for."""
    root_ports: int = 0
    """PCI Express ports for what is plugged in, now and while it runs; 0 leaves it to libvirt, which keeps one free."""
