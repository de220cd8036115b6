"""An image on its way in: opened, unpacked and looked at, before any of it is written anywhere.

Reading, hashing and unpacking happen in a thread of their own, a few pieces ahead of the one that writes.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from providers.base import FetchRules, ImageSpec, InvalidRequest, Progress
from providers.transfer import http
from providers.transfer.checksums import Checksum, find_checksum, read_checksum
from providers.transfer.headers import HEAD_BYTES, Header, inspect
from providers.transfer.unpack import PACKED, unpacked

PIECE_BYTES = 1024 * 1024
_AHEAD = 6
_TELL_EVERY_S = 3.0
#: The largest disk that anything here makes sense of.
_VIRTUAL_MOST = 64 * 1024**4

_FOREIGN = {
    "vmdk": "a VMware disk (VMDK)",
    "ova": "an archive (tar), such as an appliance (OVA)",
    "vdi": "a VirtualBox disk (VDI)",
    "vhdx": "a Hyper-V disk (VHDX)",
    "vpc": "a Hyper-V disk (VHD)",
    "qcow": "a disk of the old format QCOW 1",
    "zip": "a ZIP archive",
    "html": "a web page",
    "7z": "a 7-Zip archive",
    "rar": "a RAR archive",
    "pdf": "a PDF document",
    "picture": "a picture",
    "program": "a program (ELF)",
    "package": "a software package",
    "text": "a text file",
}


class Source:
    """Content of an image. `pieces` gives it once, from its first byte; after the last one it has been checked."""

    def __init__(
        self, pieces: Iterator[bytes], *, length: int | None, rules: FetchRules, also: frozenset[str] = frozenset()
    ) -> None:
        self._pieces = pieces
        self._also = also
        self._most = rules.most_bytes
        #: Bytes that were read so far, and how many there will be where that is known: as the file lies there.
        self.read_bytes, self.file_bytes = 0, length
        #: The unpacked size, where it is known before the end.
        self.length = length
        self.head = b""
        self.header = Header(format="raw")
        self._checksum: Checksum | None = None
        self._began = time.monotonic()
        self._told_at, self._sentence = self._began, "Copying the image"

    def open(self, checksum: Checksum | None) -> None:
        """Read its beginning; raises InvalidRequest for what cannot be an image."""
        self._checksum = checksum
        if self.file_bytes is not None and self.file_bytes > self._most:
            raise InvalidRequest(f"The file is larger than allowed ({self._most // 1024**3} GiB).", field="url")
        raw = self._counted(self._pieces)
        self._pieces, self.head = _begun(raw)
        packing = inspect(self.head).format
        if packing in PACKED:
            self.length = None
            self._pieces, self.head = _begun(self._bounded(unpacked(self._pieces, packing), raw))
        self.header = demand_image(self.head, self._also, is_unpacked=packing in PACKED)

    def pieces(self, progress: Progress) -> Iterator[bytes]:
        """All of it; raises InvalidRequest when the checksum does not fit or it is too large."""
        for piece in _ahead(self._pieces):
            progress.checkpoint()
            yield piece
            self._tell(progress)
        if self._checksum is not None:
            self._checksum.demand()

    def _tell(self, progress: Progress) -> None:
        percent = self.read_bytes * 98 // self.file_bytes if self.file_bytes else 0
        now = time.monotonic()
        # Each new sentence is a line of the job's log, so there are not many.
        if now - self._told_at > _TELL_EVERY_S:
            self._told_at = now
            speed = self.read_bytes / max(now - self._began, 0.001) / 2**20
            of = f" of {_size(self.file_bytes)}" if self.file_bytes else ""
            self._sentence = f"Copying the image: {_size(self.read_bytes)}{of}, {_rounded(speed)} MiB/s"
        progress.report(1 + min(98, percent), self._sentence)

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.read_bytes += len(piece)
            if self.read_bytes > self._most:
                raise InvalidRequest(f"The file is larger than allowed ({self._most // 1024**3} GiB).", field="url")
            if self._checksum is not None:
                self._checksum.update(piece)
            yield piece

    def _bounded(self, pieces: Iterator[bytes], packed: Iterator[bytes]) -> Iterator[bytes]:
        """What is unpacked, up to the same limit; then what is left of the packed file, for its checksum's sake."""
        total = 0
        for piece in pieces:
            total += len(piece)
            if total > self._most:
                raise InvalidRequest("Unpacked, the image is larger than allowed.", field="url")
            yield piece
        for _ in packed:
            pass


