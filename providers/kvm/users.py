"""Who uses a volume: what may not be deleted or written under somebody, and not copied while it changes."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from providers.base import Conflict
from providers.kvm import storage
from providers.kvm.errors import still_there
from providers.kvm.inventory import Inventory, placed
from providers.kvm.native import libvirt
from providers.kvm.part import Part
from providers.kvm.xml.domain_reader import read_machine
from providers.kvm.xml.snapshots import read_snapshot

_PERSISTENT = libvirt.VIR_CONNECT_LIST_DOMAINS_PERSISTENT
_NEXT = libvirt.VIR_DOMAIN_XML_INACTIVE

#: Letters that stand in a document as they are.
_PLAIN = re.compile(r"[A-Za-z0-9._ +@%=,:-]+")


def users_now(part: Part, *paths: str) -> dict[str, tuple[str, ...]]:
    """For each path the uuids of the VMs that have it, now or at their next start; for what cannot be undone.

    A stopped VM's document can be changed without an event (`virsh attach-disk --config`), so each is asked for anew:
    0.2 ms each, and read only when it names one of the paths.
    """
    inventory = Inventory.of(part.connection)
    found = {path: list(users) for path, users in inventory.users_of(*paths).items()}
    names = {PurePosixPath(path).name for path in paths}
    documents = still_there(part.raw.listAllDomains(_PERSISTENT), lambda domain: domain.XMLDesc(_NEXT))
    for document in documents:
        if all(_PLAIN.fullmatch(name) and name not in document for name in names):
            continue
        machine = placed(part.raw, read_machine(document))
        for drive in machine.drives:
            for path in {drive.source, *drive.backing} & found.keys():
                found[path].append(machine.uuid)
    return {path: tuple(dict.fromkeys(users)) for path, users in found.items()}


def refuse_when_used(part: Part, volume: Any) -> None:
    """Raise Conflict when a VM has the volume as a drive, or another volume builds on it."""
    path = volume.path()
    users = users_now(part, path)[path]
    if users:
        raise Conflict("A VM uses it.", ", ".join(users))
    above = storage.overlays_of(part.raw, [path], refresh=True)[path]
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
