"""A vendor's console service: RFB in a websocket with TLS around it, the way clouds hand their screens out.

Its websocket is websockify's server side, so that our client meets another implementation than its own.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockify.websocket import WebSocket

from providers.base import WebSocketConsole
from tests.providers.kvm.remote_host import Authority
from vms.console.handshake import Headers
from vms.console.rfb import answer_to

CHALLENGE = bytes(range(16))
SERVER_INIT = struct.pack(">HH16sI4s", 800, 600, bytes(16), 4, b"test")


class _Socket(WebSocket):  # type: ignore[misc] # websockify publishes no types
    """Chooses what the test wants, or nothing."""

    chosen = ""

    def select_subprotocol(self, protocols: list[str]) -> str:
        wanted = [each.strip() for each in protocols if each.strip() == self.chosen]
        self.offered = protocols
        # The engine compares with what it split at the comma, spaces and all.
        return next((each for each in protocols if each.strip() in wanted), "")


@dataclass
class Vendor:
    """Lets in whoever brings `wanted` (header → value) to `path`; answers 401 to others."""

    path: str = "/console?ticket=abc%2F1"
    wanted: dict[str, str] = field(default_factory=dict)
    chosen: str = ""
    """The sub-protocol that it chooses."""
    answers: bytes = b""
    """In place of the handshake's answer."""
    password: str = ""
    tls: bool = True
    asked: list[dict[str, str]] = field(default_factory=list)
    got: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        authority = Authority()
        self.ca = authority.certificate
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder, name) for name in ("certificate.pem", "key.pem")]
            for file, text in zip(files, authority.issue("server"), strict=True):
                file.write_text(text)
            self._context.load_cert_chain(str(files[0]), str(files[1]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.sockets: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def console(self, *, trusted: bool = True, **more: Any) -> WebSocketConsole:
        context = ssl.create_default_context(cadata=self.ca) if trusted else None
        scheme = "wss" if self.tls else "ws"
        return WebSocketConsole(url=f"{scheme}://127.0.0.1:{self.port}{self.path}", tls=context, **more)

    def close(self) -> None:
        self._listener.close()
        for sock in self.sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def _talk(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError, AssertionError):
            sock.settimeout(20)
            if self.tls:
                sock = self._context.wrap_socket(sock, server_side=True)
            self.sockets.append(sock)
            self._answer(sock)
        sock.close()

    def _answer(self, sock: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            more = sock.recv(4096)
            if not more:
                return
            head += more
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        told = {"request": first, **{name.lower(): value for name, value in headers.items()}}
        self.asked.append(told)
        if self.answers:
            sock.sendall(self.answers)
            return
        if first != f"GET {self.path} HTTP/1.1" or any(told.get(name) != value for name, value in self.wanted.items()):
            sock.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
            return
        carried = _Socket()
        carried.chosen = self.chosen
        carried.accept(sock, Headers({name.lower(): value for name, value in headers.items()}))
        self._screen(_Stream(carried))

    def _screen(self, stream: _Stream) -> None:
        stream.send(b"RFB 003.008\n")
        assert stream.read(12) == b"RFB 003.008\n"
        stream.send(bytes([1, 2 if self.password else 1]))
        stream.read(1)
        if self.password:
            stream.send(CHALLENGE)
            is_right = stream.read(16) == answer_to(CHALLENGE, self.password)
            stream.send(struct.pack(">I", 0 if is_right else 1))
            assert is_right
        else:
            stream.send(bytes(4))
        stream.read(1)
        # In parts, as no message has to be a frame.
        stream.send(SERVER_INIT[:10])
        stream.send(SERVER_INIT[10:])
        while data := stream.read(1):
            self.got += data
            stream.send(data)


class _Stream:
    """Bytes, whatever frames they came in."""

    def __init__(self, carried: Any) -> None:
        self._carried, self._waiting = carried, b""

    def send(self, data: bytes) -> None:
        self._carried.sendmsg(data)

    def read(self, count: int) -> bytes:
        while len(self._waiting) < count:
            message = self._carried.recvmsg()
            if message is None:
                raise EOFError
            self._waiting += bytes(message)
        part, self._waiting = self._waiting[:count], self._waiting[count:]
        return part
