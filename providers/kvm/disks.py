"""Disks and drives of a VM: plugged in, unplugged, grown, given another medium; now and for its next start."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from providers.base import (
    QUIET,
    Conflict,
    DiskDevice,
    Disks,
    DiskSpec,
    InvalidRequest,
    NotFound,
    Progress,
    VmRecord,
)
from providers.kvm import ownership, storage
from providers.kvm.creation import attempt, volume_name
from providers.kvm.design import DISK_BUSES, check_bus, check_disk, check_name, disk_drive, next_target
from providers.kvm.errors import vendor_calls
from providers.kvm.inventory import Inventory
from providers.kvm.machines import KvmMachines
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.part import Part
from providers.kvm.sources import DiskSources
from providers.kvm.users import refuse_disguised, users_now
from providers.kvm.volumes import grow_anywhere
from providers.kvm.xml import disks as parts
from providers.kvm.xml.build import read, text_at, write
from providers.kvm.xml.domain_reader import SeenDrive, SeenMachine, read_machine
from providers.kvm.xml.domain_writer import drive_element
from providers.kvm.xml.elements import Drive
from providers.kvm.xml.storage import read_pool

#: How long a guest may take to let go of a disk. Linux does it within a second; one that still boots does not at all.
LET_GO_S = 15.0

#: QEMU plugs these in and out of stopped machines only.
_COLD_BUSES = frozenset({"sata", "ide", "fdc"})


@dataclass(frozen=True)
class Documents:
    """A VM's two documents: what it has now, and what it will have at its next start."""

    live: str
    """Empty while it is stopped."""
    kept: str
    """Empty for a VM without a definition."""

    @classmethod
    def of(cls, domain: Any) -> Documents:
        live = domain.XMLDesc(0) if domain.isActive() else ""
        kept = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) if domain.isPersistent() else ""
        return cls(live, kept)

    @property
    def flags(self) -> int:
        live = libvirt.VIR_DOMAIN_AFFECT_LIVE if self.live else 0
        return int(live | (libvirt.VIR_DOMAIN_AFFECT_CONFIG if self.kept else 0))

    def each(self) -> list[tuple[str, int]]:
        """The documents that there are, the running one first, with the flag that changes it alone."""
        both = ((self.live, libvirt.VIR_DOMAIN_AFFECT_LIVE), (self.kept, libvirt.VIR_DOMAIN_AFFECT_CONFIG))
        return [(document, flag) for document, flag in both if document]

    def machine(self) -> SeenMachine:
        return read_machine(self.live or self.kept)

    def drives(self) -> dict[str, SeenDrive]:
        """Every drive by its target; as it is now where both documents have it."""
        found: dict[str, SeenDrive] = {}
        for document, _ in reversed(self.each()):
            found |= {drive.target: drive for drive in read_machine(document).drives}
        return found

    def drive(self, disk_id: str) -> SeenDrive:
        found = self.drives().get(disk_id)
        if found is None:
            raise NotFound("The VM has no such disk (any more).", disk_id)
        return found


