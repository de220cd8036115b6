"""Writes static/layouts/*.json: for each keyboard layout which keys make which characters, from xkb-data.

Needs the packages libxkbcommon0 and xkb-data; run it when a layout is added. A table maps a character to pairs of a key
(its number in Linux, KEY_… of input-event-codes.h, which is also libvirt's code set "linux") and what is held with it
(1: Shift, 2: AltGr, 3: both). Several pairs are pressed one after the other: an accent's dead key, then the letter.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vms.typing_layouts import LAYOUTS, Layout

FOLDER = Path(__file__).parents[1] / "static" / "layouts"

#: X counts keys from 8, Linux from 0.
X_OFFSET = 8
#: Keys that characters are looked for on: the letter block with its neighbours, and the extra keys of Europe, Japan and
#: Brazil. What keypads and media keys make is made by these too.
CODES = (*range(2, 14), *range(16, 28), *range(30, 42), *range(43, 54), 57, 86, 89, 124)
RIGHT_ALT = 100
BESIDE_SHIFT = 86
SHIFT, ALTGR = 1, 2
_LEVEL3 = 0xFE03
_SPACE = (57, 0)

#: Dead keys, by the combining mark that they put on the next letter.
DEAD_MARKS = {
    "dead_grave": "\u0300",
    "dead_acute": "\u0301",
    "dead_circumflex": "\u0302",
    "dead_tilde": "\u0303",
    "dead_macron": "\u0304",
    "dead_breve": "\u0306",
    "dead_abovedot": "\u0307",
    "dead_diaeresis": "\u0308",
    "dead_abovering": "\u030a",
    "dead_doubleacute": "\u030b",
    "dead_caron": "\u030c",
    "dead_cedilla": "\u0327",
    "dead_ogonek": "\u0328",
}
#: … and the character that they make together with the space bar.
DEAD_ALONE = {
    "dead_grave": "`",
    "dead_acute": "'",
    "dead_circumflex": "^",
    "dead_tilde": "~",
    "dead_diaeresis": '"',
    "dead_cedilla": "\u00b8",
}


class Names(ctypes.Structure):
    """xkb_rule_names of xkbcommon.h."""

    _fields_ = [(name, ctypes.c_char_p) for name in ("rules", "model", "layout", "variant", "options")]


class Keymap:
    """One compiled keymap, asked key by key and level by level."""

    def __init__(self, layout: Layout) -> None:
        self._lib: Any = ctypes.CDLL(ctypes.util.find_library("xkbcommon") or "libxkbcommon.so.0")
        pointer = ctypes.c_void_p
        for name in ("xkb_context_new", "xkb_keymap_new_from_names"):
            getattr(self._lib, name).restype = pointer
        context = pointer(self._lib.xkb_context_new(0))
        names = Names(b"evdev", b"pc105", layout.xkb.encode(), layout.variant.encode() or None, None)
        found = self._lib.xkb_keymap_new_from_names(context, ctypes.byref(names), 0)
        if not found:
            raise SystemExit(f"xkb-data has no layout {layout.xkb} {layout.variant}")
        self._map = pointer(found)
        self._lib.xkb_keymap_mod_get_index.restype = ctypes.c_uint32
        self._shift = 1 << self._lib.xkb_keymap_mod_get_index(self._map, b"Shift")
        self._level3 = 1 << self._lib.xkb_keymap_mod_get_index(self._map, b"Mod5")

    def symbols(self, code: int) -> Iterator[tuple[int, int]]:
        """(held, keysym) of each level that Shift and AltGr reach, the plainest first."""
        key = code + X_OFFSET
        for level in range(self._lib.xkb_keymap_num_levels_for_key(self._map, key, 0)):
            held = self._held(key, level)
            syms = ctypes.POINTER(ctypes.c_uint32)()
            count = self._lib.xkb_keymap_key_get_syms_by_level(self._map, key, 0, level, ctypes.byref(syms))
            if held is not None and count == 1:
                yield held, int(syms[0])

    def _held(self, key: int, level: int) -> int | None:
        masks = (ctypes.c_uint32 * 16)()
        count = self._lib.xkb_keymap_key_get_mods_for_level(self._map, key, 0, level, masks, 16)
        ways = (mask for mask in masks[:count] if not mask & ~(self._shift | self._level3))
        return min(
            ((SHIFT if mask & self._shift else 0) | (ALTGR if mask & self._level3 else 0) for mask in ways),
            default=None,
        )

    def character(self, keysym: int) -> str:
        point = self._lib.xkb_keysym_to_utf32(keysym)
        return chr(point) if point >= 0x20 and point != 0x7F else ""

    def name(self, keysym: int) -> str:
        text = ctypes.create_string_buffer(64)
        self._lib.xkb_keysym_get_name(keysym, text, 64)
        return text.value.decode()


def cost(code: int, held: int, plain: str) -> int:
    """What speaks against typing a character so; `plain` is what the key types alone.

    The key beside the left Shift is not on every keyboard and means other things to other systems. AltGr with an ASCII
    letter is where X puts symbols for everybody; a layout's own place for them is printed on the keys.
    """
    against = {0: 0, SHIFT: 2, ALTGR: 6, SHIFT | ALTGR: 8}[held]
    if code == BESIDE_SHIFT:
        against += 3
    if held & ALTGR and plain.isascii() and plain.isalpha():
        against += 1
    return against


def table(layout: Layout) -> dict[str, list[int]]:
    """Character → keys: the cheapest single key, else an accent's dead key and a letter."""
    keymap = Keymap(layout)
    has_altgr = any(keysym == _LEVEL3 for _, keysym in keymap.symbols(RIGHT_ALT))
    found: dict[str, list[tuple[int, int, int]]] = {}
    dead: dict[str, list[tuple[int, int, int]]] = {}
    for code in CODES:
        plain = ""
        for held, keysym in keymap.symbols(code):
            if held & ALTGR and not has_altgr:
                continue
            character = keymap.character(keysym)
            plain = plain or character
            way = (cost(code, held, plain), code, held)
            if (name := keymap.name(keysym)) in DEAD_MARKS:
                dead.setdefault(name, []).append(way)
            elif character:
                found.setdefault(character, []).append(way)
    single = {character: list(min(ways)[1:]) for character, ways in found.items()}
    made = {**single, " ": list(_SPACE)}
    for name, ways in dead.items():
        stroke = min(ways)[1:]
        for letter, keys in single.items():
            whole = unicodedata.normalize("NFC", letter + DEAD_MARKS[name])
            if letter.isalpha() and len(whole) == 1:
                made.setdefault(whole, [*stroke, *keys])
        if alone := DEAD_ALONE.get(name):
            made.setdefault(alone, [*stroke, *_SPACE])
    return dict(sorted(made.items()))


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for layout in LAYOUTS:
        lines = [f"{json.dumps(character)}: {json.dumps(keys)}" for character, keys in table(layout).items()]
        (FOLDER / f"{layout.name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