@contextmanager
def opened(spec: ImageSpec, progress: Progress, *, also: frozenset[str] = frozenset()) -> Iterator[Source]:
    """The file or address of a wish, ready to be copied. `also`: formats ("vmdk", "ova") that this kind takes beside
    those that every kind knows. Raises InvalidRequest, NotFound, Unreachable."""
    checksum = read_checksum(spec.checksum)
    if bool(spec.path) == bool(spec.url):
        raise InvalidRequest("Say either where the file is or where to fetch it.", field="url")
    if spec.path:
        try:
            with _file(Path(spec.path)) as (pieces, length):
                source = Source(pieces, length=length, rules=spec.fetch, also=also)
                source.open(checksum)
                _demand_iso(spec, source)
                yield source
        except InvalidRequest as exc:
            exc.field = "path" if exc.field == "url" else exc.field
            raise
        return
    if checksum is None and spec.checksum_url:
        progress.report(1, "Reading the vendor's checksums")
        checksum = find_checksum(http.read_small(spec.checksum_url, spec.fetch), spec.url)
    progress.report(1, "Asking for the file")
    with http.ask(spec.url, spec.fetch) as answer:
        source = Source(answer.pieces(), length=answer.length, rules=spec.fetch, also=also)
        source.open(checksum)
        _demand_iso(spec, source)
        yield source


def demand_image(head: bytes, also: frozenset[str] = frozenset(), *, is_unpacked: bool = False) -> Header:
    """What these first bytes are; raises InvalidRequest for what cannot be an image that stands alone."""
    if not head:
        raise InvalidRequest("The file is empty.", field="url")
    header = inspect(head)
    if head[:512].lstrip()[:14].lower() in {b"<!doctype html", b"<!doctype html>"} or head[:6].lower() == b"<html>":
        header = Header(format="html")
    if header.format in _FOREIGN.keys() - also:
        what = _FOREIGN[header.format]
        raise InvalidRequest(f"This is {what}; bring a qcow2, raw or ISO image.", field="url")
    if header.format in PACKED:
        packed = "packed twice" if is_unpacked else "packed"
        raise InvalidRequest(f"This is {packed}; unpack it first.", field="url")
    if header.backing or header.has_data_file:
        raise InvalidRequest("This image needs another file; bring one that stands alone.", field="url")
    if header.is_encrypted:
        raise InvalidRequest("This image is encrypted, which is not supported.", field="url")
    if (header.virtual_bytes or 0) > _VIRTUAL_MOST:
        raise InvalidRequest("This image says that it is larger than any disk.", field="url")
    return header


def _demand_iso(spec: ImageSpec, source: Source) -> None:
    if spec.is_iso and source.header.format != "iso":
        raise InvalidRequest("This is no ISO image.", field="url")


@contextmanager
def _file(path: Path) -> Iterator[tuple[Iterator[bytes], int]]:
    try:
        file = path.open("rb")
    except OSError as exc:
        raise InvalidRequest("The file cannot be read.", str(exc), field="path") from exc
    with file:
        yield iter(lambda: file.read(PIECE_BYTES), b""), path.stat().st_size


def _begun(pieces: Iterator[bytes]) -> tuple[Iterator[bytes], bytes]:
    """The pieces again, from the first byte, and the beginning that was looked at."""
    first = b""
    while len(first) < HEAD_BYTES and (piece := next(pieces, b"")):
        first += piece

    def all_of_it() -> Iterator[bytes]:
        if first:
            yield first
        yield from pieces

    return all_of_it(), first[:HEAD_BYTES]


def _ahead(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, read in a thread while the caller works on the one before. An error comes out where it was."""
    waiting: queue.Queue[bytes | BaseException | None] = queue.Queue(_AHEAD)
    is_over = threading.Event()

    def put(item: bytes | BaseException | None) -> None:
        while not is_over.is_set():
            try:
                waiting.put(item, timeout=0.5)
            except queue.Full:
                continue
            return

    def run() -> None:
        try:
            for piece in pieces:
                put(piece)
                if is_over.is_set():
                    return
            put(None)
        except BaseException as exc:
            put(exc)

    reader = threading.Thread(target=run, name="image-reader", daemon=True)
    reader.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        is_over.set()


def _size(count: int) -> str:
    return f"{count / 2**20:.0f} MiB" if count < 10 * 2**30 else f"{count / 2**30:.1f} GiB"


def _rounded(speed: float) -> str:
    return f"{speed:.1f}" if speed < 10 else f"{round(speed, -1 if speed >= 100 else 0):.0f}"
