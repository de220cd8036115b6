"""Images of a simulated cloud. Files and uploads are really taken; an address is asked where the config says so."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from providers import base
from providers.base import (
    QUIET,
    AlreadyExists,
    Conflict,
    EventTopic,
    ImageRecord,
    Images,
    ImageSpec,
    InvalidRequest,
    NotFound,
    OutOfCapacity,
    Progress,
    Unreachable,
)
from providers.fake.blocks import pool_of
from providers.fake.cloud import Part
from providers.fake.records import image_record
from providers.fake.state import Image, Pool, UnfinishedImage, Vm, Volume
from providers.fake.store import Transaction
from providers.transfer.checksums import read_checksum
from providers.transfer.headers import HEAD_BYTES, Header
from providers.transfer.source import demand_image, opened

GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Brought:
    """What was found out about a file: format, virtual and stored size, and a stand-in for its bytes."""

    format: str
    size_gib: float
    stored_bytes: int
    content: str


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
            users = _users(tx)
            return [image_record(image, pools, tuple(sorted(users[image.id]))) for image in tx.all(Image)]

    def add(self, spec: ImageSpec, progress: Progress = QUIET) -> ImageRecord:
        """Takes `create_s`, as a download would."""
        if bool(spec.path) == bool(spec.url):
            raise InvalidRequest("Say either where the file is or where to fetch it.", field="url")
        if spec.url and not self.cloud.config.fetches:
            return self._pretended(spec, progress)
        self.cloud.enter("images.add", progress=progress)
        with opened(spec, progress) as source, self._unlisted(spec) as key:
            stored = self.cloud.files.write(key, 0, source.pieces(progress))
            self.cloud.wait(self.cloud.config.create_s, progress)
            return self._finished(key, spec, _brought(source.header, stored, key), progress)

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
        self.cloud.files.remove(external_id)

    # -- piece by piece ---------------------------------------------------------------------------------------------

    def begin(self, spec: ImageSpec, stored_bytes: int) -> str:
        with self.cloud.writing("images.begin") as tx:
            _check_name(spec.name)
            _refuse_taken(tx, spec)
            pool = pool_of(tx, spec.pool)
            if pool.capacity_gib and stored_bytes / GIB > pool.capacity_gib:
                raise OutOfCapacity(f"The storage pool “{pool.name}” has no room for this image.")
            key = f"image-{tx.next_number('image')}"
            tx.put(UnfinishedImage(id=key, name=spec.name, pool=pool.id, portal_uuid=spec.portal_uuid, begun_at=tx.now))
        self.cloud.files.write(key, 0, ())
        return key

    def write(self, key: str, offset: int, pieces: Iterator[bytes]) -> int:
        with self.cloud.reading("images.write") as tx:
            tx.get(UnfinishedImage, key)
        return self.cloud.files.write(key, offset, pieces)

    def finish(self, key: str, spec: ImageSpec, progress: Progress = QUIET) -> ImageRecord:
        with self.cloud.reading("images.finish") as tx:
            tx.get(UnfinishedImage, key)
        path = self.cloud.files.path(key)
        if path is None:
            raise NotFound("The image is not there any more.")
        with path.open("rb") as file:
            header = demand_image(file.read(HEAD_BYTES))
        checksum = read_checksum(spec.checksum)
        if checksum is not None:
            for piece in self.cloud.files.read(key):
                progress.checkpoint()
                checksum.update(piece)
            checksum.demand()
        return self._finished(key, spec, _brought(header, path.stat().st_size, key), progress)

    def discard(self, key: str) -> None:
        with self.cloud.writing("images.discard") as tx:
            try:
                unfinished = tx.get(UnfinishedImage, key)
            except NotFound:
                return
            tx.drop(unfinished)
        self.cloud.files.remove(key)

    def unfinished(self) -> Sequence[base.UnfinishedImage]:
        with self.cloud.reading("images.unfinished") as tx:
            return [
                base.UnfinishedImage(
                    key=one.id,
                    name=one.name,
                    portal_uuid=one.portal_uuid,
                    begun_at=datetime.fromtimestamp(one.begun_at, UTC),
                )
                for one in tx.all(UnfinishedImage)
            ]

    def read(self, external_id: str) -> Iterator[bytes]:
        """The bytes that came in; a few made-up ones for an image that never had any."""
        with self.cloud.reading("images.read") as tx:
            image = tx.get(Image, external_id)
        if self.cloud.files.path(external_id) is None:
            yield image.content.encode()
        yield from self.cloud.files.read(external_id)

    # -- steps ------------------------------------------------------------------------------------------------------

    def _pretended(self, spec: ImageSpec, progress: Progress) -> ImageRecord:
        with self.cloud.reading("images.add") as tx:
            _check_name(spec.name)
            _refuse_taken(tx, spec)
            pool_of(tx, spec.pool)
        progress.report(10, "Fetching the image.")
        brought = pretend(spec.url, spec.checksum)
        self.cloud.wait(self.cloud.config.create_s, progress)
        return self._finished("", spec, brought, progress)

    @contextmanager
    def _unlisted(self, spec: ImageSpec) -> Iterator[str]:
        """An unfinished image that is gone when the block fails."""
        key = self.begin(spec, 0)
        try:
            yield key
        except BaseException:
            with self.cloud.store.writing() as tx:
                tx.drop(UnfinishedImage(id=key, name=spec.name, pool=""))
            self.cloud.files.remove(key)
            raise

    def _finished(self, key: str, spec: ImageSpec, brought: Brought, progress: Progress) -> ImageRecord:
        with self.cloud.writing("images.add:half", progress=progress) as tx:
            if key:
                begun = tx.get(UnfinishedImage, key)
                tx.drop(begun)
                pool, name = begun.pool, begun.name
            else:
                pool, name = pool_of(tx, spec.pool).id, spec.name
            _refuse_taken(tx, spec.model_copy(update={"name": name}))
            image = Image(
                id=key or f"image-{tx.next_number('image')}",
                name=name,
                pool=pool,
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


def _brought(header: Header, stored: int, key: str) -> Brought:
    size = header.virtual_bytes if header.virtual_bytes is not None else stored
    return Brought(header.format, round(size / GIB, 6), stored, f"{key}\n")


def _check_name(name: str) -> None:
    if "/" in name or not name.isprintable():
        raise InvalidRequest("The name must be printable and have no slash.", field="name")


def _refuse_taken(tx: Transaction, spec: ImageSpec) -> None:
    if tx.named(Image, spec.name) is not None:
        raise AlreadyExists(f"There is an image “{spec.name}” already.", field="name")
    begun = tx.named(UnfinishedImage, spec.name)
    if begun is None:
        return
    if not spec.portal_uuid or begun.portal_uuid != spec.portal_uuid:
        raise AlreadyExists(f"“{spec.name}” is being brought in already.", field="name")
    # Its own wish, begun once more: what the first attempt left is thrown away.
    tx.drop(begun)


def _users(tx: Transaction) -> dict[str, set[str]]:
    """VMs by the images that are in their drives or below their disks."""
    below = {volume.id: volume.backing for volume in tx.all(Volume) if volume.backing}
    users: dict[str, set[str]] = defaultdict(set)
    for vm in tx.all(Vm):
        for disk in vm.disks:
            if disk.image:
                users[disk.image].add(vm.id)
            path = disk.volume
            while path:
                users[path].add(vm.id)
                path = below.get(path, "")
    return users
