"""Images of a simulated cloud. A local file is really read; an address is only pretended to be fetched."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from providers.base import (
    QUIET,
    AlreadyExists,
    Conflict,
    EventTopic,
    ImageRecord,
    Images,
    ImageSpec,
    InvalidRequest,
    Progress,
    Unreachable,
)
from providers.fake.blocks import pool_of
from providers.fake.cloud import Part
from providers.fake.records import image_record
from providers.fake.state import Image, Pool, Vm, Volume

GIB = 1024**3
#: Where a qcow2 header keeps the virtual size, and where an ISO 9660 file has its name.
_QCOW2_MAGIC, _QCOW2_SIZE = b"QFI\xfb", slice(24, 32)
_ISO_MAGIC, _ISO_AT = b"CD001", 32769


@dataclass(frozen=True, slots=True)
class Brought:
    """What was found out about a file: format, virtual and stored size, and a stand-in for its bytes."""

    format: str
    size_gib: float
    stored_bytes: int
    content: str


def inspect(path: Path, checksum: str) -> Brought:
    """Read a local file; raises InvalidRequest for one that is missing, empty, or not what the checksum says."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            head = file.read(_ISO_AT + len(_ISO_MAGIC))
            digest.update(head)
            while block := file.read(1 << 20):
                digest.update(block)
            stored = file.tell()
    except OSError as exc:
        raise InvalidRequest("The file cannot be read.", detail=str(exc), field="path") from exc
    if not stored:
        raise InvalidRequest("The file is empty.", field="path")
    if checksum and checksum.lower() != f"sha256:{digest.hexdigest()}":
        raise InvalidRequest("The checksum does not fit.", field="checksum")
    size, format_ = stored, "raw"
    if head.startswith(_QCOW2_MAGIC):
        size, format_ = int.from_bytes(head[_QCOW2_SIZE], "big"), "qcow2"
    elif head[_ISO_AT:] == _ISO_MAGIC:
        format_ = "iso"
    return Brought(format_, round(size / GIB, 6), stored, f"sha256:{digest.hexdigest()}\n")


def pretend(url: str, checksum: str) -> Brought:
    """What an address would bring; names under .invalid do not answer, an impossible checksum does not fit."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidRequest("Only http and https addresses can be fetched.", field="url")
    if parts.hostname.endswith(".invalid"):
        raise Unreachable("The address of the image does not answer.")
    if checksum and checksum != f"sha256:{hashlib.sha256(url.encode()).hexdigest()}":
        # Nothing is fetched, so the digest of the address stands for that of the file.
        raise InvalidRequest("The checksum does not fit.", field="checksum")
    is_iso = parts.path.endswith(".iso")
    return Brought("iso" if is_iso else "qcow2", 1.0, 64 * 1024**2, f"{url}\n")


class FakeImages(Part, Images):
    def list(self) -> Sequence[ImageRecord]:
        with self.cloud.reading("images.list") as tx:
            pools = {pool.id: pool for pool in tx.all(Pool)}
            return [image_record(image, pools) for image in tx.all(Image)]

    def add(self, spec: ImageSpec, progress: Progress = QUIET) -> ImageRecord:
        """Takes `create_s`, as a download would."""
        if bool(spec.path) == bool(spec.url):
            raise InvalidRequest("Say either where the file is or where to fetch it.", field="url")
        if "/" in spec.name or not spec.name.isprintable():
            raise InvalidRequest("The name must be printable and have no slash.", field="name")
        with self.cloud.reading("images.add") as tx:
            self._refuse_taken(tx.named(Image, spec.name))
            pool_of(tx, spec.pool)
        progress.report(10, "Fetching the image.")
        brought = pretend(spec.url, spec.checksum) if spec.url else inspect(Path(spec.path), spec.checksum)
        self.cloud.wait(self.cloud.config.create_s, progress)
        with self.cloud.writing("images.add:half", progress=progress) as tx:
            self._refuse_taken(tx.named(Image, spec.name))
            image = Image(
                id=f"image-{tx.next_number('image')}",
                name=spec.name,
                pool=pool_of(tx, spec.pool).id,
                format=brought.format,
                size_gib=brought.size_gib,
                stored_bytes=brought.stored_bytes,
                is_iso=spec.is_iso or brought.format == "iso",
                os=spec.os,
                default_user=spec.default_user,
                created_at=tx.now,
                content=brought.content,
            )
            tx.put(image)
            tx.note(EventTopic.IMAGE, image.id, "created")
            progress.report(100, "The image is there.")
            return image_record(image, {pool.id: pool for pool in tx.all(Pool)})

    @staticmethod
    def _refuse_taken(found: Image | None) -> None:
        if found is not None:
            raise AlreadyExists(f"There is an image “{found.name}” already.", field="name")

    def delete(self, external_id: str) -> None:
        with self.cloud.writing("images.delete") as tx:
            image = tx.get(Image, external_id)
            for volume in tx.all(Volume):
                if volume.backing == image.id:
                    raise Conflict(f"The disk “{volume.name}” is an overlay of this image.")
            for vm in tx.all(Vm):
                if any(disk.image == image.id for disk in vm.disks):
                    raise Conflict(f"It is in a drive of “{vm.name}”.")
            tx.drop(image)
            tx.note(EventTopic.IMAGE, image.id, "deleted", gone=True)
