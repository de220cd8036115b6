"""The stored bytes of a volume, over libvirt's stream: its host may be another one, and nothing is kept in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from providers.base import InvalidRequest, OutOfCapacity, Progress
from providers.kvm import storage
from providers.kvm.part import Part
from providers.kvm.users import refuse_when_used, refuse_while_written
from providers.transfer.headers import HEAD_BYTES, inspect

#: One message of libvirt's stream.
_PIECE = 256 * 1024


class Transfers(Part):
    """Inside `vendor_calls()`."""

    def upload(
        self, volume: Any, read: Callable[[int], bytes], *, offset: int, length: int, progress: Progress
    ) -> None:
        """Raises Conflict while anything uses the volume, InvalidRequest for what does not fit or ends early, and for a
        file that leads to other files of the host. What was written by then stays written."""
        refuse_when_used(self, volume)
        self._demand_fit(volume, offset, length)
        stream = self.raw.newStream(0)
        volume.upload(stream, offset, length, 0)
        try:
            first = _read_up_to(read, min(HEAD_BYTES, length)) if offset == 0 else b""
            _demand_alone(first)
            _send(stream, first)
            sent = len(first)
            while sent < length:
                progress.checkpoint()
                piece = read(min(_PIECE, length - sent))
                if not piece:
                    raise InvalidRequest("The upload ended too early.", field="length")
                _send(stream, piece)
                sent += len(piece)
                progress.report(min(99, sent * 100 // length), "Writing the volume")
            stream.finish()
        except BaseException:
            storage.abort(stream)
            raise
        # libvirt looks at the new content only now.
        storage.refreshed(volume.storagePoolLookupByVolume())

    def download(
        self, volume: Any, write: Callable[[bytes], None], *, offset: int, length: int | None, progress: Progress
    ) -> int:
        """How many bytes there were. Raises Conflict while a running VM writes to the volume: they would not fit
        together."""
        refuse_while_written(self, volume)
        whole = max(length if length is not None else int(volume.info()[1]), 1)
        stream = self.raw.newStream(0)
        volume.download(stream, offset, length or 0, 0)
        got = 0
        try:
            while length is None or got < length:
                progress.checkpoint()
                piece = stream.recv(_PIECE)
                if not isinstance(piece, bytes) or not piece:
                    break
                write(piece)
                got += len(piece)
                progress.report(min(99, got * 100 // whole), "Reading the volume")
            stream.finish()
        except BaseException:
            storage.abort(stream)
            raise
        return got

    def _demand_fit(self, volume: Any, offset: int, length: int) -> None:
        seen = storage.seen(volume)
        if offset < 0 or length < 0 or (seen.format in {"raw", "iso", ""} and offset + length > seen.capacity):
            raise InvalidRequest("The volume is too small for this.", field="length")
        available = int(volume.storagePoolLookupByVolume().info()[3])
        if offset + length > available + seen.allocation:
            raise OutOfCapacity("The storage pool has no room for this.", field="length")


def _read_up_to(read: Callable[[int], bytes], most: int) -> bytes:
    got = b""
    while len(got) < most:
        piece = read(most - len(got))
        if not piece:
            raise InvalidRequest("The upload ended too early.", field="length")
        got += piece
    return got


def _demand_alone(head: bytes) -> None:
    """The hypervisor would open whatever files of the host a disk image names."""
    header = inspect(head) if head else None
    if header is not None and (header.backing or header.has_data_file):
        raise InvalidRequest("This image needs another file; bring one that stands alone.")


def _send(stream: Any, piece: bytes) -> None:
    while piece:
        piece = piece[stream.send(piece) :]
