"""The keyboard of a simulated VM: a US one. Strokes of Linux's key numbers become what a terminal gets."""

from __future__ import annotations

from collections.abc import Sequence

from providers.fake.console.keys import Keyboard

_CONTROL, _SHIFT, _ALT, _DELETE = {29, 97}, {42, 54}, {56, 100}, {83, 111}
_NAMED = {1: "\x1b", 14: "\b", 15: "\t", 28: "\r", 96: "\r", 57: " "}
#: The first key's number of each row, the row plain, and the row with Shift.
_ROWS = (
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
)
_PLAIN = {first + place: character for first, row, _ in _ROWS for place, character in enumerate(row)}
_SHIFTED = {first + place: character for first, _, row in _ROWS for place, character in enumerate(row)}


def typed_by(stroke: Sequence[int]) -> str:
    """What one stroke types; `Keyboard.INTERRUPT` for Control, Alt and Delete, empty for keys without a character."""
    held = set(stroke)
    if held & _CONTROL and held & _ALT and held & _DELETE:
        return Keyboard.INTERRUPT
    characters = _SHIFTED if held & _SHIFT else _PLAIN
    text = "".join(_NAMED.get(key) or characters.get(key, "") for key in stroke)
    if held & _CONTROL:
        return "".join(chr(ord(each.upper()) & 0x1F) for each in text if "@" <= each.upper() <= "_")
    return "" if held & _ALT else text
