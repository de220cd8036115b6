"""What apps want done every few seconds: they register a function here, beat's tick calls it in a worker."""

from __future__ import annotations

from collections.abc import Callable

on_tick: list[Callable[[], None]] = []


def every_tick(work: Callable[[], None]) -> Callable[[], None]:
    """Register `work`; it must be quick: decide whether it is time and start jobs for the rest."""
    on_tick.append(work)
    return work
