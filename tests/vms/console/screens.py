"""A machine's screen of which a test sees what reached it, and a browser that speaks RFB as badly as it likes."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

from providers.base import ConsoleTarget, TcpConsole
from tests.vms.console.browser import TEXT, Browser

UPDATE = struct.pack(">BBHHHH", 3, 1, 0, 0, 8, 8)
CLIENT_INIT = b"\x01"


def key(symbol: str, *, down: bool = True) -> bytes:
    return struct.pack(">BBHI", 4, down, 0, ord(symbol))


def pointer(buttons: int, x: int = 1, y: int = 2) -> bytes:
    return struct.pack(">BBHH", 5, buttons, x, y)


class Screen:
    """Shakes hands without a password; remembers of each connection what came after ClientInit."""

    def __init__(self) -> None:
        self.got: list[bytearray] = []
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._socks: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def target(self) -> ConsoleTarget:
        return TcpConsole(host="127.0.0.1", port=self._listener.getsockname()[1])

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._socks.append(sock)
            threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def _talk(self, sock: socket.socket) -> None:
        try:
            sock.sendall(b"RFB 003.008\n")
            _exactly(sock, 12)
            sock.sendall(b"\x01\x01")
            _exactly(sock, 1)
            sock.sendall(b"\0\0\0\0")
            assert _exactly(sock, 1) == CLIENT_INIT
            mine = bytearray()
            with self._changed:
                self.got.append(mine)
                self._changed.notify_all()
            while data := sock.recv(65536):
                with self._changed:
                    mine += data
                    self._changed.notify_all()
        except OSError:
            pass

    def wait_for(self, condition: Callable[[], Any], timeout: float = 15.0) -> bool:
        with self._changed:
            return bool(self._changed.wait_for(condition, timeout))

    def close(self) -> None:
        self._listener.close()
        for sock in self._socks:
            sock.close()


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise OSError("closed")
        data += part
    return data


class Viewer:
    """A browser at a screen, past the handshake; `people` is the newest that it was told."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        browser.wait_open()
        assert browser.read(12) == b"RFB 003.008\n"
        browser.send(b"RFB 003.008\n")
        assert browser.read(2) == b"\x01\x01"
        browser.send(b"\x01")
        assert browser.read(4) == b"\0\0\0\0"
        browser.send(b"\0")  # not shared: the service knows better

    @property
    def opened(self) -> dict[str, Any]:
        return next(said for said in self.browser.said if said["type"] == "open")

    @property
    def id(self) -> str:
        return str(self.opened["you"])

    def say(self, **message: object) -> None:
        self.browser.send(json.dumps(message).encode(), TEXT)

    def wait_people(self, condition: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """Until what the page knows of the others is so."""
        while True:
            told = [said for said in self.browser.said if said["type"] == "people"]
            if told and condition(told[-1]):
                return told[-1]
            opcode, payload = self.browser._frame()
            if opcode == TEXT:
                self.browser.said.append(json.loads(payload))

    @property
    def notices(self) -> list[str]:
        return [str(said["sentence"]) for said in self.browser.said if said["type"] == "notice"]
