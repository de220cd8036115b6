"""The machine's side of a console: what the relay asks of it, and a plain socket that answers.

The counterpart of `ConsoleSocket`, which is the browser's side: nothing here blocks, what cannot be sent now is kept.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from typing import Protocol

from vms.console.framing import SCRATCH, Gone

#: How a socket that never blocks says "later"; TLS has its own words for it.
NOT_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
#: One read of the machine at most, so that a screen full of film leaves the other consoles their turn.
PORTION = SCRATCH[: 128 * 1024]


class Machine(Protocol):
    """One open connection to a console, whatever it is carried by."""

    @property
    def sock(self) -> socket.socket:
        """What the loop waits for."""

    @property
    def is_full(self) -> bool:
        """Whether something waits to be sent."""

    @property
    def has_more(self) -> bool:
        """Whether bytes were already read that `receive` would give, so that the socket alone would not tell."""

    @property
    def is_bare(self) -> bool:
        """Whether the bytes on `sock` are the console's and nothing else, so that they need not be looked at."""

    def receive(self) -> Sequence[memoryview | bytes]:
        """Read once; what is lent is good until the next read of anybody. Raises Gone."""

    def push(self, data: bytes) -> None:
        """Send, or keep what does not fit. Raises Gone."""

    def flush(self) -> None:
        """Send what waits. Raises Gone."""

    def keep_alive(self) -> None:
        """Called every half a minute: tell what stands in between that the connection is in use."""

    def close(self) -> None: ...


class Plain:
    """A socket that carries the console's bytes and nothing else; with TLS around it or without."""

    __slots__ = ("_waiting", "sock")

    has_more = False

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._waiting = b""

    @property
    def is_bare(self) -> bool:
        # Not of a class that only looks like a socket, or that deciphers.
        return type(self.sock) is socket.socket

    @property
    def is_full(self) -> bool:
        return bool(self._waiting)

    def receive(self) -> Sequence[memoryview | bytes]:
        count = received_into(self.sock, PORTION)
        return (PORTION[:count],) if count else ()

    def push(self, data: bytes) -> None:
        waiting = self._waiting + data if self._waiting else data
        sent = sent_of(self.sock, waiting)
        if sent < len(waiting) or self._waiting:
            self._waiting = waiting[sent:]

    def flush(self) -> None:
        if self._waiting:
            self.push(b"")

    def keep_alive(self) -> None:
        pass

    def close(self) -> None:
        self.sock.close()


def received_into(sock: socket.socket, buffer: memoryview) -> int:
    """How many bytes came, 0 for none yet. Raises Gone.

    A TLS socket reads at most one record (16 KiB) a call, and the buffer holds several: nothing is left behind in it.
    """
    try:
        count = sock.recv_into(buffer)
    except NOT_NOW:
        return 0
    except OSError as exc:
        raise Gone from exc
    if count == 0:
        raise Gone
    return count


def sent_of(sock: socket.socket, data: bytes) -> int:
    """How many bytes the socket took, 0 for none. Raises Gone."""
    if not data:
        return 0
    try:
        return sock.send(data)
    except NOT_NOW:
        return 0
    except OSError as exc:
        raise Gone from exc
