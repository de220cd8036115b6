"""From a wish and the host's facts to a VM's document: every choice is made here and nowhere else. No I/O."""

from __future__ import annotations

import ipaddress
import re
import string
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from providers.base import DiskSpec, InvalidRequest, NicSpec, VmSpec
from providers.kvm import offers
from providers.kvm.hostfacts import HostFacts
from providers.kvm.options import KvmOptions
from providers.kvm.xml.elements import Card, Drive, Machine, Note, Source

#: Makes a uuid of a portal_uuid that is none; only its constancy matters.
_OURS = UUID("6b766d2d-6b76-4b76-8d00-6b7677656200")

BRIDGE_PREFIX = "bridge:"
#: libvirt and QEMU name files after the VM ("…_VARS.fd"), and a file's name has at most 255 bytes.
NAME_MOST_BYTES = 240
DISK_BUSES = frozenset({"virtio", "scsi", "sata", "ide"})
_WITHOUT_IDE = ("q35", "virt", "microvm")
#: What can be plugged into a running VM: disks and network cards together.
SPARE_PORTS = 8
CACHES = frozenset({"none", "writeback", "writethrough", "directsync", "unsafe"})
#: Options that are answered by other parts of the machine; the others are written as they were asked for.
_DESIGNED = frozenset({"cpu_mode", "machine", "firmware", "disk_bus", "nic_model", "video"})
NIC_MODELS = frozenset({"virtio", "e1000e", "e1000", "rtl8139"})

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What the design is given about storage that exists by now."""

    disks: tuple[Source, ...] = ()
    """In the order of `spec.disks`."""
    iso: Source | None = None
    seed: Source | None = None
    owned: tuple[str, ...] = ()
    """Keys of the volumes that were made for this VM."""


def domain_uuid(portal_uuid: str) -> UUID:
    """The VM's uuid: the portal's own where that is a uuid, else made from it, so a second create finds the first."""
    try:
        return UUID(portal_uuid)
    except ValueError:
        return uuid5(_OURS, portal_uuid)


def options_of(spec: VmSpec) -> KvmOptions:
    """The options of this kind; raises InvalidRequest that names the wrong one."""
    return offers.options_of(spec.options)


def asked_of(options: KvmOptions) -> dict[str, Any]:
    """The options that differ from their default, which leaves the choice to this module."""
    return options.model_dump(mode="json", exclude_defaults=True)


def check_name(name: str, field: str = "name") -> None:
    """Raise InvalidRequest for names that libvirt refuses, or that cannot be kept exactly in a document."""
    if "/" in name:
        raise InvalidRequest("A name cannot contain “/”.", field=field)
    if any(ord(char) < 32 or ord(char) in {0x7F, 0xFFFE, 0xFFFF} or 0xD800 <= ord(char) <= 0xDFFF for char in name):
        raise InvalidRequest("A name cannot contain control characters.", field=field)
    if not name.strip() or name != name.strip():
        raise InvalidRequest("A name cannot be blank, nor begin or end with a blank.", field=field)
    if name in {".", ".."}:
        raise InvalidRequest("This name is not allowed.", field=field)
    if len(name.encode()) > NAME_MOST_BYTES:
        raise InvalidRequest("This name is too long.", field=field)


def check(spec: VmSpec, facts: HostFacts) -> None:
    """Raise InvalidRequest, with its field, for what this host can never run."""
    check_name(spec.name)
    check_options(spec, facts)
    if spec.flavor:
        raise InvalidRequest("This provider has no flavors; choose vCPUs and memory.", field="flavor")
    if spec.zone:
        raise InvalidRequest("This provider has no zones.", field="zone")
    if facts.max_vcpus and spec.vcpus > facts.max_vcpus:
        raise InvalidRequest(f"The host's machines have at most {facts.max_vcpus} vCPUs.", field="vcpus")
    if facts.memory_mib and spec.memory_mib > facts.memory_mib:
        raise InvalidRequest(f"The host has {facts.memory_mib} MiB of memory in all.", field="memory_mib")
    if spec.firmware not in {"", "bios", "uefi"}:
        raise InvalidRequest("The firmware is “bios” or “uefi”.", field="firmware")
    if spec.firmware == "uefi" and not facts.has_efi:
        raise InvalidRequest("The host has no UEFI firmware installed.", field="firmware")
    if spec.firmware == "bios" and not facts.is_x86:
        raise InvalidRequest(f"A machine of {facts.arch} has no BIOS.", field="firmware")
    for index, disk in enumerate(spec.disks):
        check_disk(disk, f"disks.{index}.")
        check_bus(disk.bus, options_of(spec).machine or facts.machines[0], f"disks.{index}.")
    for index, nic in enumerate(spec.nics):
        check_nic(nic, f"nics.{index}.")
    for text, field in _texts(spec):
        if any(ord(char) < 32 and char not in "\t\n\r" for char in text):
            raise InvalidRequest("Control characters are not allowed here.", field=field)


def check_options(spec: VmSpec, facts: HostFacts) -> None:
    """Raise InvalidRequest for options that this host cannot give, or that do not go with the VM's size."""
    options = options_of(spec)
    asked = asked_of(options)
    offers.check_options(asked, facts)
    offers.check_room(asked, vcpus=spec.vcpus, memory_mib=spec.memory_mib)
    offers.check_whole(
        asked,
        most_vcpus=max(spec.vcpus, options.max_vcpus),
        memory_mib=spec.memory_mib if options.memory_slots else max(spec.memory_mib, options.max_memory_mib),
    )
    if options.secure_boot and spec.firmware == "bios":
        raise InvalidRequest("Secure Boot needs the firmware UEFI.", field="options.secure_boot")


