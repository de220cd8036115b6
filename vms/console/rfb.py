"""The little of RFB that the proxy must understand: opening a protected screen, and what a viewer may send.

Nothing here reads or writes a socket: bytes go in, bytes come out.
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import Literal

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

from vms.console.closing import Code, Refused

NO_AUTHENTICATION, VNC_AUTHENTICATION = 1, 2
_NEWEST = b"RFB 003.008\n"
_VERSIONS = {b"RFB 003.003\n", b"RFB 003.007\n", _NEWEST}

Side = Literal["machine", "browser"]
#: "Give me so many bytes from this side."
Want = tuple[Side, int]


def answer_to(challenge: bytes, password: str) -> bytes:
    """The answer of VNC authentication: DES whose key has the bits of each byte in reverse, as the protocol has it."""
    key = password.encode("latin-1", "replace")[:8].ljust(8, b"\0")
    reversed_key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in key)
    # Three times the same key makes triple DES the single one, which libraries do not offer any more.
    encryptor = Cipher(TripleDES(reversed_key * 3), modes.ECB()).encryptor()  # noqa: S305 - the protocol's choice
    return encryptor.update(challenge) + encryptor.finalize()


class Gate:
    """Opens the machine's screen with its password, and then the browser's side without one.

    So the password never leaves the portal. When `is_open`, both sides stand before ClientInit.
    """

    def __init__(self, password: str) -> None:
        self.to_machine, self.to_browser = bytearray(), bytearray()
        self.is_open = False
        self._password = password
        self._waiting: dict[Side, bytearray] = {"machine": bytearray(), "browser": bytearray()}
        self._steps = self._negotiate()
        self._want: Want = next(self._steps)

    def feed(self, side: Side, data: bytes | memoryview) -> None:
        """Bytes from one side; raises Refused when the screen does not open."""
        self._waiting[side] += data
        while not self.is_open:
            wanted_side, count = self._want
            buffer = self._waiting[wanted_side]
            if len(buffer) < count:
                return
            part = bytes(buffer[:count])
            del buffer[:count]
            try:
                self._want = self._steps.send(part)
            except StopIteration:
                self.is_open = True

    def rest(self, side: Side) -> bytes:
        """What came behind the negotiation."""
        rest = bytes(self._waiting[side])
        self._waiting[side].clear()
        return rest

    def _negotiate(self) -> Generator[Want, bytes, None]:
        version = yield ("machine", 12)
        if not version.startswith(b"RFB "):
            raise Refused(Code.PROVIDER, "The machine's screen does not speak RFB.")
        # Servers that name a version of their own are to be taken for the next one below.
        ours = version if version in _VERSIONS else (_NEWEST if version > _NEWEST else b"RFB 003.003\n")
        self.to_machine += ours
        if ours == b"RFB 003.003\n":
            (chosen,) = struct.unpack(">I", (yield ("machine", 4)))
        else:
            (count,) = yield ("machine", 1)
            offered = (yield ("machine", count)) if count else b""
            wanted = VNC_AUTHENTICATION if self._password else NO_AUTHENTICATION
            chosen = next((kind for kind in (wanted, NO_AUTHENTICATION) if kind in offered), 0)
            if chosen:
                self.to_machine.append(chosen)
        if chosen == VNC_AUTHENTICATION:
            self.to_machine += answer_to((yield ("machine", 16)), self._password)
        elif chosen != NO_AUTHENTICATION:
            raise Refused(Code.PROVIDER, "The machine's screen asks for a sign-in that the portal does not know.")
        if chosen == VNC_AUTHENTICATION or ours == _NEWEST:
            (result,) = struct.unpack(">I", (yield ("machine", 4)))
            if result:
                raise Refused(Code.PROVIDER, "The machine's screen refused the portal's password.")
        yield from self._welcome_browser()

    def _welcome_browser(self) -> Generator[Want, bytes, None]:
        self.to_browser += _NEWEST
        version = yield ("browser", 12)
        if version == b"RFB 003.003\n":
            self.to_browser += struct.pack(">I", NO_AUTHENTICATION)
            return
        self.to_browser += bytes([1, NO_AUTHENTICATION])
        (chosen,) = yield ("browser", 1)
        if chosen != NO_AUTHENTICATION:
            raise Refused(Code.PROTOCOL_ERROR)
        if version != b"RFB 003.007\n":
            self.to_browser += struct.pack(">I", 0)


SET_PIXEL_FORMAT, SET_ENCODINGS, UPDATE_REQUEST, KEY, POINTER, CUT_TEXT = 0, 2, 3, 4, 5, 6
CONTINUOUS_UPDATES, FENCE, POWER, DESKTOP_SIZE, QEMU = 150, 248, 250, 251, 255
INPUT = {KEY, POINTER, CUT_TEXT, POWER, DESKTOP_SIZE, QEMU}
_FIXED = {SET_PIXEL_FORMAT: 20, UPDATE_REQUEST: 10, KEY: 8, POINTER: 6, CONTINUOUS_UPDATES: 10, POWER: 4}
#: With this encoding agreed, pointer messages may be a byte longer; a viewer needs no more mouse buttons.
_EXTENDED_BUTTONS = -316
#: No message that a viewer sends is longer than this, except the clipboard, which is not kept while it is dropped.
_LONGEST = 4 * 1024


class ViewOnly:
    """Lets a browser's messages through that only look, drops keys, mouse, clipboard, resizing and power.

    Begins with ClientInit. A message it does not know ends the console: its length is unknown, so nothing behind it
    could be told apart.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._dropping = 0
        self._has_begun = False

    def feed(self, data: bytes) -> bytes:
        """What may go on to the machine. Raises Refused."""
        if self._dropping:
            dropped = min(self._dropping, len(data))
            self._dropping -= dropped
            data = data[dropped:]
        self._buffer += data
        passed = bytearray()
        if not self._has_begun and self._buffer:
            del self._buffer[:1]
            # Shared, whatever the browser says: a viewer must not throw the others out.
            passed.append(1)
            self._has_begun = True
        while self._buffer:
            length = self._length()
            if length is None:
                break
            kind = self._buffer[0]
            if kind in INPUT:
                self._dropping = max(0, length - len(self._buffer))
                del self._buffer[:length]
                continue
            if len(self._buffer) < length:
                break
            message = bytes(self._buffer[:length])
            del self._buffer[:length]
            passed += _without_extended_buttons(message) if kind == SET_ENCODINGS else message
        return bytes(passed)

    def _length(self) -> int | None:
        """How long the first message is, None while that cannot be told."""
        buffer, kind = self._buffer, self._buffer[0]
        length: int | None = _FIXED.get(kind)
        if kind == SET_ENCODINGS:
            length = 4 + 4 * struct.unpack_from(">H", buffer, 2)[0] if len(buffer) >= 4 else None
        elif kind == CUT_TEXT:
            # A negative length announces the extended form.
            length = 8 + abs(struct.unpack_from(">i", buffer, 4)[0]) if len(buffer) >= 8 else None
        elif kind == FENCE:
            length = 9 + buffer[8] if len(buffer) >= 9 else None
        elif kind == DESKTOP_SIZE:
            length = 8 + 16 * buffer[6] if len(buffer) >= 7 else None
        elif kind == QEMU:
            length = self._qemu_length()
        elif length is None:
            raise Refused(Code.PROTOCOL_ERROR, "This console may only be watched, and the browser sent more than that.")
        if length is not None and length > _LONGEST and kind not in INPUT:
            raise Refused(Code.PROTOCOL_ERROR)
        return length

    def _qemu_length(self) -> int | None:
        if len(self._buffer) < 4:
            return None
        match self._buffer[1], struct.unpack_from(">H", self._buffer, 2)[0]:
            case 0, _:
                return 12
            case 1, 0 | 1:
                return 4
            case 1, 2:
                return 10
        raise Refused(Code.PROTOCOL_ERROR)


def _without_extended_buttons(message: bytes) -> bytes:
    count = struct.unpack_from(">H", message, 2)[0]
    encodings = [each for each in struct.unpack_from(f">{count}i", message, 4) if each != _EXTENDED_BUTTONS]
    return struct.pack(f">BBH{len(encodings)}i", SET_ENCODINGS, 0, len(encodings), *encodings)
