"""Props for the tests of the simulated cloud: a driver with chosen delays, a VM, and a small RFB client."""

from __future__ import annotations

import socket
import struct
import time
from typing import Any

from providers.base import DiskSpec, NicSpec, StreamConsole, VmRecord, VmSpec
from providers.fake.config import FakeConfig
from providers.fake.driver import FakeDriver

QUICK: dict[str, Any] = {"start_s": 0, "stop_s": 0, "create_s": 0, "lease_s": 0, "slow_s": 0.05, "hang_s": 0.1}


def cloud(**settings: Any) -> FakeDriver:
    return FakeDriver(FakeConfig.read({**QUICK, **settings}))


def spec(name: str = "box", **wishes: Any) -> VmSpec:
    disks = (DiskSpec(image="image-1", size_gib=5),)
    return VmSpec.model_validate({"name": name, "disks": disks, "nics": (NicSpec(network="net-1"),), **wishes})


def make(driver: FakeDriver, name: str = "box", **wishes: Any) -> VmRecord:
    return driver.machines.create(spec(name, **wishes))


def read_until(sock: socket.socket, wanted: str, timeout_s: float = 15.0) -> str:
    """Everything that a serial line says until it says this."""
    text, end = "", time.monotonic() + timeout_s
    while wanted not in text:
        left = end - time.monotonic()
        assert left > 0, f"{wanted!r} did not come: {text!r}"
        sock.settimeout(left)
        data = sock.recv(65536)
        assert data, f"The line closed before {wanted!r}: {text!r}"
        text += data.decode()
    return text


class Viewer:
    """A client of the RFB protocol, version 3.8, without security or with a password."""

    def __init__(self, target: StreamConsole, *, answer: Any = None, minor: int = 8) -> None:
        self.sock = target.connect()
        self.sock.settimeout(15)
        assert self.need(12) == b"RFB 003.008\n"
        self.sock.sendall(f"RFB 003.{minor:03d}\n".encode())
        if minor == 3:
            (self.security,) = struct.unpack(">I", self.need(4))
        else:
            count = self.need(1)[0]
            self.security = self.need(count)[0]
            self.sock.sendall(bytes([self.security]))
        if self.security == 2:
            self.sock.sendall(answer(self.need(16)))
        if self.security == 2 or minor == 8:
            (self.refusal,) = struct.unpack(">I", self.need(4))
            if self.refusal:
                return
        self.sock.sendall(b"\x01")
        self.width, self.height = struct.unpack(">HH", self.need(4))
        self.format = self.need(16)
        self.name = self.need(struct.unpack(">I", self.need(4))[0]).decode()
        self.bits = 32

    def need(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.sock.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def rest(self) -> bytes:
        """What still comes until the server closes."""
        data = b""
        while more := self.sock.recv(65536):
            data += more
        return data

    def use_format(self, bits: int, maxima: tuple[int, int, int], shifts: tuple[int, int, int]) -> None:
        self.bits = bits
        self.sock.sendall(struct.pack(">BxxxBBBBHHHBBBxxx", 0, bits, bits, 0, 1, *maxima, *shifts))

    def look(self, *, incremental: bool = False) -> dict[int, bytes]:
        """Ask for the screen: y → pixels of each rectangle that comes, all as wide as the screen."""
        self.sock.sendall(struct.pack(">BBHHHH", 3, incremental, 0, 0, self.width, self.height))
        kind, count = struct.unpack(">BxH", self.need(4))
        assert kind == 0
        rectangles = {}
        for _ in range(count):
            x, y, width, height, encoding = struct.unpack(">HHHHi", self.need(12))
            assert (x, width, encoding) == (0, self.width, 0)
            rectangles[y] = self.need(width * height * self.bits // 8)
        return rectangles

    def press(self, *keysyms: int) -> None:
        for keysym in keysyms:
            self.sock.sendall(struct.pack(">BBxxI", 4, 1, keysym) + struct.pack(">BBxxI", 4, 0, keysym))

    def type(self, text: str) -> None:
        self.press(*(0xFF0D if each == "\n" else ord(each) for each in text))
