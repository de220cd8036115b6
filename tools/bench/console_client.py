"""A browser that costs next to nothing: it shakes hands and then counts bytes, so that it never is what is measured."""

from __future__ import annotations

import base64
import os
import socket
import struct
from dataclasses import dataclass

BINARY, PING, PONG = 0x2, 0x9, 0xA


@dataclass(frozen=True)
class Way:
    """How to reach a screen: straight (`path` empty), or in a websocket."""

    port: int
    path: str = ""
    protocols: str = ""
    cookie: str = ""

    def connected(self) -> Screen:
        sock = socket.socket()
        sock.settimeout(20)
        sock.connect(("127.0.0.1", self.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        screen = Screen(sock, is_framed=bool(self.path))
        if self.path:
            self._upgrade(screen)
        return screen

    def _upgrade(self, screen: Screen) -> None:
        host = f"127.0.0.1:{self.port}"
        lines = [
            f"GET {self.path} HTTP/1.1",
            f"Host: {host}",
            f"Origin: http://{host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            f"Sec-WebSocket-Protocol: {self.protocols}",
            f"Cookie: {self.cookie}",
        ]
        screen.sock.sendall("\r\n".join([*lines, "", ""]).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            part = screen.sock.recv(65536)
            if not part:
                raise ConnectionError("closed during the handshake")
            head += part
        head, _, screen.buffer = head.partition(b"\r\n\r\n")
        if b" 101 " not in head.partition(b"\r\n")[0]:
            raise ConnectionError(head.decode())


class Screen:
    """One connection; `buffer` holds what was read and not used."""

    __slots__ = ("buffer", "is_framed", "sock")

    def __init__(self, sock: socket.socket, *, is_framed: bool) -> None:
        self.sock, self.is_framed, self.buffer = sock, is_framed, b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(self.packed(data))

    def packed(self, data: bytes, opcode: int = BINARY) -> bytes:
        """As it goes over the wire: a mask of zeros changes nothing and is a mask."""
        if not self.is_framed:
            return data
        length = len(data)
        if length <= 125:
            head = struct.pack(">BB", 0x80 | opcode, 0x80 | length)
        elif length < 65536:
            head = struct.pack(">BBH", 0x80 | opcode, 0x80 | 126, length)
        else:
            head = struct.pack(">BBQ", 0x80 | opcode, 0x80 | 127, length)
        return head + b"\0\0\0\0" + data

    def read(self, count: int) -> bytes:
        """Exactly so many of the machine's bytes. Raises ConnectionError when it closes before."""
        data = b""
        while len(data) < count:
            if not self.is_framed:
                self._fill(count)
                data, self.buffer = self.buffer[:count], self.buffer[count:]
            else:
                data += self._message()
        return data

    def see(self) -> None:
        """RFB's handshake, as a viewer makes it."""
        self.read(12)
        self.send(b"RFB 003.008\n")
        self.read(2)
        self.send(b"\x01")
        self.read(4)
        self.send(b"\x01")

    def _message(self) -> bytes:
        while True:
            self._fill(2)
            opcode, length, header = self.buffer[0] & 0x0F, self.buffer[1] & 0x7F, 2
            if length == 126:
                self._fill(4)
                length, header = struct.unpack(">H", self.buffer[2:4])[0], 4
            elif length == 127:
                self._fill(10)
                length, header = struct.unpack(">Q", self.buffer[2:10])[0], 10
            self._fill(header + length)
            payload, self.buffer = self.buffer[header : header + length], self.buffer[header + length :]
            if opcode == BINARY:
                return payload
            if opcode == PING:
                self.sock.sendall(self.packed(payload, PONG))
            elif opcode == 0x8:
                raise ConnectionError(f"closed: {payload[2:].decode()}")

    def _fill(self, count: int) -> None:
        while len(self.buffer) < count:
            part = self.sock.recv(65536)
            if not part:
                raise ConnectionError("closed")
            self.buffer += part

    def close(self) -> None:
        self.sock.close()