class KvmDisks(Part, Disks):
    """A disk's identity is its target ("vda"), which the guest's own name for it need not be."""

    def attach(self, external_id: str, disk: DiskSpec, progress: Progress = QUIET) -> VmRecord:
        check_disk(disk)
        if disk.name:
            check_name(disk.name)
        with vendor_calls():
            domain = self.domain(external_id)
            documents = Documents.of(domain)
            bus = disk.bus or _usual_bus(documents.machine())
            check_bus(bus, text_at(read(documents.live or documents.kept), "os/type/@machine"))
            if documents.live and bus in _COLD_BUSES:
                raise Conflict(
                    f"A disk on the bus “{bus}” can only be plugged in while the VM is off; choose virtio or scsi.",
                    field="bus",
                )
            sources = DiskSources(self.connection, self.config)
            with ExitStack() as undo:
                if disk.volume:
                    source = sources.existing(disk, uuid=external_id)
                else:
                    progress.report(10, "Copying the image" if disk.image else "Making the disk")

                    def named(pool: Any, format_: str) -> str:
                        """Files are the VM's before they are made: what dies in between leaves nothing unowned."""
                        name = disk.name or _free_name(pool, domain, format_)
                        if storage.pool_type(pool) in storage.FILE_POOLS and name not in pool.listVolumes():
                            path = str(PurePosixPath(read_pool(pool.XMLDesc()).path) / name)
                            ownership.own(domain, path)
                            undo.callback(attempt, lambda: ownership.disown(domain, path))
                        return name

                    volume, source = sources.made(disk, named, progress=progress)
                    undo.callback(attempt, lambda: storage.remove(volume))
                    key = volume.key()
                    undo.callback(attempt, lambda: ownership.disown(domain, key))
                    # Written down first: whatever happens now, it goes with its VM.
                    ownership.own(domain, key)
                progress.checkpoint()
                progress.report(90, "Plugging it in")
                if bus == "scsi":
                    _give_scsi_controller(domain, documents)
                drive = disk_drive(disk, source, target=next_target(bus, documents.drives()), bus=bus)
                _plug(domain, drive, documents.flags)
                undo.pop_all()
            return self._record(domain)

    def detach(self, external_id: str, disk_id: str, *, delete: bool = False) -> VmRecord:
        """A virtio disk of a running VM leaves when the guest lets go of it; a SCSI disk at once."""
        with vendor_calls():
            domain = self.domain(external_id)
            documents = Documents.of(domain)
            drive = documents.drive(disk_id)
            volume = self._volume_behind(drive)
            key = volume.key() if volume is not None else ""
            owned = key in ownership.owned_by(domain)
            # A medium is the image of everybody; only the VM's own seed may go with its drive.
            delete = delete and (drive.device == "disk" or owned)
            if delete:
                self._refuse_removal(domain, volume)
            if documents.live and parts.disk_element(documents.live, disk_id) is not None:
                _unplug(domain, documents.live, drive)
            if documents.kept and (element := parts.disk_element(documents.kept, disk_id)) is not None:
                domain.detachDeviceFlags(parts.as_text(element), libvirt.VIR_DOMAIN_AFFECT_CONFIG)
            Inventory.of(self.connection).forget(external_id)
            if delete and volume is not None:
                storage.remove(volume)
            if owned:
                # A disk that is kept stands alone: it is not deleted with the VM that once had it.
                ownership.disown(domain, key)
            return self._record(domain)

    def grow(self, external_id: str, disk_id: str, size_gib: int) -> VmRecord:
        """Also while it runs; the guest then sees the new size at once, and makes its file system larger itself."""
        with vendor_calls():
            domain = self.domain(external_id)
            drive = Documents.of(domain).drive(disk_id)
            if drive.device != "disk":
                raise Conflict("A drive has no size of its own.")
            volume = self._volume_behind(drive)
            if volume is None:
                raise Conflict("This disk is in no storage pool that is switched on, so it cannot be grown from here.")
            seen = storage.seen(volume)
            capacity = size_gib * storage.GIB
            if capacity < seen.capacity:
                raise InvalidRequest("A disk can only grow.", field="size_gib")
            if capacity > seen.capacity:
                if storage.overlays_of(self.raw, [seen.path])[seen.path]:
                    raise Conflict("Other disks build on this one, so it must stay as it is.")
                grow_anywhere(self.connection, volume, seen, capacity)
            return self._record(domain)

    def move(self, external_id: str, disk_id: str, pool: str, progress: Progress = QUIET) -> VmRecord:
        """The copy stands alone: what the disk built on stays where it is."""
        with vendor_calls():
            domain = self.domain(external_id)
            documents = Documents.of(domain)
            drive = documents.drive(disk_id)
            if drive.device != "disk":
                raise Conflict("A drive has no disk of its own to move.")
            if documents.live:
                raise Conflict("Stop the VM first.")
            volume, target = self._volume_behind(drive), self.pool(pool)
            if volume is not None and volume.storagePoolLookupByVolume().name() == target.name():
                return self._record(domain)
            self._refuse_removal(domain, volume)
            seen = storage.check_image(self.raw, volume, field="disk")
            refuse_disguised(self, volume, seen.format)
            in_files = storage.pool_type(target) in storage.FILE_POOLS
            format_ = "qcow2" if in_files and drive.format == "qcow2" else "raw"
            with ExitStack() as undo:
                copy = storage.copy(
                    target,
                    volume,
                    seen,
                    name=_free_name(target, domain, format_),
                    capacity=seen.capacity,
                    format_=format_,
                    progress=progress,
                )
                undo.callback(attempt, lambda: storage.remove(copy))
                progress.checkpoint()
                old, new = volume.key(), copy.key()
                was_owned = old in ownership.owned_by(domain)
                undo.callback(attempt, lambda: ownership.disown(domain, new))
                ownership.own(domain, new)
                element = parts.disk_element(documents.kept, disk_id)
                if element is None:
                    raise NotFound("The VM has no such disk (any more).", disk_id)
                source = storage.source_of(target, copy, format_)
                domain.updateDeviceFlags(parts.with_medium(element, source), libvirt.VIR_DOMAIN_AFFECT_CONFIG)
                undo.pop_all()
            Inventory.of(self.connection).forget(external_id)
            storage.remove(volume)
            # Last: what is left when this ends half-way goes with its VM.
            ownership.disown(domain, *([old] if was_owned else [old, new]))
            progress.report(100, "Done")
            return self._record(domain)

    def set_iso(self, external_id: str, image: str | None, *, force: bool = False) -> VmRecord:
        """A VM without a drive gets one. `force` pulls the medium out also while the guest holds it."""
        with vendor_calls():
            domain = self.domain(external_id)
            documents = Documents.of(domain)
            source = DiskSources(self.connection, self.config).iso(image) if image else None
            target = self._iso_drive(domain, documents)
            if not target:
                if source is not None:
                    _give_drive(domain, documents, source)
                return self._record(domain)
            for document, flag in documents.each():
                element = parts.disk_element(document, target)
                if element is not None:
                    _change_medium(domain, parts.with_medium(element, source), flag, force=force)
            return self._record(domain)

    # -- looking ----------------------------------------------------------------------------------------------------

    def _volume_behind(self, drive: SeenDrive) -> Any:
        """The volume that a drive has, None for an empty drive and for what is in no active pool."""
        try:
            if drive.volume:
                return self.raw.storagePoolLookupByName(drive.pool).storageVolLookupByName(drive.volume)
            return self.raw.storageVolLookupByPath(drive.source) if drive.source else None
        except LibvirtError:
            return None

    def _iso_drive(self, domain: Any, documents: Documents) -> str:
        """The target of the CD drive that is not the seed's; empty when there is none."""
        owned = set(ownership.owned_by(domain))
        for target, drive in sorted(documents.drives().items()):
            if drive.device == DiskDevice.CDROM:
                volume = self._volume_behind(drive)
                if volume is None or volume.key() not in owned:
                    return target
        return ""

    def _refuse_removal(self, domain: Any, volume: Any) -> None:
        if volume is None:
            raise Conflict("Its file is in no storage pool that is switched on, so it has to stay where it is.")
        if domain.snapshotNum(0):
            raise Conflict("A snapshot may need this disk; delete the snapshots first, or keep the disk.")
        path = volume.path()
        users = [user for user in users_now(self, path)[path] if user != domain.UUIDString()]
        if users:
            raise Conflict("Another VM has this disk too, so it has to stay where it is.", ", ".join(users))
        above = storage.overlays_of(self.raw, [path], refresh=True)[path]
        if above:
            raise Conflict("Other disks build on this one, so it has to stay where it is.", ", ".join(above))

    def _record(self, domain: Any) -> VmRecord:
        return KvmMachines(self.connection, self.config).record(domain)


