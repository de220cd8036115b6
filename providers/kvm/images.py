"""Images: volumes that VMs can start from.

libvirt keeps no mark on a volume, so what is an image follows from what a volume is. It is one when it

1. is of format qcow2, raw or ISO (looked at by libvirt, never by name) and stands alone: an overlay is somebody's disk;
2. is not a disk of any VM (being in a drive for CDs does not count);
3. does not bear the name of a volume that the portal made for a VM;
4. has been written to: a qcow2 or raw volume of mode 0600 that takes hardly any room was made empty, as a spare disk.

What the system inside is, and its default user, is for the portal to remember: there is no place for it here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from providers.base import (
    QUIET,
    AlreadyExists,
    ImageRecord,
    Images,
    ImageSpec,
    InvalidRequest,
    NotSupported,
    Progress,
)
from providers.kvm import storage
from providers.kvm.creation import owner_mark
from providers.kvm.design import check_name
from providers.kvm.errors import has_code, vendor_calls
from providers.kvm.headers import HEAD_BYTES, Header, inspect
from providers.kvm.inventory import Inventory
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.part import Part
from providers.kvm.volumes import refuse_when_used
from providers.kvm.xml.storage import SeenVolume, volume_document

#: An empty qcow2 volume of any size takes less than this.
_EMPTY_BYTES = 256 * 1024

_CHUNK = 1024 * 1024


class KvmImages(Part, Images):
    def list(self) -> Sequence[ImageRecord]:
        """Looks at the pools' files again, so images that were copied there are found; 0.5 ms for each volume."""
        with vendor_calls():
            seen = storage.all_seen(self.active_pools(), refresh=True)
            disks = {
                drive.source
                for _, known in Inventory.of(self.connection).everything()
                for drive in known.machine.drives
                if drive.device == "disk"
            }
            return [
                image_record(pool.name(), volume)
                for pool, volume in seen
                if is_image(volume, is_disk=volume.path in disks)
            ]

    def add(self, spec: ImageSpec, progress: Progress = QUIET) -> ImageRecord:
        """Upload a file of the worker's machine into a pool, without its holes; the pool may be on another host.

        Raises InvalidRequest for a wrong checksum, a format other than qcow2, raw and ISO, and for a qcow2 that names
        other files.
        """
        check_name(spec.name)
        if not spec.path:
            raise NotSupported("Images are brought in from a file; fetch it first.")
        path = Path(spec.path)
        size, header = _looked_at(path, spec)
        progress.report(1, "Checking the image")
        if spec.checksum:
            _check(path, spec.checksum, progress)
        with vendor_calls():
            pool = self.pool(spec.pool)
            document = volume_document(
                # World-readable and not writable: nothing may change what others build on.
                name=spec.name,
                capacity=header.virtual_bytes or size,
                format_="raw" if header.format == "iso" else header.format,
                mode="0444",
            )
            volume = self._made(pool, spec.name, document)
            try:
                self._upload(volume, path, size, progress)
                # libvirt looks at the new content only now.
                storage.refreshed(pool)
                volume = pool.storageVolLookupByName(spec.name)
            except BaseException:
                storage.remove(volume)
                raise
            progress.report(100, "Done")
            return image_record(pool.name(), storage.seen(volume))

    def delete(self, external_id: str) -> None:
        with vendor_calls():
            volume = self.volume(external_id, "image")
            refuse_when_used(self, volume)
            storage.remove(volume)

    def _made(self, pool: Any, name: str, document: str) -> Any:
        try:
            return pool.createXML(document, 0)
        except LibvirtError as exc:
            taken = has_code(exc, libvirt.VIR_ERR_STORAGE_VOL_EXIST) or "already exists" in str(exc)
            if taken:
                raise AlreadyExists(f"The pool holds “{name}” already.", str(exc), field="name") from exc
            raise

    def _upload(self, volume: Any, path: Path, size: int, progress: Progress) -> None:
        stream = self.raw.newStream(0)
        volume.upload(stream, 0, size, libvirt.VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM)
        try:
            with path.open("rb") as file:
                sent = 0
                for hole, piece in _pieces(file, size):
                    progress.checkpoint()
                    if hole:
                        stream.sendHole(hole, 0)
                    else:
                        stream.send(piece)
                    sent += hole or len(piece)
                    progress.report(min(99, sent * 100 // max(size, 1)), "Copying the image")
            stream.finish()
        except BaseException:
            storage.abort(stream)
            raise


def is_image(volume: SeenVolume, *, is_disk: bool) -> bool:
    """The rule at the head of this module."""
    if volume.format not in {"qcow2", "raw", "iso"} or volume.backing or is_disk or owner_mark(volume.name):
        return False
    made_empty = volume.mode == 0o600 and volume.allocation < _EMPTY_BYTES and volume.format != "iso"
    return volume.capacity > 0 and not made_empty


def image_record(pool: str, volume: SeenVolume) -> ImageRecord:
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
    )


def _looked_at(path: Path, spec: ImageSpec) -> tuple[int, Header]:
    """The file's size and header; raises InvalidRequest for what cannot be an image."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            size = path.stat().st_size
    except OSError as exc:
        raise InvalidRequest("The file cannot be read.", str(exc), field="path") from exc
    header = inspect(head)
    if not size:
        raise InvalidRequest("The file is empty.", field="path")
    if header.format not in {"qcow2", "raw", "iso"}:
        raise InvalidRequest(f"This is “{header.format}”; bring a qcow2, raw or ISO image.", field="path")
    if header.backing or header.has_data_file:
        raise InvalidRequest("This image needs another file; bring one that stands alone.", field="path")
    if header.is_encrypted:
        raise InvalidRequest("This image is encrypted, which is not supported.", field="path")
    if spec.is_iso and header.format != "iso":
        raise InvalidRequest("This is no ISO image.", field="path")
    return size, header


def _check(path: Path, checksum: str, progress: Progress) -> None:
    name, _, wanted = checksum.partition(":")
    if name not in {"sha256", "sha512", "sha384", "sha1", "md5"} or not wanted:
        raise InvalidRequest("Give the checksum as “sha256:…”.", field="checksum")
    digest = hashlib.new(name, usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            progress.checkpoint()
            digest.update(piece)
    if digest.hexdigest() != wanted.strip().lower():
        raise InvalidRequest("The checksum does not fit: the file is damaged or another one.", field="checksum")


def _pieces(file: Any, size: int) -> Iterator[tuple[int, bytes]]:
    """The file as (length of a hole, b"") and (0, data): found by reading, so it works on every file system."""
    nothing = bytes(_CHUNK)
    hole = 0
    left = size
    while left > 0:
        piece = file.read(min(_CHUNK, left))
        if not piece:
            break
        left -= len(piece)
        if piece == nothing[: len(piece)] and left:
            hole += len(piece)
            continue
        if hole:
            yield hole, b""
            hole = 0
        yield 0, piece
