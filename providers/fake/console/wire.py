"""Serving a guest's line on one end of a socket pair, in a thread that ends with the VM or the connection."""

from __future__ import annotations

import codecs
import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress

from providers.fake.console.guest import Line

#: How often a line looks at its VM, and how long a peer may take to accept what is sent.
TICK_S = 0.05
SEND_S = 10.0


def served(serve: Callable[[socket.socket], None], name: str) -> socket.socket:
    """The client's end of a connection that `serve` answers."""
    ours, theirs = socket.socketpair()
    ours.settimeout(SEND_S)

    def run() -> None:
        # A peer that goes away is the usual end of a console.
        with closing(ours), suppress(OSError):
            serve(ours)

    threading.Thread(target=run, name=name, daemon=True).start()
    return theirs


def received(sock: socket.socket, timeout_s: float) -> bytes | None:
    """What has come within the time: b"" for nothing, None when the peer has closed."""
    sock.settimeout(timeout_s)
    try:
        return sock.recv(65536) or None
    except TimeoutError:
        return b""
    finally:
        sock.settimeout(SEND_S)


def serve_serial(line: Line, sock: socket.socket) -> None:
    """Bytes as they are typed and printed, UTF-8, with the line ends of a terminal."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    while True:
        text = line.tick()
        if text is None:
            return
        if text:
            # A serial terminal clears by an escape sequence, not by a form feed.
            sock.sendall(text.replace("\f", "\x1b[2J\x1b[H").replace("\n", "\r\n").encode())
        data = received(sock, TICK_S)
        if data is None:
            return
        line.type(decoder.decode(data))
