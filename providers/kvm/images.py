"""Images: volumes that VMs can start from.

libvirt keeps no mark on a volume, so what is an image follows from what a volume is. It is one when it

1. is of format qcow2, raw or ISO (looked at by libvirt, never by name) and stands alone: an overlay is somebody's disk;
2. is not a disk of any VM (being in a drive for CDs does not count);
3. does not bear the name of a volume that the portal made for a VM;
4. has been written to: a qcow2 or raw volume of mode 0600 that takes hardly any room was made empty, as a spare disk;
5. is finished: no mark of `providers.kvm.unfinished` lies beside it.

What the system inside is, and its default user, is for the portal to remember: there is no place for it here.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from providers.base import (
    QUIET,
    AlreadyExists,
    ImageRecord,
    Images,
    ImageSpec,
    InvalidRequest,
    NotFound,
    OutOfCapacity,
    Progress,
    UnfinishedImage,
)
from providers.kvm import storage, unfinished, writing
from providers.kvm.creation import owner_mark
from providers.kvm.design import check_name
from providers.kvm.errors import has_code, vendor_calls
from providers.kvm.inventory import Inventory
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.part import Part
from providers.kvm.users import refuse_when_used
from providers.kvm.xml.storage import SeenVolume, volume_document
from providers.transfer.checksums import read_checksum
from providers.transfer.headers import Header
from providers.transfer.source import demand_image, opened

#: An empty qcow2 volume of any size takes less than this.
_EMPTY_BYTES = 256 * 1024

_CHUNK = 1024 * 1024
_NOTHING = bytes(_CHUNK)
_LEAST_HOLE = 64 * 1024


class KvmImages(Part, Images):
    def list(self) -> Sequence[ImageRecord]:
        """Looks at the pools' files again, so images that were copied there are found; 0.5 ms for each volume."""
        with vendor_calls():
            seen = storage.all_seen(self.active_pools(), refresh=True)
            names = {(pool.name(), volume.name) for pool, volume in seen}
            users = _Users(Inventory.of(self.connection), (volume for _, volume in seen))
            return [
                image_record(pool.name(), volume, users.of(volume.path))
                for pool, volume in seen
                if is_image(volume, is_disk=volume.path in users.disks)
                and not unfinished.is_marked(volume.name, pool.name(), names)
            ]

    def add(self, spec: ImageSpec, progress: Progress = QUIET) -> ImageRecord:
        """Copy a file of the worker's machine, or one from an address, into a pool that may be on another host.

        Holes stay holes, and nothing is kept on the worker's machine.
        """
        check_name(spec.name)
        with opened(spec, progress) as source, vendor_calls():
            pool = self.pool(spec.pool)
            self._demand_format(pool, source.header, source.length)
            room = source.length if source.length is not None else source.file_bytes or 0
            volume = self._begun(pool, spec, room, size=source.header.virtual_bytes or source.length)
            try:
                self._write(pool, volume, 0, source.pieces(progress))
                record = self._finished(pool, spec.name)
            except BaseException:
                unfinished.discard(pool, spec.name)
                raise
            progress.report(100, "Done")
            return record

    def delete(self, external_id: str) -> None:
        with vendor_calls():
            volume = self.volume(external_id, "image")
            refuse_when_used(self, volume)
            storage.remove(volume)

    # -- piece by piece ---------------------------------------------------------------------------------------------

    def begin(self, spec: ImageSpec, stored_bytes: int) -> str:
        check_name(spec.name)
        with vendor_calls():
            pool = self.pool(spec.pool)
            self._begun(pool, spec, stored_bytes, size=stored_bytes)
            return unfinished.key_of(pool.name(), spec.name)

    def write(self, key: str, offset: int, pieces: Iterator[bytes]) -> int:
        with vendor_calls():
            pool, name = self._unfinished(key)
            return self._write(pool, self._volume(pool, name), offset, pieces)

    def finish(self, key: str, spec: ImageSpec, progress: Progress = QUIET) -> ImageRecord:
        """With a checksum the volume is read back, so it holds for what lies in the pool."""
        with vendor_calls():
            pool, name = self._unfinished(key)
            volume = self._volume(pool, name)
            header = demand_image(storage.head(self.raw, volume))
            self._demand_format(pool, header, 0)
            checksum = read_checksum(spec.checksum)
            if checksum is not None:
                size = max(int(volume.info()[1]), 1)
                done = 0
                for piece in self._content(volume):
                    progress.checkpoint()
                    checksum.update(piece)
                    done += len(piece)
                    progress.report(min(99, done * 100 // size), "Checking the image")
                checksum.demand()
            return self._finished(pool, name)

    def discard(self, key: str) -> None:
        with vendor_calls():
            try:
                pool, name = self._unfinished(key)
            except NotFound:
                return
            unfinished.discard(pool, name)

    def unfinished(self) -> Sequence[UnfinishedImage]:
        with vendor_calls():
            return [found for pool in self.active_pools() for found in unfinished.marks(self.raw, pool)]

    def read(self, external_id: str) -> Iterator[bytes]:
        with vendor_calls():
            volume = self.volume(external_id, "image")
            yield from self._content(volume)

    # -- steps ------------------------------------------------------------------------------------------------------

    def _begun(self, pool: Any, spec: ImageSpec, room: int, *, size: int | None) -> Any:
        """The marked volume that the content goes into. `room` is what it will take, `size` what it will be."""
        if room > int(pool.info()[3]):
            raise OutOfCapacity(f"The storage pool “{pool.name()}” has no room for this image.")
        owner = unfinished.settled_owner(self.raw, pool, spec.name)
        if owner == "" or (owner is not None and owner == spec.portal_uuid):
            unfinished.discard(pool, spec.name)
        if _holds(pool, spec.name):
            raise AlreadyExists(f"The pool holds “{spec.name}” already.", field="name")
        unfinished.mark(self.raw, pool, spec.name, spec.portal_uuid)
        try:
            return pool.createXML(self._document(pool, spec.name, size), 0)
        except LibvirtError as exc:
            taken = has_code(exc, libvirt.VIR_ERR_STORAGE_VOL_EXIST) or "already exists" in str(exc)
            unfinished.unmark(pool, spec.name)
            if taken:
                raise AlreadyExists(f"The pool holds “{spec.name}” already.", str(exc), field="name") from exc
            raise

    def _document(self, pool: Any, name: str, size: int | None) -> str:
        """World-readable and not writable: nothing may change what others build on. A session's daemon is no root, and
        has to write to it itself. What it holds is looked at when it is there; block pools need its size before."""
        in_files = storage.pool_type(pool) in storage.FILE_POOLS
        if in_files and self.config.is_system and os.geteuid() and writing.may_own_here(self.connection, pool):
            # Until it is finished, so that this process can write it itself.
            return volume_document(name=name, capacity=1, format_="raw", mode="0644", owner=os.geteuid())
        capacity = 1 if in_files else size or 1
        mode = "0444" if self.config.is_system else "0644"
        return volume_document(name=name, capacity=capacity, format_="raw", mode=mode)

    def _finished(self, pool: Any, name: str) -> ImageRecord:
        """Take the mark away, last of all."""
        mode = 0o444 if self.config.is_system else 0o644
        writing.settled(self.connection, pool, self._volume(pool, name), mode=mode)
        # libvirt looks at the new content only now.
        storage.refreshed(pool)
        volume = self._volume(pool, name)
        seen = storage.seen(volume)
        if seen.backing:
            raise InvalidRequest("This image needs another file; bring one that stands alone.", seen.backing)
        unfinished.unmark(pool, name)
        return image_record(pool.name(), seen)

    def _unfinished(self, key: str) -> tuple[Any, str]:
        pool_name, name = unfinished.split_key(key)
        pool = self.pool(pool_name)
        if not _holds(pool, unfinished.mark_name(name)):
            raise NotFound("This image is not being brought in any more.", key)
        return pool, name

    def _volume(self, pool: Any, name: str) -> Any:
        try:
            return pool.storageVolLookupByName(name)
        except LibvirtError as exc:
            if has_code(exc, libvirt.VIR_ERR_NO_STORAGE_VOL):
                raise NotFound("The image is not in its storage pool any more.", str(exc)) from exc
            raise

    def _demand_format(self, pool: Any, header: Header, length: int | None) -> None:
        """Raises InvalidRequest for what this pool cannot keep."""
        if storage.pool_type(pool) in storage.FILE_POOLS:
            return
        if header.format == "qcow2":
            raise InvalidRequest("This pool keeps raw disks only; choose another, or bring a raw image.", field="pool")
        if length is None:
            raise InvalidRequest("This pool must know the size before; bring the image unpacked.", field="pool")

    def _write(self, pool: Any, volume: Any, offset: int, pieces: Iterable[bytes]) -> int:
        sent = hole = 0
        with writing.sink(self.connection, pool, volume, offset=offset) as target:
            for piece in pieces:
                sent += len(piece)
                if _is_hole(piece):
                    hole += len(piece)
                    continue
                if hole:
                    target.skip(hole)
                    hole = 0
                target.write(piece)
            if hole:
                target.skip(hole)
        return sent

    def _content(self, volume: Any) -> Iterator[bytes]:
        stream = self.raw.newStream(0)
        volume.download(stream, 0, 0, 0)
        try:
            while piece := stream.recv(_CHUNK):
                yield piece
            stream.finish()
        except BaseException:
            storage.abort(stream)
            raise


class _Users:
    """Which VMs have a volume in a drive, directly or under a disk that builds on it."""

    def __init__(self, inventory: Inventory, volumes: Iterable[SeenVolume]) -> None:
        self.disks: set[str] = set()
        self._vms: dict[str, set[str]] = defaultdict(set)
        below = {volume.path: volume.backing for volume in volumes if volume.backing}
        for vm, known in inventory.everything():
            for drive in known.machine.drives:
                if not drive.source:
                    continue
                if drive.device == "disk":
                    self.disks.add(drive.source)
                path, depth = drive.source, 0
                while path and depth < 32:
                    self._vms[path].add(vm.uuid)
                    path, depth = below.get(path, ""), depth + 1

    def of(self, path: str) -> tuple[str, ...]:
        return tuple(sorted(self._vms.get(path, ())))


def is_image(volume: SeenVolume, *, is_disk: bool) -> bool:
    """The rule at the head of this module, but for its last point."""
    if volume.format not in {"qcow2", "raw", "iso"} or volume.backing or is_disk or owner_mark(volume.name):
        return False
    made_empty = volume.mode == 0o600 and volume.allocation < _EMPTY_BYTES and volume.format != "iso"
    return volume.capacity > 0 and not made_empty


def image_record(pool: str, volume: SeenVolume, used_by: tuple[str, ...] = ()) -> ImageRecord:
    return ImageRecord(
        external_id=volume.key,
        name=volume.name,
        pool=pool,
        format=volume.format,
        size_gib=volume.capacity / storage.GIB,
        stored_bytes=volume.allocation,
        is_iso=volume.format == "iso",
        path=volume.path,
        created_at=volume.modified_at,
        used_by=used_by,
    )


def _is_hole(piece: bytes) -> bool:
    """Whether it is nothing but zeros, and long enough to be worth leaving out."""
    if len(piece) < _LEAST_HOLE or piece[0] or piece[-1]:
        return False
    return piece == (_NOTHING if len(piece) == len(_NOTHING) else bytes(len(piece)))


def _holds(pool: Any, name: str) -> bool:
    try:
        pool.storageVolLookupByName(name)
    except LibvirtError as exc:
        if has_code(exc, libvirt.VIR_ERR_NO_STORAGE_VOL):
            return False
        raise
    return True
