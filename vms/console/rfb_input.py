"""What a browser may send to a screen: everything while it drives, only what is needed for looking while it watches.

Nothing here reads or writes a socket: bytes go in, bytes come out. Messages are always told apart, also while all of
them are let through, so that the keyboard can change hands between any two of them.
"""

from __future__ import annotations

import struct

from vms.console.closing import Code, Refused

SET_PIXEL_FORMAT, SET_ENCODINGS, UPDATE_REQUEST, KEY, POINTER, CUT_TEXT = 0, 2, 3, 4, 5, 6
CONTINUOUS_UPDATES, FENCE, POWER, DESKTOP_SIZE, QEMU = 150, 248, 250, 251, 255
INPUT = {KEY, POINTER, CUT_TEXT, POWER, DESKTOP_SIZE, QEMU}
_FIXED = {SET_PIXEL_FORMAT: 20, UPDATE_REQUEST: 10, KEY: 8, POINTER: 6, CONTINUOUS_UPDATES: 10, POWER: 4}
#: With this encoding agreed, pointer messages may be a byte longer; nobody here needs more mouse buttons.
_EXTENDED_BUTTONS = -316
#: No message is longer than this, except the clipboard, which is passed on or dropped as it comes.
_LONGEST = 4 * 1024
#: More keys than this are not held down by hands.
_MOST_HELD = 64


class Input:
    """The messages of one browser, beginning with ClientInit.

    A message it does not know ends the console: its length is unknown, so nothing behind it could be told apart.
    """

    __slots__ = ("_buffer", "_has_begun", "_held", "_pointer", "_rest", "_rest_passes", "_ups", "drives")

    def __init__(self, *, drives: bool) -> None:
        self.drives = drives
        self._buffer = b""
        #: Of a long message what is still to come, and whether it goes on to the machine.
        self._rest, self._rest_passes = 0, False
        self._has_begun = False
        #: Of each key that is down the message that lets it up; dicts keep the order.
        self._held: dict[bytes, bytes] = {}
        self._pointer = b""
        #: What lets keys up, waiting for the end of a long message.
        self._ups = b""

    def feed(self, data: bytes | memoryview) -> bytes:
        """What goes on to the machine. Raises Refused."""
        if self._is_one_stroke(data):
            message = bytes(data)
            if self.drives:
                self._remember(message[0], message)
                return message
            return b""
        buffer = self._buffer + bytes(data) if self._buffer else bytes(data)
        passed: list[bytes] = []
        position = 0
        if not self._has_begun and buffer:
            position, self._has_begun = 1, True
            # Shared, whatever the browser says: nobody throws the others out.
            passed.append(b"\x01")
        while position < len(buffer):
            if self._rest:
                part = buffer[position : position + self._rest]
                self._rest -= len(part)
                position += len(part)
                if self._rest_passes:
                    passed.append(part)
                if not self._rest and self._ups:
                    passed.append(self._ups)
                    self._ups = b""
                continue
            length = _length(buffer, position)
            if length is None:
                break
            kind = buffer[position]
            if kind == CUT_TEXT:
                self._rest, self._rest_passes = length, self.drives
                continue
            if length > _LONGEST:
                raise Refused(Code.PROTOCOL_ERROR)
            if len(buffer) - position < length:
                break
            message = buffer[position : position + length]
            position += length
            if kind == SET_ENCODINGS:
                passed.append(_without_extended_buttons(message))
            elif kind not in INPUT:
                passed.append(message)
            elif self.drives:
                self._remember(kind, message)
                passed.append(message)
        self._buffer = buffer[position:]
        return b"".join(passed)

    def _is_one_stroke(self, data: bytes | memoryview) -> bool:
        """One whole message of keyboard or mouse and nothing around it, as a browser sends what a person does."""
        if self._rest or self._buffer or not self._has_begun or not data:
            return False
        kind = data[0]
        return kind in {KEY, POINTER} and len(data) == _FIXED[kind]

    def let_go(self) -> bytes:
        """Stop driving: the messages that let up what is still held down; nobody else would ever do it."""
        self.drives = False
        ups = list(self._held.values())
        if self._pointer and self._pointer[1]:
            ups.append(bytes([POINTER, 0]) + self._pointer[2:])
        self._held.clear()
        self._pointer = b""
        if self._rest and self._rest_passes:
            self._ups = b"".join(ups)
            return b""
        return b"".join(ups)

    def _remember(self, kind: int, message: bytes) -> None:
        if kind == POINTER:
            self._pointer = message
        elif kind == KEY:
            self._hold(message[4:], bool(message[1]), bytes([KEY, 0]) + message[2:])
        elif kind == QEMU and message[1] == 0:
            self._hold(message[4:], message[2:4] != b"\0\0", message[:2] + b"\0\0" + message[4:])

    def _hold(self, key: bytes, is_down: bool, up: bytes) -> None:
        if not is_down:
            self._held.pop(key, None)
        elif len(self._held) < _MOST_HELD:
            self._held[key] = up


def _length(buffer: bytes, position: int) -> int | None:
    """How long the message is that begins there, None while that cannot be told. Raises Refused."""
    kind, there = buffer[position], len(buffer) - position
    length: int | None = _FIXED.get(kind)
    if length is not None:
        return length
    if kind == SET_ENCODINGS:
        return 4 + 4 * int.from_bytes(buffer[position + 2 : position + 4], "big") if there >= 4 else None
    if kind == CUT_TEXT:
        # A negative length announces the extended form.
        return 8 + abs(struct.unpack_from(">i", buffer, position + 4)[0]) if there >= 8 else None
    if kind == FENCE:
        return 9 + buffer[position + 8] if there >= 9 else None
    if kind == DESKTOP_SIZE:
        return 8 + 16 * buffer[position + 6] if there >= 7 else None
    if kind == QEMU:
        return _qemu_length(buffer, position) if there >= 4 else None
    raise Refused(Code.PROTOCOL_ERROR, "The browser sent something that the portal does not know of screens.")


def _qemu_length(buffer: bytes, position: int) -> int:
    match buffer[position + 1], struct.unpack_from(">H", buffer, position + 2)[0]:
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
