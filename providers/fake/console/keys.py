"""X keysyms as they come from a VNC client, as the characters that a terminal gets."""

from __future__ import annotations

from typing import Final

_CONTROL, _ALT, _DELETE = (0xFFE3, 0xFFE4), (0xFFE9, 0xFFEA), 0xFFFF
_NAMED = {0xFF0D: "\r", 0xFF8D: "\r", 0xFF08: "\b", 0xFF09: "\t", 0xFF1B: "\x1b", 0xFFFF: "\x7f"}
_UNICODE = 0x01000000


class Keyboard:
    """Remembers which modifiers are held."""

    INTERRUPT: Final = "ctrl-alt-del"
    """Answer of `press` for Control, Alt and Delete together; longer than anything typed."""

    def __init__(self) -> None:
        self._held: set[int] = set()

    def press(self, keysym: int) -> str:
        """What is typed by pressing a key; empty for modifiers and keys without a character."""
        if keysym in (*_CONTROL, *_ALT):
            self._held.add(keysym)
            return ""
        is_control = bool(self._held.intersection(_CONTROL))
        if keysym == _DELETE and is_control and self._held.intersection(_ALT):
            return self.INTERRUPT
        character = _character(keysym)
        if is_control and len(character) == 1 and "@" <= character.upper() <= "_":
            return chr(ord(character.upper()) & 0x1F)
        return character

    def release(self, keysym: int) -> str:
        self._held.discard(keysym)
        return ""


def _character(keysym: int) -> str:
    if keysym in _NAMED:
        return _NAMED[keysym]
    if 0x20 <= keysym <= 0x7E or 0xA0 <= keysym <= 0xFF:
        return chr(keysym)
    if _UNICODE <= keysym <= _UNICODE + 0x10FFFF:
        return chr(keysym - _UNICODE)
    return ""
