"""A browser as the proxy sees one: raw enough to send what real ones never would."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
from dataclasses import dataclass, field
from typing import Any

ORIGIN = "http://portal.test"
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


@dataclass
class Refusal(Exception):
    """The proxy answered in HTTP."""

    status: int


@dataclass
class Browser:
    path: str
    """The proxy's socket."""
    timeout: float = 8.0
    sock: socket.socket = field(init=False)
    said: list[dict[str, Any]] = field(default_factory=list)
    """What the proxy told the page in text frames."""
    close_code: int | None = None
    close_reason: str = ""
    _buffer: bytes = b""

    def __post_init__(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def request(self, path: str, token: str, session_key: str, **changed: str | None) -> bytes:
        headers: dict[str, str | None] = {
            "Host": "portal.test",
            "Origin": ORIGIN,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Protocol": f"kvweb.console, kvweb.token.{token}",
            "Cookie": f"other=1; kvweb_session={session_key}",
            "X-Forwarded-For": "192.0.2.7",
            "X-Forwarded-Proto": "http",
        }
        headers.update({name.replace("_", "-"): value for name, value in changed.items()})
        lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
        return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode()

    def open(self, path: str, token: str, session_key: str, **changed: str | None) -> Browser:
        """Shake hands; raises Refusal."""
        self.sock.sendall(self.request(path, token, session_key, **changed))
        return self.read_answer()

    def read_answer(self) -> Browser:
        while b"\r\n\r\n" not in self._buffer:
            more = self.sock.recv(65536)
            if not more:
                raise Refusal(0)
            self._buffer += more
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        if status != 101:
            raise Refusal(status)
        self.answer = head.decode()
        return self

    # -- frames --------------------------------------------------------------------------------------------------------

    def send(self, data: bytes, opcode: int = BINARY, *, fin: bool = True, masked: bool = True) -> None:
        self.sock.sendall(frame(data, opcode, fin=fin, masked=masked))

    def read(self, count: int) -> bytes:
        """Exactly so many of the machine's bytes; fewer when the console closes."""
        data = b""
        while len(data) < count:
            part = self.read_some()
            if part is None:
                break
            data += part
        return data

    def read_until(self, text: bytes) -> bytes:
        data = b""
        while text not in data:
            part = self.read_some()
            if part is None:
                raise AssertionError(f"closed with {self.close_code} {self.close_reason!r} after {data!r}")
            data += part
        return data

    def read_some(self) -> bytes | None:
        """The next binary message, None after the close frame."""
        while True:
            opcode, payload = self._frame()
            if opcode == TEXT:
                self.said.append(json.loads(payload))
            elif opcode == PING:
                self.send(payload, PONG)
            elif opcode == CLOSE:
                self.close_code, self.close_reason = struct.unpack(">H", payload[:2])[0], payload[2:].decode()
                return None
            elif opcode == BINARY:
                return payload

    def wait_open(self) -> Browser:
        """Until the machine is joined."""
        while not any(each["type"] == "open" for each in self.said):
            opcode, payload = self._frame()
            if opcode == CLOSE:
                code, reason = struct.unpack(">H", payload[:2])[0], payload[2:].decode()
                raise AssertionError(f"closed with {code} {reason!r}")
            if opcode == TEXT:
                self.said.append(json.loads(payload))
        return self

    def wait_said(self, kind: str) -> dict[str, Any]:
        """The next that the proxy tells of this kind."""
        while True:
            opcode, payload = self._frame()
            if opcode == PING:
                self.send(payload, PONG)
            if opcode == CLOSE:
                raise AssertionError(f"closed before it said {kind!r}")
            if opcode == TEXT:
                self.said.append(json.loads(payload))
                if self.said[-1]["type"] == kind:
                    return self.said[-1]

    def wait_closed(self) -> int:
        """The close code; 1006, as browsers say, when there was no close frame."""
        try:
            while self.read_some() is not None:
                pass
        except (EOFError, ConnectionError):
            self.close_code = self.close_code or 1006
        return self.close_code or 0

    def _frame(self) -> tuple[int, bytes]:
        self._fill(2)
        length, header = self._buffer[1] & 0x7F, 2
        if length == 126:
            self._fill(4)
            length, header = struct.unpack(">H", self._buffer[2:4])[0], 4
        elif length == 127:
            self._fill(10)
            length, header = struct.unpack(">Q", self._buffer[2:10])[0], 10
        self._fill(header + length)
        opcode, payload = self._buffer[0] & 0x0F, self._buffer[header : header + length]
        self._buffer = self._buffer[header + length :]
        return opcode, payload

    def _fill(self, count: int) -> None:
        while len(self._buffer) < count:
            more = self.sock.recv(262144)
            if not more:
                raise EOFError
            self._buffer += more


def frame(data: bytes, opcode: int = BINARY, *, fin: bool = True, masked: bool = True, length: int = -1) -> bytes:
    """One frame; `length` may lie."""
    length = len(data) if length < 0 else length
    mask_bit = 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | opcode])
    if length <= 125:
        head += bytes([mask_bit | length])
    elif length < 65536:
        head += struct.pack(">BH", mask_bit | 126, length)
    else:
        head += struct.pack(">BQ", mask_bit | 127, length)
    if not masked:
        return head + data
    mask = os.urandom(4)
    pad = (mask * (len(data) // 4 + 1))[: len(data)]
    covered = (int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")).to_bytes(len(data), "little")
    return head + mask + covered
