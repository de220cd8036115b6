"""Waiting for what another process does: asked again and again, and never without an end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(
    what: Callable[[], Any], *, timeout_s: float, said: str, every_s: float = 0.2, explain: Callable[[], str] = str
) -> Any:
    """Ask until the answer is true; fails with a sentence, and what `explain` adds, when it does not come in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = what()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{said} did not happen within {timeout_s:g} s\n{explain()}")
        time.sleep(every_s)
