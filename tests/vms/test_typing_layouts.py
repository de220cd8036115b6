"""Tables of keyboards: what every German, French or Japanese finger knows, written down independently of xkb-data."""

from __future__ import annotations

import json
import string
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
