"""Writing a volume's content: straight into its file where that lies on this machine, else over libvirt's stream.

libvirt's stream copies every byte five times, through two processes, and carries about 250 MB/s; a file takes ten
times that. Which file it is comes from libvirt alone, and is believed only when what lies there is what libvirt sees:
a hypervisor behind a forwarded socket, or one that sees other mounts than this process, has another file by that path.
"""

from __future__ import annotations

import errno
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from providers.base import OutOfCapacity, ProviderError
from providers.kvm import storage
from providers.kvm.connection import Connection
from providers.kvm.native import libvirt
from providers.kvm.xml.storage import SeenPool, SeenVolume, read_pool

#: Pools whose volumes are files that this machine's processes may see as libvirt sees them.
_HERE = frozenset({"dir", "fs"})
#: A message of libvirt's is 256 KiB; longer ones pass too, at half the speed.
_MESSAGE_BYTES = 256 * 1024
#: A document tells the time as a decimal fraction, which is read as a float.
_SAME_TIME_S = 2e-6
#: No link is followed, nothing is made, and nobody's pipe is waited for.
_OPEN = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Sink(ABC):
    """Where content goes, in order, from the offset that it was opened at."""

    @abstractmethod
    def write(self, piece: bytes) -> None: ...

    @abstractmethod
    def skip(self, length: int) -> None:
        """So many zeros, which take no room."""


@contextmanager
def sink(connection: Connection, pool: Any, volume: Any, *, offset: int) -> Iterator[Sink]:
    """Where a new volume's content goes; what lay beyond `offset` may be gone. Complete when the block ends well.

    Inside `vendor_calls()`. Raises OutOfCapacity.
    """
    descriptor = _opened(connection, pool, volume)
    if descriptor is None:
        with _stream(connection, volume, offset) as stream:
            yield stream
        return
    try:
        with _file_errors():
            # A piece that was broken off must not show through the holes of the one that is sent in its place.
            os.ftruncate(descriptor, min(offset, os.fstat(descriptor).st_size))
        file = _File(descriptor, offset)
        yield file
        file.finish()
    finally:
        os.close(descriptor)


def may_own_here(connection: Connection, pool: Any) -> bool:
    """Whether a volume that belonged to this process's user could be written here, once libvirt has made it."""
    where = _pool_here(connection, pool)
    return where is not None and os.access(where.path, os.X_OK)


def settled(connection: Connection, pool: Any, volume: Any, *, mode: int) -> None:
    """What was written is on the disk, and nobody may write to it any more. No matter where it cannot be had."""
    descriptor = _opened(connection, pool, volume)
    if descriptor is None:
        return
    try:
        with _file_errors():
            os.fdatasync(descriptor)
        if os.fstat(descriptor).st_uid == os.geteuid():
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


class _File(Sink):
    def __init__(self, descriptor: int, offset: int) -> None:
        self._descriptor = descriptor
        self._at = offset

    def write(self, piece: bytes) -> None:
        left = memoryview(piece)
        with _file_errors():
            while left:
                written = os.pwrite(self._descriptor, left, self._at)
                self._at += written
                left = left[written:]

    def skip(self, length: int) -> None:
        self._at += length

    def finish(self) -> None:
        """A hole at the end is part of the content too."""
        with _file_errors():
            if os.fstat(self._descriptor).st_size < self._at:
                os.ftruncate(self._descriptor, self._at)


class _Stream(Sink):
    def __init__(self, stream: Any, stale: int) -> None:
        self._stream = stream
        #: Bytes from here on that may have been written before, and that no hole may leave as they are.
        self._stale = stale

    def write(self, piece: bytes) -> None:
        for start in range(0, len(piece), _MESSAGE_BYTES):
            self._stream.send(piece[start : start + _MESSAGE_BYTES])
        self._stale -= len(piece)

    def skip(self, length: int) -> None:
        while length and self._stale > 0:
            zeros = bytes(min(length, self._stale, _MESSAGE_BYTES))
            self.write(zeros)
            length -= len(zeros)
        if length:
            self._stream.sendHole(length, 0)


@contextmanager
def _stream(connection: Connection, volume: Any, offset: int) -> Iterator[Sink]:
    stale = int(volume.info()[1]) - offset
    stream = connection.raw.newStream(0)
    volume.upload(stream, offset, 0, libvirt.VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM)
    try:
        yield _Stream(stream, stale)
        stream.finish()
    except BaseException:
        storage.abort(stream)
        raise


def _pool_here(connection: Connection, pool: Any) -> SeenPool | None:
    if not connection.is_local:
        return None
    where = read_pool(pool.XMLDesc())
    return where if where.type in _HERE and where.path else None


def _opened(connection: Connection, pool: Any, volume: Any) -> int | None:
    """The volume's file, open for writing; None where this process cannot have it, which is no failure."""
    where = _pool_here(connection, pool)
    seen = storage.seen(volume) if where is not None else None
    if where is None or seen is None or Path(seen.path).parent != Path(where.path):
        return None
    try:
        descriptor = os.open(seen.path, _OPEN)
    except OSError:
        return None
    if _is_what_libvirt_sees(os.fstat(descriptor), seen):
        return descriptor
    os.close(descriptor)
    return None


def _is_what_libvirt_sees(found: os.stat_result, seen: SeenVolume) -> bool:
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or seen.modified_at is None:
        return False
    return abs(seen.modified_at.timestamp() - found.st_mtime_ns / 1e9) < _SAME_TIME_S


@contextmanager
def _file_errors() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise OutOfCapacity("The storage pool has no room left for this.", str(exc)) from exc
        raise ProviderError("The storage pool's disk cannot be written.", str(exc)) from exc
