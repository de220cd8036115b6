"""A libvirt stream as a plain socket: two threads carry bytes between it and one end of a socket pair.

libvirt's blocking calls on a stream may be made from two threads, one for each direction. When either end closes, or
the VM stops, both do.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from typing import Any

from providers.kvm.native import LibvirtError

_log = logging.getLogger(__name__)
_CHUNK = 64 * 1024


def pumped(stream: Any) -> socket.socket:
    """The caller's end; closing it ends the stream."""
    ours, theirs = socket.socketpair()
    closing = _Closing(stream, ours)
    threading.Thread(target=_to_person, args=(stream, ours, closing), name="serial-out", daemon=True).start()
    threading.Thread(target=_to_guest, args=(stream, ours, closing), name="serial-in", daemon=True).start()
    return theirs


class _Closing:
    """Ends both directions once."""

    def __init__(self, stream: Any, ours: socket.socket) -> None:
        self._stream = stream
        self._ours = ours
        self._lock = threading.Lock()
        self._done = False

    def __call__(self) -> None:
        with self._lock:
            if self._done:
                return
            self._done = True
        try:
            self._stream.abort()
        except LibvirtError as exc:
            _log.debug("Closing a serial line: %s", exc)
        with contextlib.suppress(OSError):
            # Wakes the thread that waits for the person; the descriptor is closed by the last of the two.
            self._ours.shutdown(socket.SHUT_RDWR)


def _to_person(stream: Any, ours: socket.socket, closing: _Closing) -> None:
    try:
        while True:
            got = stream.recv(_CHUNK)
            if not isinstance(got, bytes) or not got:
                break
            ours.sendall(got)
    except (LibvirtError, OSError) as exc:
        _log.debug("A serial line ended: %s", exc)
    finally:
        closing()


def _to_guest(stream: Any, ours: socket.socket, closing: _Closing) -> None:
    try:
        while got := ours.recv(_CHUNK):
            while got:
                sent = stream.send(got)
                if sent < 0:
                    return
                got = got[sent:]
    except (LibvirtError, OSError) as exc:
        _log.debug("A serial line ended: %s", exc)
    finally:
        closing()
        ours.close()
