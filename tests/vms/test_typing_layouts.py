"""Tables of keyboards: what every German, French or Japanese finger knows, written down independently of xkb-data."""

from __future__ import annotations

import json
import shutil
import string
import struct
import subprocess
from pathlib import Path

import pytest

from providers.base import checked_strokes
from providers.fake.console.keyboard import typed_by
from vms.typing_layouts import LAYOUTS

FOLDER = Path(__file__).parents[2] / "static" / "layouts"
SHIFT, ALTGR = 1, 2


def table(name: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


def strokes(keys: list[int]) -> list[list[int]]:
    """As the page sends them: what is held first, then the key."""
    return [
        [*([42] if held & SHIFT else []), *([100] if held & ALTGR else []), key]
        for key, held in zip(keys[::2], keys[1::2], strict=True)
    ]


@pytest.mark.parametrize(
    ("layout", "character", "keys"),
    [
        ("us", "@", [3, SHIFT]),
        ("us", "\\", [43, 0]),
        ("gb", "@", [40, SHIFT]),
        ("gb", "£", [4, SHIFT]),
        ("gb", "#", [43, 0]),
        ("de", "z", [21, 0]),
        ("de", "@", [16, ALTGR]),
        ("de", "{", [8, ALTGR]),
        ("de", "|", [86, ALTGR]),
        ("de", "^", [41, 0, 57, 0]),
        ("de", "ß", [12, 0]),
        ("fr", "a", [16, 0]),
        ("fr", "1", [2, SHIFT]),
        ("fr", "@", [11, ALTGR]),
        ("es", "ñ", [39, 0]),
        ("es", "á", [40, 0, 30, 0]),
        ("it", "è", [26, 0]),
        ("it", "@", [39, ALTGR]),
        ("pt-br", "/", [89, 0]),
        ("pt-br", "ç", [39, 0]),
        ("jp", "_", [89, SHIFT]),
        ("jp", "|", [124, SHIFT]),
        ("jp", "@", [26, 0]),
        ("ru", "й", [16, 0]),
        ("ru", "Я", [44, SHIFT]),
        ("ch", "ü", [26, 0]),
    ],
)
def test_a_layout_has_its_characters_where_they_are(layout: str, character: str, keys: list[int]) -> None:
    assert table(layout)[character] == keys


@pytest.mark.parametrize("layout", [layout.name for layout in LAYOUTS])
def test_every_layout_has_a_table_that_a_keyboard_can_type(layout: str) -> None:
    keys = table(layout)
    assert set(string.digits + " .-") <= set(keys)
    for pairs in keys.values():
        assert checked_strokes(strokes(pairs), 20)


def test_all_latin_layouts_type_every_ascii_character() -> None:
    for layout in LAYOUTS:
        missing = {chr(point) for point in range(32, 127)} - set(table(layout.name))
        assert not missing or layout.name == "ru", (layout.name, missing)


def test_the_american_table_and_the_simulated_keyboard_agree() -> None:
    for character, keys in table("us").items():
        assert "".join(typed_by(stroke) for stroke in strokes(keys)) == character


def test_there_is_no_table_that_no_menu_offers() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {layout.name for layout in LAYOUTS}


def typed_at(keymap: str, charset: str, first: int) -> dict[tuple[int, int], str]:
    """What Linux's text console writes for a key and what is held, by a keymap of Debian's console-data.

    As busybox loads it: which of 256 tables there are, and of each 128 keys (loadkeys -b; linux/keyboard.h). `first`
    is the table without Shift: 0, or where the keymap has its second alphabet.
    """
    told = subprocess.run(["loadkeys", "-b", "-q", keymap], check=True, capture_output=True, timeout=20).stdout
    assert told.startswith(b"bkeymap")
    numbers = [number for number, there in enumerate(told[7:263]) if there]
    tables = dict(zip(numbers, struct.iter_unpack("<128H", told[263:]), strict=True))
    letters = {0, 11}
    return {
        (key, held): bytes([value & 0xFF]).decode(charset, "replace")
        for held in (0, SHIFT, ALTGR)
        for key, value in enumerate(tables.get(first + held, ()))
        if value >> 8 in letters
    }


@pytest.mark.skipif(
    shutil.which("loadkeys") is None or not Path("/usr/share/keymaps").is_dir(),
    reason="loadkeys and the keymaps of console-data are not installed",
)
@pytest.mark.parametrize(
    ("layout", "keymap", "otherwise"),
    [
        ("us", "us", ""),
        ("gb", "uk", ""),
        # Where the two sources differ it is in a dead key, or in AltGr keys that are on no cap.
        ("de", "de-latin1", "~^`"),
        ("fr", "fr-latin9", "~`"),
        ("es", "es", "^`"),
        ("it", "it", "[]{}~"),
        ("pt-br", "br-abnt2", "^`~"),
        ("jp", "jp106", ""),
        ("ru", "ru-ms", ""),
    ],
)
def test_a_text_console_with_that_keyboard_writes_what_is_typed(layout: str, keymap: str, otherwise: str) -> None:
    """A second source that knows nothing of xkb-data: the keymaps with which Debian's text consoles are set up."""
    is_russian = layout == "ru"
    console = typed_at(keymap, "koi8-r" if is_russian else "latin-1", ALTGR if is_russian else 0)
    wanted = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя" if is_russian else string.printable[:95]
    wanted += wanted.upper() if is_russian else ""
    for character in set(wanted) - set(otherwise):
        key, held = table(layout)[character]
        assert console.get((key, held)) == character, (character, key, held)
