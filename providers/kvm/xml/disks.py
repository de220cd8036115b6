"""The disks of a document as they stand in it: found by their target, and given another medium."""

from __future__ import annotations

from copy import deepcopy

from providers.kvm.xml.build import Element, add, node, read, text_at, write
from providers.kvm.xml.domain_writer import add_source, disk_type
from providers.kvm.xml.elements import Source


def disk_element(document: str, target: str) -> Element | None:
    """The <disk> with this target, None when there is none."""
    for disk in read(document).iterfind("devices/disk"):
        found = disk.find("target")
        if found is not None and found.get("dev") == target:
            return disk
    return None


def cd_bus(document: str) -> str:
    """The bus on which this machine has its CD drives."""
    root = read(document)
    machine, arch = text_at(root, "os/type/@machine"), text_at(root, "os/type/@arch")
    if machine == "pc" or machine.startswith("pc-i440fx"):
        return "ide"
    return "sata" if arch in {"x86_64", "i686"} else "scsi"


def has_scsi_controller(document: str) -> bool:
    return read(document).find("devices/controller[@type='scsi']") is not None


def scsi_controller() -> str:
    """As for attach. Without a model libvirt would take one that many guests have no driver for."""
    return write(node("controller", type_="scsi", model="virtio-scsi"))


def with_medium(drive: Element, source: Source | None) -> str:
    """The same drive with another medium, or empty; all else is as it was, which libvirt demands."""
    changed = deepcopy(drive)
    changed.tail = None
    for tag in ("source", "backingStore", "mirror"):
        for element in changed.findall(tag):
            changed.remove(element)
    changed.set("type", disk_type(source))
    driver = changed.find("driver")
    if driver is None:
        driver = add(changed, "driver", name="qemu")
    driver.set("type", source.format if source is not None else "raw")
    if source is not None:
        add_source(changed, source)
    return write(changed)


def as_text(disk: Element) -> str:
    """One <disk> as for detach."""
    alone = deepcopy(disk)
    alone.tail = None
    return write(alone)