def _usual_bus(machine: SeenMachine) -> str:
    """What the VM's first disk has, where that can be plugged in: its guest has the driver."""
    buses = [drive.bus for drive in machine.drives if drive.device == "disk"]
    return buses[0] if buses and buses[0] in DISK_BUSES - _COLD_BUSES else "virtio"


def _free_name(pool: Any, domain: Any, format_: str) -> str:
    """The next name that no volume of this VM has or had in the pool."""
    taken = set(pool.listVolumes())
    uuid = UUID(domain.UUIDString())
    number = 0
    while True:
        stem = volume_name(domain.name(), uuid, str(number))
        if not taken & {f"{stem}.qcow2", f"{stem}.raw"}:
            return f"{stem}.{format_}"
        number += 1


# -- changing ----------------------------------------------------------------------------------------------------------


def _plug(domain: Any, drive: Drive, flags: int) -> None:
    try:
        domain.attachDeviceFlags(write(drive_element(drive)), flags)
    except LibvirtError as exc:
        text = str(exc)
        if "No more available PCI slots" in text:
            raise Conflict(
                "The running VM has no free slot for another device; choose the bus scsi, or stop it first.", text
            ) from exc
        if "O_DIRECT" in text:
            raise InvalidRequest(
                "The pool's file system always caches; choose another cache mode.", text, field="cache"
            ) from exc
        if 'Failed to get "write" lock' in text:
            raise Conflict("Something else has this volume open.", text, field="volume") from exc
        raise


