"""The simulated vendor's own exception, and how it becomes one of ours."""

from __future__ import annotations

import sqlite3

from providers.base import ProviderError, Unreachable


class VendorError(Exception):
    """What the simulated vendor raises when something happens that no table knows."""


def translate(exc: Exception) -> ProviderError | None:
    """The cloud's file cannot be opened or is locked for good: unreachable. The rest is unknown."""
    if isinstance(exc, sqlite3.Error | OSError):
        return Unreachable("The simulated cloud's file cannot be used.", detail=f"{type(exc).__name__}: {exc}")
    return None
