"""Unpacking what comes, piece by piece: the format is told by the first bytes, and memory stays small."""

from __future__ import annotations

import bz2
import io
import itertools
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import zstandard
from typing_extensions import Buffer

from providers.base import InvalidRequest
from providers.transfer.headers import inspect

#: The most that one step of unpacking gives: a few bytes can stand for very many.
_STEP_BYTES = 1024 * 1024
#: Dictionaries above this are not for files that strangers offer.
_MEMORY_BYTES = 256 * 1024 * 1024


class _Unpacker(Protocol):
    """What lzma and bz2 offer: input waits inside until it was asked for."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


class _Gzip:
    """zlib in the manners of the others."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max(max_length, 0))


_MAKERS: dict[str, Callable[[], _Unpacker]] = {
    "gzip": _Gzip,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY_BYTES),
    "bzip2": bz2.BZ2Decompressor,
}
PACKED = frozenset({*_MAKERS, "zstd"})


def unpacked(pieces: Iterable[bytes], packing: str) -> Iterator[bytes]:
    """The content of a packed file, in pieces of at most 1 MiB. Raises InvalidRequest for a damaged one."""
    steps = _zstd(pieces) if packing == "zstd" else _members(pieces, packing)
    try:
        yield from steps
    except (zlib.error, lzma.LZMAError, OSError, EOFError, zstandard.ZstdError) as exc:
        raise InvalidRequest("The packed file is damaged.", f"{type(exc).__name__}: {exc}", field="url") from exc


def _members(pieces: Iterable[bytes], packing: str) -> Iterator[bytes]:
    """gzip, xz and bzip2 files may be several after another; what follows that is none of them is padding."""
    source = iter(pieces)
    unpacker: _Unpacker = _MAKERS[packing]()
    data = b""
    while True:
        if not data and unpacker.needs_input:
            data = next(source, b"")
            if not data:
                raise EOFError("it ends too early")
        step = unpacker.decompress(data, _STEP_BYTES)
        data = b""
        if step:
            yield step
        if unpacker.eof:
            data = unpacker.unused_data.lstrip(b"\0")
            while len(data) < 16 and (more := next(source, b"")):
                data = (data + more).lstrip(b"\0")
            if inspect(data).format != packing:
                return
            unpacker = _MAKERS[packing]()


def _zstd(pieces: Iterable[bytes]) -> Iterator[bytes]:
    source = iter(pieces)
    first = next(source, b"")
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MEMORY_BYTES)
    raw = io.BufferedReader(_Readable(itertools.chain([first], source)))
    reader = decompressor.stream_reader(raw, read_across_frames=True)
    unpacked_bytes = 0
    while step := reader.read(_STEP_BYTES):
        unpacked_bytes += len(step)
        yield step
    # The library takes an early end for the end; most files say how long they are.
    if unpacked_bytes < zstandard.frame_content_size(first):
        raise EOFError("it ends too early")


class _Readable(io.RawIOBase):
    """Pieces as something to read from."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        if not self._rest:
            self._rest = next(self._pieces, b"")
        room = memoryview(buffer)
        taken, self._rest = self._rest[: len(room)], self._rest[len(room) :]
        room[: len(taken)] = taken
        return len(taken)