def design(spec: VmSpec, facts: HostFacts, content: Content, *, uuid: UUID, now: datetime) -> Machine:
    """The machine that this spec becomes on this host. Expects a spec that `check` let pass."""
    check_options(spec, facts)
    options = options_of(spec)
    machine = options.machine or facts.machines[0]
    screen = offers.video(options.video, facts)
    efi = "uefi" in {spec.firmware, options.firmware} or options.secure_boot or (not facts.is_x86 and facts.has_efi)
    return Machine(
        name=spec.name,
        uuid=str(uuid),
        description=spec.description,
        note=Note(
            portal_uuid=spec.portal_uuid,
            created_at=now.isoformat(timespec="seconds"),
            image=next((disk.image for disk in spec.disks if disk.image), ""),
            volumes=content.owned,
            values=tuple(sorted(spec.metadata.items())),
            tags=spec.tags,
        ),
        virt_type=facts.virt_type,
        arch=facts.arch,
        machine=machine,
        emulator=facts.emulator,
        vcpus=spec.vcpus,
        memory_mib=spec.memory_mib,
        firmware="efi" if efi else "",
        cpu_mode=_libvirts_mode(offers.cpu_mode(options.cpu_mode, facts)),
        x86=facts.is_x86,
        drives=tuple(_drives(spec, options, content, machine)),
        cards=tuple(card(nic, options) for nic in spec.nics),
        # A descriptor that libvirt passes can only cross a local socket. A remote host listens where only it can reach.
        listen="none" if facts.is_local else "127.0.0.1",
        spice_listen=facts.spice_address,
        video="" if screen == "none" else screen,
        options={
            name: value
            for name, value in offers.with_nodes(asked_of(options), {}, facts).items()
            if name not in _DESIGNED
        },
        root_ports=_root_ports(spec, content) if machine != "pc" else 0,
    )


def card(nic: NicSpec, options: KvmOptions) -> Card:
    """One network card. `nic.network` is the name of a libvirt network, or “bridge:” and a bridge of the host."""
    is_bridge = nic.network.startswith(BRIDGE_PREFIX)
    return Card(
        network="" if is_bridge else nic.network,
        bridge=nic.network.removeprefix(BRIDGE_PREFIX) if is_bridge else "",
        mac=nic.mac,
        model=nic.model or options.nic_model or "virtio",
        filter=nic.filter,
        filter_address=_ipv4(nic.address) if nic.filter else "",
        isolated=nic.isolated,
        vlan=nic.vlan,
    )


def _ipv4(address: str) -> str:
    found = ipaddress.ip_interface(address) if address else None
    return str(found.ip) if found is not None and found.version == 4 else ""


def check_disk(disk: DiskSpec, field: str = "") -> None:
    """Raise InvalidRequest for a bus or a cache mode that there is not."""
    if disk.bus not in {"", *DISK_BUSES}:
        raise InvalidRequest(f"There is no disk bus “{disk.bus}”.", field=f"{field}bus")
    if disk.cache not in {"", *CACHES}:
        raise InvalidRequest(f"There is no cache mode “{disk.cache}”.", field=f"{field}cache")


