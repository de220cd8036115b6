"""Who uses a volume: what may not be deleted or written under somebody, and not copied while it changes."""

from __future__ import annotations

from typing import Any

from providers.base import Conflict
from providers.kvm import storage
from providers.kvm.inventory import Inventory
from providers.kvm.native import libvirt
from providers.kvm.part import Part
from providers.kvm.xml.snapshots import read_snapshot


def refuse_when_used(part: Part, volume: Any) -> None:
    """Raise Conflict when a VM has the volume as a drive, or another volume builds on it."""
    path = volume.path()
    users = Inventory.of(part.connection).users_of(path)[path]
    if users:
        raise Conflict("A VM uses it.", ", ".join(users))
    above = storage.overlays_of(part.raw, [path])[path]
    if above:
        raise Conflict("Disks of VMs build on it.", ", ".join(above))
    for domain in part.raw.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT):
        for snapshot in domain.listAllSnapshots(0):
            if path in read_snapshot(snapshot.getXMLDesc(0)).files.values():
                raise Conflict("A snapshot of a VM leads to it.", domain.name())


def refuse_while_written(part: Part, volume: Any) -> None:
    """Raise Conflict while a running VM has the volume as a disk that it may write to."""
    path = volume.path()
    for vm, known in Inventory.of(part.connection).everything():
        for drive in known.machine.drives:
            if vm.is_active and drive.source == path and drive.device == "disk" and not drive.read_only:
                raise Conflict(f"The running VM “{known.machine.name}” writes to it; stop it first.")


def refuse_disguised(part: Part, volume: Any, format_: str) -> None:
    """Raise Conflict for a VM's raw disk whose content looks like an image of this other format.

    A guest writes what it likes to its disk, also a header that names another VM's disk as what lies below. A copy by
    the format that the content looks like would bring that along.
    """
    if format_ in {"raw", "iso", "none", ""}:
        return
    path = volume.path()
    for _, known in Inventory.of(part.connection).everything():
        for drive in known.machine.drives:
            if drive.source == path and drive.format in {"raw", ""}:
                raise Conflict(f"This disk is raw but looks like {format_}, so it cannot be copied.", path)
