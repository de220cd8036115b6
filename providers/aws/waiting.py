"""Waiting for AWS, which answers first and works then: with a deadline, and open to being cancelled."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from providers.base import QUIET, Progress, TimedOut

T = TypeVar("T")

FIRST_S, MOST_S = 0.15, 5.0


def wait_for(look: Callable[[], T | None], what: str, *, timeout_s: float, progress: Progress = QUIET) -> T:
    """Ask until there is an answer, more and more seldom; raises TimedOut with what did not come, and Cancelled."""
    end, pause = time.monotonic() + timeout_s, FIRST_S
    while True:
        found = look()
        if found is not None:
            return found
        progress.checkpoint()
        if time.monotonic() >= end:
            raise TimedOut(f"{what} took longer than {timeout_s:.0f} seconds.")
        time.sleep(min(pause, max(0.0, end - time.monotonic())))
        pause = min(pause * 1.6, MOST_S)
