"""A server of the RFB protocol (versions 3.3 to 3.8) that shows one terminal: no security or VNC's, raw encoding."""

from __future__ import annotations

import secrets
import socket
import struct
from dataclasses import dataclass

from providers.fake.console.guest import Line
from providers.fake.console.keys import Keyboard
from providers.fake.console.terminal import HEIGHT, WIDTH, Terminal
from providers.fake.console.wire import TICK_S, received

INK, GROUND = (0xE0, 0xE0, 0xE0), (0x10, 0x14, 0x1C)
NO_SECURITY, VNC_SECURITY = 1, 2
#: What a client may paste; more ends the connection.
MOST_CUT_TEXT = 65536


class Ended(OSError):
    """The connection is over, or the client says what this server does not understand."""


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How the client wants pixels; only true colour is served."""

    bits: int = 32
    big_endian: bool = False
    maxima: tuple[int, int, int] = (255, 255, 255)
    shifts: tuple[int, int, int] = (16, 8, 0)

    LAYOUT = struct.Struct(">BBBBHHHBBB3x")

    @classmethod
    def read(cls, data: bytes) -> PixelFormat:
        bits, _, big, true_colour, *rest = cls.LAYOUT.unpack(data)
        if bits not in (8, 16, 32) or not true_colour:
            raise Ended("only true colour of 8, 16 or 32 bits is served")
        return cls(bits, bool(big), (rest[0], rest[1], rest[2]), (rest[3], rest[4], rest[5]))

    def packed(self) -> bytes:
        return self.LAYOUT.pack(self.bits, 24, int(self.big_endian), 1, *self.maxima, *self.shifts)

    def pixel(self, colour: tuple[int, int, int]) -> bytes:
        value = 0
        for part, most, shift in zip(colour, self.maxima, self.shifts, strict=True):
            value |= part * most // 255 << shift
        return (value & (1 << self.bits) - 1).to_bytes(self.bits // 8, "big" if self.big_endian else "little")


class Screen:
    """One client looking at a VM's screen."""

    def __init__(self, line: Line, sock: socket.socket, *, name: str, password: str = "") -> None:
        self.line = line
        self.sock = sock
        self.name = name
        self.password = password
        self.terminal = Terminal()
        self.keyboard = Keyboard()
        self.format = PixelFormat()
        self._buffer = b""
        self._wanted = False
        self._rows: set[int] = set()

    def serve(self) -> None:
        """Shake hands, then show and listen until the VM stops or the client goes."""
        self._tick()
        self._shake_hands()
        while self._tick():
            # What came together with the handshake is waiting already, so messages are handled before more is read.
            while self._message():
                pass
            if self._wanted and self._rows:
                self._send_rows()
            self._pull(TICK_S)

    def _tick(self) -> bool:
        text = self.line.tick()
        if text is None:
            return False
        self.terminal.write(text)
        self._rows |= set(self.terminal.take_changed())
        return True

    # -- the handshake ----------------------------------------------------------------------------------------------

    def _shake_hands(self) -> None:
        self.sock.sendall(b"RFB 003.008\n")
        version = self._need(12)
        if not version.startswith(b"RFB 003.") or version[8:11] not in (b"003", b"007", b"008"):
            raise Ended("not a version of the RFB protocol")
        minor = int(version[8:11])
        security = VNC_SECURITY if self.password else NO_SECURITY
        if minor == 3:
            self.sock.sendall(struct.pack(">I", security))
        else:
            self.sock.sendall(bytes([1, security]))
            if self._need(1)[0] != security:
                raise Ended("the client wants another kind of security")
        if security == VNC_SECURITY:
            self._ask_password(minor)
        elif minor == 8:
            self.sock.sendall(struct.pack(">I", 0))
        self._need(1)  # whether others may look too: they always may
        name = self.name.encode()
        self.sock.sendall(
            struct.pack(">HH", WIDTH, HEIGHT) + self.format.packed() + struct.pack(">I", len(name)) + name
        )

    def _ask_password(self, minor: int) -> None:
        challenge = secrets.token_bytes(16)
        self.sock.sendall(challenge)
        if secrets.compare_digest(self._need(16), encrypted(challenge, self.password)):
            self.sock.sendall(struct.pack(">I", 0))
            return
        reason = b"The password does not fit."
        self.sock.sendall(struct.pack(">I", 1) + (struct.pack(">I", len(reason)) + reason if minor == 8 else b""))
        raise Ended("wrong password")

    # -- messages ---------------------------------------------------------------------------------------------------

    def _message(self) -> bool:
        """Handle one complete message of the client; False when none is there."""
        data = self._buffer
        if not data:
            return False
        kind = data[0]
        lengths = {0: 20, 2: 4, 3: 10, 4: 8, 5: 6, 6: 8}
        if kind not in lengths:
            raise Ended(f"unknown message {kind}")
        length = lengths[kind]
        if len(data) < length:
            return False
        if kind == 2:
            length += 4 * struct.unpack_from(">H", data, 2)[0]
        elif kind == 6:
            length += struct.unpack_from(">I", data, 4)[0]
            if length > MOST_CUT_TEXT:
                raise Ended("too much was pasted")
        if len(data) < length:
            return False
        message, self._buffer = data[:length], data[length:]
        self._handle(kind, message)
        return True

    def _handle(self, kind: int, message: bytes) -> None:
        if kind == 0:
            self.format = PixelFormat.read(message[4:20])
            self._rows = set(range(len(self.terminal.rows)))
        elif kind == 3:
            self._wanted = True
            if not message[1]:
                self._rows = set(range(len(self.terminal.rows)))
        elif kind == 4:
            is_down, keysym = bool(message[1]), struct.unpack_from(">I", message, 4)[0]
            typed = self.keyboard.press(keysym) if is_down else self.keyboard.release(keysym)
            if typed is Keyboard.INTERRUPT:
                self.line.interrupt()
            else:
                self.line.type(typed)
        elif kind == 6:
            self.line.type(message[8:].decode("latin-1"))

    def _send_rows(self) -> None:
        rows, self._rows, self._wanted = sorted(self._rows), set(), False
        dot, ground = self.format.pixel(INK), self.format.pixel(GROUND)
        height = HEIGHT // len(self.terminal.rows)
        parts = [struct.pack(">BxH", 0, len(rows))]
        for row in rows:
            parts.append(struct.pack(">HHHHi", 0, row * height, WIDTH, height, 0))
            parts.append(self.terminal.draw(row, dot, ground))
        self.sock.sendall(b"".join(parts))

    # -- bytes ------------------------------------------------------------------------------------------------------

    def _pull(self, timeout_s: float) -> bool:
        data = received(self.sock, timeout_s)
        if data is None:
            raise Ended("the client has gone")
        self._buffer += data
        return bool(data)

    def _need(self, count: int) -> bytes:
        while len(self._buffer) < count:
            if not self._pull(TICK_S) and not self._tick():
                raise Ended("the VM has stopped")
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data


def encrypted(challenge: bytes, password: str) -> bytes:
    """VNC's answer to a challenge: DES with the password as key, each of its bytes turned round."""
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
    from cryptography.hazmat.primitives.ciphers import Cipher, modes

    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in password.encode("latin-1", "replace")[:8].ljust(8, b"\0"))
    # Single DES is three times DES with one key; the weak cipher is what the protocol prescribes.
    encryptor = Cipher(TripleDES(key * 3), modes.ECB()).encryptor()  # noqa: S305
    return encryptor.update(challenge) + encryptor.finalize()
