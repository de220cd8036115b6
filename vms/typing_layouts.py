"""Keyboards that a text can be typed on: their names, and the tables in static/layouts that say which keys make which
characters. The tables are made from xkb-data by `python -m tools.keyboard_layouts`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """`name` is the table's; `xkb` and `variant` are what X calls it."""

    name: str
    label: str
    xkb: str
    variant: str = ""

    @property
    def table(self) -> str:
        """Where its table is among the static files."""
        return f"layouts/{self.name}.json"


#: In the order of the menu: the most usual one first, then by label.
LAYOUTS = (
    Layout("us", "English (US)", "us"),
    Layout("be", "Belgian", "be"),
    Layout("cz", "Czech", "cz"),
    Layout("dk", "Danish", "dk"),
    Layout("nl", "Dutch", "nl"),
    Layout("gb", "English (UK)", "gb"),
    Layout("fi", "Finnish", "fi"),
    Layout("fr", "French", "fr"),
    Layout("ca", "French (Canada)", "ca"),
    Layout("ch-fr", "French (Switzerland)", "ch", "fr"),
    Layout("de", "German", "de"),
    Layout("ch", "German (Switzerland)", "ch"),
    Layout("hu", "Hungarian", "hu"),
    Layout("it", "Italian", "it"),
    Layout("jp", "Japanese", "jp"),
    Layout("no", "Norwegian", "no"),
    Layout("pl", "Polish", "pl"),
    Layout("pt", "Portuguese", "pt"),
    Layout("pt-br", "Portuguese (Brazil)", "br"),
    Layout("ru", "Russian", "ru"),
    Layout("es", "Spanish", "es"),
    Layout("latam", "Spanish (Latin America)", "latam"),
    Layout("se", "Swedish", "se"),
    Layout("tr", "Turkish", "tr"),
)
