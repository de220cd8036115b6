"""How a liar is made: methods of the simulated cloud are replaced by others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from providers.fake.driver import FakeDriver

Lie = Callable[[FakeDriver], None]


def bend(part: object, **methods: Callable[..., Any]) -> None:
    """Put other methods in the place of a facet's own."""
    for name, method in methods.items():
        setattr(part, name, method)


# -- about what it can --------------------------------------------------------------------------------------------
