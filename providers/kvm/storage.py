"""Making, filling and removing volumes: what machines, images and volumes have in common.

Pools are never refreshed on the way of a create: libvirt knows every volume that was made through it, and a refresh
reads the header of each file of the pool.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import Any

from providers.base import QUIET, AlreadyExists, Conflict, InvalidRequest, NotFound, OutOfCapacity, Progress
from providers.kvm.errors import has_code
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.xml.elements import Source
from providers.kvm.xml.storage import SeenVolume, read_pool, read_volume, volume_document
from providers.transfer.headers import HEAD_BYTES, inspect

_log = logging.getLogger(__name__)

#: Pools whose volumes are files of a file system, where an image can be overlaid and qcow2 can be kept.
FILE_POOLS = frozenset({"dir", "fs", "netfs", "gluster", "vstorage"})

_CHUNK = 256 * 1024
GIB = 1024**3
_CHAIN_MOST = 16


def seen(volume: Any) -> SeenVolume:
    """The volume's document, read."""
    return read_volume(volume.XMLDesc())


def source_of(pool: Any, volume: Any, format_: str) -> Source:
    """How a VM's document names this volume."""
    kind = volume.info()[0]
    if kind == libvirt.VIR_STORAGE_VOL_FILE:
        return Source(kind="file", path=volume.path(), format=format_)
    if kind == libvirt.VIR_STORAGE_VOL_BLOCK:
        return Source(kind="block", path=volume.path(), format=format_)
    where = read_pool(pool.XMLDesc())
    if where.type == "rbd":
        # libvirt refuses them as volumes of a pool (virDomainDiskTranslateSourcePool).
        return Source(
            kind="rbd",
            path=volume.path(),
            format=format_,
            hosts=where.source.hosts,
            user=where.source.auth_user,
            secret_uuid=where.source.secret_uuid,
        )
    return Source(kind="volume", pool=pool.name(), volume=volume.name(), format=format_)


def pool_type(pool: Any) -> str:
    return read_pool(pool.XMLDesc()).type


def blank(pool: Any, *, name: str, capacity: int, format_: str, thin: bool = True) -> Any:
    """An empty volume; `thin` False takes its whole size from the pool now. Sizes are bytes."""
    in_full = not thin and format_ == "qcow2"
    flags = libvirt.VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA if in_full else 0
    if not thin:
        _demand_room(pool, capacity)
    allocation = 0 if thin and _is_sparse(pool) else capacity
    document = volume_document(name=name, capacity=capacity, format_=format_, allocation=allocation)
    return _make(pool, name, lambda: pool.createXML(document, flags))


def overlay(pool: Any, image: SeenVolume, *, name: str, capacity: int) -> Any:
    """A qcow2 volume that holds only what differs from the image."""
    document = volume_document(
        name=name, capacity=capacity, format_="qcow2", backing=image.path, backing_format=image.format
    )
    return _make(pool, name, lambda: pool.createXML(document, 0))


def copy(
    pool: Any,
    image: Any,
    image_seen: SeenVolume,
    *,
    name: str,
    capacity: int,
    format_: str,
    mode: str = "",
    progress: Progress = QUIET,
) -> Any:
    """A volume of its own with the image's content, at least as large as wanted."""
    content = _content_bytes(image.connect(), image_seen)
    _demand_room(pool, content)
    allocation = 0 if _is_sparse(pool) else max(capacity, image_seen.capacity)
    document = volume_document(
        name=name, capacity=max(capacity, allocation), format_=format_, allocation=allocation, mode=mode
    )
    volume = _make(pool, name, lambda: _watched_copy(pool, document, name, image, whole=content, progress=progress))
    try:
        # The copy is as large as its source, whatever the document says.
        if volume.info()[1] < capacity:
            volume.resize(capacity)
    except LibvirtError:
        remove(volume)
        raise
    return volume


def upload(connection: Any, pool: Any, *, name: str, content: bytes) -> Any:
    """A raw volume with this content, written through libvirt: the pool may be on another host."""
    document = volume_document(name=name, capacity=len(content), format_="raw", allocation=None)
    volume = _make(pool, name, lambda: pool.createXML(document, 0))
    stream = connection.newStream(0)
    try:
        volume.upload(stream, 0, len(content), 0)
        for start in range(0, len(content), _CHUNK):
            stream.send(content[start : start + _CHUNK])
        stream.finish()
    except LibvirtError:
        abort(stream)
        remove(volume)
        raise
    return volume


