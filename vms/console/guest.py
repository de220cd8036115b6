"""A connection before it is a console: its request is read within a deadline and a size, or it is sent away in HTTP."""

from __future__ import annotations

import socket
from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings

from vms.console.handshake import BadRequest, Reader, Request
from vms.console.loop import READ, Loop

_PORTION = 4096


class Guest:
    __slots__ = ("_loop", "_on_left", "_on_request", "_peer", "_reader", "_timer", "is_gone", "sock")

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        peer: str | None,
        *,
        trust_forwarded: bool,
        on_request: Callable[[Guest, Request], None],
        on_left: Callable[[Guest], None],
    ) -> None:
        sock.setblocking(False)
        self.sock, self.is_gone = sock, False
        self._loop, self._peer = loop, peer
        self._on_request, self._on_left = on_request, on_left
        self._reader = Reader(trust_forwarded=trust_forwarded)
        # The whole request, not each byte: who sends one byte a second is not kept.
        self._timer = loop.after(
            settings.CONSOLE_HANDSHAKE_S, lambda: self.send_away(408, "The request took too long.")
        )
        loop.watch(sock, READ, self._ready)

    def begin(self) -> None:
        """Look whether the request is there already, as it nearly always is behind nginx."""
        self._ready(READ)

    def _ready(self, events: int) -> None:
        del events
        if self.is_gone:
            return
        try:
            data = self.sock.recv(_PORTION)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._leave()
            self.sock.close()
            return
        try:
            request = self._reader.feed(data, self._peer)
        except BadRequest as bad:
            self.send_away(bad.status, bad.sentence)
            return
        if request is not None:
            self._leave()
            self._on_request(self, request)

    def send_away(self, status: int, sentence: str) -> None:
        """Answer in HTTP and close; what does not fit into the socket at once is not worth waiting for."""
        if self.is_gone:
            return
        self._leave()
        body = (sentence + "\n").encode()
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        try:
            self.sock.send(head.encode() + body)
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self.sock.close()

    def _leave(self) -> None:
        """Not a guest any more: the deadline and the watch end, the socket stays."""
        self.is_gone = True
        self._timer.cancel()
        self._loop.forget(self.sock)
        self._on_left(self)
