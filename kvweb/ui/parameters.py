"""Reading what an address or a form asks for, where anybody may have typed anything."""

from __future__ import annotations

#: No number of a database has more.
MOST_DIGITS = 18


def whole_number(text: str, otherwise: int) -> int:
    """The number that `text` says in plain digits; `otherwise` for anything else."""
    # “²” is a digit to Python, and no number.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else otherwise