def _give_scsi_controller(domain: Any, documents: Documents) -> None:
    """Where there is none; it stays when the attach fails afterwards, which does no harm."""
    for document, flag in documents.each():
        if not parts.has_scsi_controller(document):
            domain.attachDeviceFlags(parts.scsi_controller(), flag)


def _unplug(domain: Any, document: str, drive: SeenDrive) -> None:
    """Raise Conflict when the guest does not let go; libvirt only asks it to."""
    if drive.bus in _COLD_BUSES:
        raise Conflict(f"A drive on the bus “{drive.bus}” can only be unplugged while the VM is off; stop it first.")
    element = parts.disk_element(document, drive.target)
    if element is None:
        return
    try:
        domain.detachDeviceFlags(parts.as_text(element), libvirt.VIR_DOMAIN_AFFECT_LIVE)
    except LibvirtError as exc:
        # An earlier request that the guest has not answered yet.
        if "in the process of unplug" not in str(exc):
            raise

    def is_gone() -> bool:
        return parts.disk_element(domain.XMLDesc(0), drive.target) is None

    if not storage.wait_for(is_gone, LET_GO_S, interval_s=0.1):
        raise Conflict(
            "The guest does not let go of the disk. Unmount it inside and try again once the guest has started, or "
            "stop the VM first."
        )


def _give_drive(domain: Any, documents: Documents, source: Any) -> None:
    """A drive with this medium. Of CD drives a running VM takes SCSI ones only, for which its guest needs a driver."""
    bus = "scsi" if documents.live else parts.cd_bus(documents.kept)
    if bus == "scsi":
        _give_scsi_controller(domain, documents)
    target = next_target(bus, documents.drives())
    _plug(domain, Drive(source=source, target=target, bus=bus, device="cdrom", read_only=True), documents.flags)


def _change_medium(domain: Any, drive: str, flag: int, *, force: bool) -> None:
    try:
        is_forced = force and flag == libvirt.VIR_DOMAIN_AFFECT_LIVE
        domain.updateDeviceFlags(drive, flag | (libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE if is_forced else 0))
    except LibvirtError as exc:
        text = str(exc)
        if "tray" in text or "locked" in text:
            raise Conflict("The guest holds the medium. Eject it inside the guest, or force it out.", text) from exc
        raise