def head(connection: Any, volume: Any) -> bytes:
    """The volume's first bytes."""
    return piece(connection, volume, 0, HEAD_BYTES)


def piece(connection: Any, volume: Any, offset: int, length: int) -> bytes:
    """So many bytes of the volume, or fewer at its end."""
    stream = connection.newStream(0)
    got = b""
    try:
        volume.download(stream, offset, length, 0)
        while len(got) < length:
            part = stream.recv(length - len(got))
            if not isinstance(part, bytes) or not part:
                break
            got += part
        stream.finish()
    except LibvirtError:
        abort(stream)
        raise
    return got


def check_image(raw: Any, volume: Any, *, field: str) -> SeenVolume:
    """The image's document; raises InvalidRequest when it leads to a file that no pool knows, NotFound without a file.

    A file that a person uploaded may name any path of the host as the one below it, and the hypervisor would open it.
    """
    try:
        return _checked(raw, volume, field=field)
    except LibvirtError as exc:
        # libvirt still lists the volume; its file, or one below it, was removed beside libvirt.
        if has_code(exc, libvirt.VIR_ERR_NO_STORAGE_VOL):
            raise NotFound("The image does not exist any more.", str(exc), field=field) from exc
        raise


def _checked(raw: Any, volume: Any, *, field: str) -> SeenVolume:
    image = seen(volume)
    step, depth = image, 0
    here = volume
    while True:
        if step.format not in {"raw", "iso", ""} and inspect(head(raw, here)).has_data_file:
            raise InvalidRequest("This image keeps its data in another file, which is not allowed.", field=field)
        if not step.backing:
            return image
        depth += 1
        below = _volume_at(raw, step.backing)
        if below is None or depth > _CHAIN_MOST:
            raise InvalidRequest("This image builds on a file outside the storage pools.", step.backing, field=field)
        here, step = below, seen(below)


def remove(volume: Any) -> bool:
    """Remove a volume; False when it was not there any more. Raises libvirt's other errors."""
    try:
        volume.delete(0)
    except LibvirtError as exc:
        if has_code(exc, libvirt.VIR_ERR_NO_STORAGE_VOL):
            return False
        raise
    return True


def abort(stream: Any) -> None:
    """Break a transfer off; its own failure tells nothing new."""
    try:
        stream.abort()
    except LibvirtError as exc:
        _log.debug("Aborting a stream: %s", exc)


def all_seen(pools: Iterable[Any], *, refresh: bool) -> list[tuple[Any, SeenVolume]]:
    """Every volume of these pools with its document, folders left out. `refresh` finds files that were put there
    beside libvirt.
    """
    found = []
    for pool in pools:
        if refresh:
            refreshed(pool)
        for volume in volumes_of(pool):
            try:
                document = seen(volume)
            except LibvirtError as exc:
                # Deleted meanwhile, or a file that was removed beside libvirt.
                if not has_code(exc, libvirt.VIR_ERR_NO_STORAGE_VOL, libvirt.VIR_ERR_SYSTEM_ERROR):
                    raise
                continue
            if not document.is_folder:
                found.append((pool, document))
    return found


def volumes_of(pool: Any) -> list[Any]:
    """The pool's volumes; none for a pool that was removed or switched off meanwhile."""
    try:
        return list(pool.listAllVolumes(0))
    except LibvirtError as exc:
        if has_code(exc, libvirt.VIR_ERR_NO_STORAGE_POOL, libvirt.VIR_ERR_OPERATION_INVALID):
            return []
        raise


def refreshed(pool: Any) -> None:
    """Look at the pool's files again; passed over while something is being copied in it, which libvirt refuses."""
    try:
        pool.refresh(0)
    except LibvirtError as exc:
        _log.debug("Pool %s is not refreshed now: %s", pool.name(), exc)


def overlays_of(raw: Any, paths: Iterable[str], *, refresh: bool = False) -> dict[str, list[str]]:
    """For each path the paths of volumes that build directly on it, in all active pools. `refresh` finds those that
    were made beside libvirt."""
    found: dict[str, list[str]] = {path: [] for path in paths}
    pools = raw.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
    for _, volume in all_seen(pools, refresh=refresh):
        if volume.backing in found:
            found[volume.backing].append(volume.path)
    return found


