"""Carrying a volume from one hypervisor to another, through the portal: neither host needs to reach the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from providers.kvm import storage
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.xml.storage import volume_document

_PIECE = 256 * 1024

#: What libvirt answers to a read at a hole.
_AT_HOLE = -3


def stored_bytes(volume: Any) -> int:
    """The length of the volume's file, which for qcow2 is not the size that a guest sees."""
    return int(volume.infoFlags(libvirt.VIR_STORAGE_VOL_GET_PHYSICAL)[2])


def carry(
    here: Any, volume: Any, there: Any, pool: Any, *, name: str, told: Callable[[int], None], mode: str = ""
) -> Any:
    """A new volume in the other host's pool with the same bytes; holes stay holes.

    `told` hears how many bytes have been carried, and may raise to stop. A copy that was broken off is removed.
    """
    length = stored_bytes(volume)
    # As raw, whatever it holds: libvirt looks at the format when the bytes are there.
    document = volume_document(name=name, capacity=length, format_="raw", mode=mode)
    made = pool.createXML(document, 0)
    out, into = here.newStream(0), there.newStream(0)
    try:
        volume.download(out, 0, 0, libvirt.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM)
        made.upload(into, 0, length, libvirt.VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM)
        _relay(out, into, told)
        out.finish()
        into.finish()
    except BaseException:
        storage.abort(out)
        storage.abort(into)
        storage.remove(made)
        raise
    try:
        storage.refreshed(pool)
        return pool.storageVolLookupByName(name)
    except LibvirtError:
        storage.remove(made)
        raise


def _relay(out: Any, into: Any, told: Callable[[int], None]) -> None:
    carried = 0
    while True:
        piece = out.recvFlags(_PIECE, libvirt.VIR_STREAM_RECV_STOP_AT_HOLE)
        if piece == _AT_HOLE:
            hole = out.recvHole()
            into.sendHole(hole, 0)
            carried += hole
        elif not isinstance(piece, bytes) or not piece:
            return
        else:
            carried += len(piece)
            while piece:
                piece = piece[into.send(piece) :]
        told(carried)