def check_bus(bus: str, machine: str, field: str = "") -> None:
    """Raise InvalidRequest for a bus that this type of machine ("pc-q35-7.2") has not. libvirt takes it into the
    document of a stopped VM, which then never starts."""
    if bus == "ide" and any(family in machine for family in _WITHOUT_IDE):
        raise InvalidRequest("This machine has no IDE; choose sata.", field=f"{field}bus")


def disk_drive(wish: DiskSpec, source: Source, *, target: str, bus: str, boot_order: int | None = None) -> Drive:
    """The drive that a wished disk becomes."""
    return Drive(
        source=source,
        target=target,
        bus=bus,
        boot_order=boot_order,
        read_only=wish.read_only,
        shareable=wish.shareable,
        cache=wish.cache,
    )


def next_target(bus: str, taken: Iterable[str]) -> str:
    """The first free device name on a bus: vda, vdb … vdz, vdaa."""
    prefix = {"virtio": "vd", "ide": "hd", "fdc": "fd"}.get(bus, "sd")
    used = set(taken)
    letters = string.ascii_lowercase
    names = [*letters, *(first + second for first in letters for second in letters)]
    free: str = next(prefix + name for name in names if prefix + name not in used)
    return free


def check_nic(nic: NicSpec, at: str = "") -> None:
    """Raise InvalidRequest for values that no card can have; `at` begins the fields' names."""
    # The lowest bit of the first byte marks a group address, which no card can have.
    if nic.mac and (not _MAC.fullmatch(nic.mac.lower()) or int(nic.mac[:2], 16) & 1):
        raise InvalidRequest("This is no MAC address of a card.", field=f"{at}mac")
    if nic.model not in {"", *NIC_MODELS}:
        raise InvalidRequest(f"There is no card model “{nic.model}”.", field=f"{at}model")
    try:
        for address in filter(None, (nic.address, nic.address6)):
            ipaddress.ip_interface(address)
        for gateway in filter(None, (nic.gateway, nic.gateway6)):
            ipaddress.ip_address(gateway)
        for server in nic.dns:
            ipaddress.ip_address(server)
    except ValueError as exc:
        raise InvalidRequest("This is no address, such as 192.0.2.7/24.", str(exc), field=f"{at}address") from exc


def _libvirts_mode(mode: str) -> str:
    return "" if mode == "emulator-default" else mode


def _drives(spec: VmSpec, options: KvmOptions, content: Content, machine: str) -> Iterable[Drive]:
    """Disks, then the installer's drive, then the seed's.

    Boot order: a disk made from an image goes first unless an ISO was asked for too, which then is meant to be booted.
    A disk without an image goes before the ISO: it is passed over while it is empty, and after the installation it
    boots instead of the installer.
    """
    has_image = any(disk.image or disk.volume for disk in spec.disks)
    iso_first = content.iso is not None and has_image
    taken: list[str] = []
    for index, (wish, source) in enumerate(zip(spec.disks, content.disks, strict=True)):
        bus = wish.bus or options.disk_bus or "virtio"
        taken.append(next_target(bus, taken))
        boot = (2 if iso_first else 1) if index == 0 else None
        yield disk_drive(wish, source, target=taken[-1], bus=bus, boot_order=boot)
    cd_bus = "ide" if machine == "pc" else "scsi" if machine == "virt" else "sata"
    for medium in (content.iso, content.seed):
        if medium is None:
            continue
        taken.append(next_target(cd_bus, taken))
        order = (1 if iso_first or not spec.disks else 2) if medium is content.iso else None
        yield Drive(source=medium, target=taken[-1], bus=cd_bus, device="cdrom", boot_order=order, read_only=True)


def _root_ports(spec: VmSpec, content: Content) -> int:
    """One for each device that takes one, and some for what will be plugged in: a running machine grows no ports."""
    # USB, serial ports of the agent, SCSI, random numbers, balloon, and a screen where it is a device of its own.
    fixed = 6
    return min(fixed + len(content.disks) + len(spec.nics) + SPARE_PORTS, 28)


def _texts(spec: VmSpec) -> Iterable[tuple[str, str]]:
    yield spec.description, "description"
    for key, value in spec.metadata.items():
        yield key, "metadata"
        yield value, "metadata"
    for tag in spec.tags:
        yield tag, "tags"
