"""Writing a VM's document (https://libvirt.org/formatdomain.html)."""

from __future__ import annotations

from providers.kvm.xml import note
from providers.kvm.xml.build import Element, add, node, write
from providers.kvm.xml.cards import card_element
from providers.kvm.xml.elements import Drive, Machine, Source
from providers.kvm.xml.extras import add_agent, add_rng, add_screen
from providers.kvm.xml.shape import write_shape


def domain_document(machine: Machine) -> str:
    """The document that `virDomainDefineXML` takes; raises InvalidRequest for characters that XML cannot hold."""
    root = node("domain", type_=machine.virt_type)
    add(root, "name", machine.name)
    add(root, "uuid", machine.uuid)
    if machine.description:
        add(root, "description", machine.description)
    add(root, "metadata").append(note.to_element(machine.note))
    add(root, "memory", machine.memory_mib, unit="MiB")
    add(root, "currentMemory", machine.memory_mib, unit="MiB")
    add(root, "vcpu", machine.vcpus)
    _system(root, machine)
    _processor(root, machine)
    _devices(root, machine)
    write_shape(root, machine.options, listen=machine.listen, spice_listen=machine.spice_listen)
    return write(root)


def _system(root: Element, machine: Machine) -> None:
    system = add(root, "os", firmware=machine.firmware or None)
    add(system, "type", "hvm", arch=machine.arch, machine=machine.machine)
    if machine.firmware == "efi" and machine.x86:
        # Images of the portal's users are signed by nobody in particular.
        firmware = add(system, "firmware")
        add(firmware, "feature", enabled=False, name="secure-boot")
    features = add(root, "features")
    if machine.acpi:
        add(features, "acpi")
    if machine.x86:
        add(features, "apic")


def _processor(root: Element, machine: Machine) -> None:
    if machine.cpu_mode:
        add(root, "cpu", mode=machine.cpu_mode)
    clock = add(root, "clock", offset="utc")
    if machine.x86:
        add(clock, "timer", name="rtc", tickpolicy="catchup")
        add(clock, "timer", name="pit", tickpolicy="delay")
        add(clock, "timer", name="hpet", present=False)


def _devices(root: Element, machine: Machine) -> None:
    devices = add(root, "devices")
    if machine.emulator:
        add(devices, "emulator", machine.emulator)
    for drive in machine.drives:
        devices.append(drive_element(drive))
    if machine.root_ports:
        add(devices, "controller", type_="pci", index=0, model="pcie-root")
        for index in range(1, machine.root_ports + 1):
            add(devices, "controller", type_="pci", index=index, model="pcie-root-port")
    if any(drive.bus == "scsi" for drive in machine.drives):
        add(devices, "controller", type_="scsi", model="virtio-scsi")
    for card in machine.cards:
        devices.append(card_element(card))
    serial = add(devices, "serial", type_="pty")
    add(serial, "target", port=0)
    console = add(devices, "console", type_="pty")
    add(console, "target", type_="serial", port=0)
    if machine.agent:
        add_agent(devices)
    if machine.video:
        add_screen(devices, machine.video, machine.listen, tablet=machine.usb_tablet)
    add_rng(devices)
    balloon = add(devices, "memballoon", model="virtio")
    # The guest tells what it uses of its memory only when it is asked to, every so many seconds.
    add(balloon, "stats", period=10)


def drive_element(drive: Drive) -> Element:
    """A <disk>, as for define and for attach."""
    disk = node("disk", type_=disk_type(drive.source), device=drive.device)
    if drive.source is not None:
        discard = "unmap" if drive.device == "disk" else None
        cache = drive.cache or None
        add(disk, "driver", name="qemu", type_=drive.source.format, cache=cache, discard=discard)
        add_source(disk, drive.source)
    else:
        add(disk, "driver", name="qemu", type_="raw")
    add(disk, "target", dev=drive.target, bus=drive.bus)
    if drive.shareable:
        add(disk, "shareable")
    if drive.read_only:
        add(disk, "readonly")
    if drive.boot_order is not None:
        add(disk, "boot", order=drive.boot_order)
    return disk


def disk_type(source: Source | None) -> str:
    """What a <disk> with this source says of itself."""
    if source is None:
        return "file"
    return "network" if source.kind == "rbd" else source.kind


def add_source(disk: Element, source: Source) -> None:
    """The <source> of a <disk>."""
    if source.kind == "rbd":
        element = add(disk, "source", protocol="rbd", name=source.path)
        for host, port in source.hosts:
            add(element, "host", name=host, port=port or None)
        if source.user:
            add(add(element, "auth", username=source.user), "secret", type_="ceph", uuid=source.secret_uuid)
    elif source.kind == "volume":
        add(disk, "source", pool=source.pool, volume=source.volume)
    elif source.kind == "block":
        add(disk, "source", dev=source.path)
    else:
        add(disk, "source", file=source.path)