def _content_bytes(raw: Any, image: SeenVolume) -> int:
    """What a copy that stands alone will take at most: all that is stored, with what the image builds on."""
    total, step = image.allocation, image
    for _ in range(_CHAIN_MOST):
        below = _volume_at(raw, step.backing) if step.backing else None
        if below is None:
            break
        step = seen(below)
        total += step.allocation
    return min(total, image.capacity) or total


def _is_sparse(pool: Any) -> bool:
    """Whether a volume may take less than its size: of LVM's libvirt would make a snapshot of nothing, which breaks
    when it is full (virStorageBackendLogicalLVCreate)."""
    return pool_type(pool) in FILE_POOLS


def _volume_at(raw: Any, path: str) -> Any:
    try:
        return raw.storageVolLookupByPath(path)
    except LibvirtError as exc:
        if has_code(exc, libvirt.VIR_ERR_NO_STORAGE_VOL):
            return None
        raise


def _make(pool: Any, name: str, make: Callable[[], Any]) -> Any:
    """Make a volume; when a file of this name lies there that the pool has not seen, look at the pool and say so."""
    try:
        return make()
    except LibvirtError as exc:
        # A copy says in other words what a new volume has a code for.
        taken = has_code(exc, libvirt.VIR_ERR_INTERNAL_ERROR) and "already in use" in str(exc)
        if taken or has_code(exc, libvirt.VIR_ERR_STORAGE_VOL_EXIST):
            raise AlreadyExists("A volume with this name exists already.", str(exc)) from exc
        unseen = has_code(exc, libvirt.VIR_ERR_OPERATION_INVALID) and "already exists" in str(exc)
        if not unseen:
            _demand_readable(pool, exc)
            raise
        refreshed(pool)
        raise Conflict(f"The storage pool holds a file “{PurePosixPath(name).name}” already.", str(exc)) from exc


#: What libvirt says when a helper or the host's file system failed: nothing that tells whose fault it is.
_VAGUE = (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_ERR_SYSTEM_ERROR)


def _demand_readable(pool: Any, failure: Exception) -> None:
    """After a failure that may have any cause: say so when it is the pool itself that cannot be read any more."""
    if not has_code(failure, *_VAGUE):
        return
    refreshed(pool)
    # libvirt switches a pool off that it cannot read.
    if not pool.isActive():
        raise NotFound(
            f"The storage pool “{pool.name()}” cannot be read any more on its host.", str(failure), field="pool"
        ) from failure


def _demand_room(pool: Any, wanted: int) -> None:
    """Refuse early what cannot fit: filling a disk to the brim hurts every VM on it."""
    available = int(pool.info()[3])
    if wanted > available:
        raise OutOfCapacity(
            f"The storage pool “{pool.name()}” has {available // GIB} GiB left, and {-(-wanted // GIB)} are needed."
        )


def _watched_copy(pool: Any, document: str, name: str, image: Any, *, whole: int, progress: Progress) -> Any:
    """`createXMLFrom` in a thread, while this one tells how much is there. It cannot be broken off in the middle."""
    result: list[Any] = []
    done = threading.Event()

    def run() -> None:
        try:
            result.append(pool.createXMLFrom(document, image, 0))
        except LibvirtError as exc:
            result.append(exc)
        finally:
            done.set()

    threading.Thread(target=run, name="libvirt-copy", daemon=True).start()
    whole = max(whole, 1)
    wait_s = 0.02
    while not done.wait(wait_s):
        wait_s = min(wait_s * 2, 0.5)
        progress.report(min(99, _written(pool, name) * 100 // whole), "Copying the image")
    outcome = result[0]
    if isinstance(outcome, LibvirtError):
        raise outcome
    return outcome


def _written(pool: Any, name: str) -> int:
    try:
        return int(pool.storageVolLookupByName(name).info()[2])
    except LibvirtError:
        return 0


def wait_for(condition: Callable[[], bool], timeout_s: float, interval_s: float = 0.05) -> bool:
    """Whether the condition became true in time."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(interval_s)
    return True
