"""Running the suite: find a kind's harness, try promises on it, say how each went. Knows no test framework."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from importlib.util import find_spec

from providers.base import Plugin
from providers.testing.harness import Harness, Unavailable
from providers.testing.lab import Lab
from providers.testing.promises import Promise


class Outcome(StrEnum):
    KEPT = "kept"
    BROKEN = "broken"
    #: Not promised here, or nothing to prove it with.
    SKIPPED = "skipped"
    #: Known to be broken, and is.
    GAP = "gap"
    #: Known to be broken, but holds: the gap must be taken off the list.
    GAP_CLOSED = "gap closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    promise: Promise
    outcome: Outcome
    why: str = ""
    error: BaseException | None = None

    @property
    def is_fine(self) -> bool:
        return self.outcome not in (Outcome.BROKEN, Outcome.GAP_CLOSED)


def attempt(promise: Promise, harness: Harness) -> Result:
    """Try one promise; never raises for what the driver does."""
    reason = promise.why_not(harness)
    if reason:
        return Result(promise=promise, outcome=Outcome.SKIPPED, why=reason)
    gap = harness.gaps.get(promise.id, "")
    try:
        with Lab(harness) as lab:
            promise.prove(lab)
    except Exception as exc:
        why = f"{type(exc).__name__}: {exc}"
        return Result(promise=promise, outcome=Outcome.GAP if gap else Outcome.BROKEN, why=gap or why, error=exc)
    if gap:
        return Result(promise=promise, outcome=Outcome.GAP_CLOSED, why=f"It holds now; take it off the gaps ({gap}).")
    return Result(promise=promise, outcome=Outcome.KEPT)


def run(harness: Harness, suite: Iterable[Promise]) -> list[Result]:
    """Try all of these, each in a lab of its own."""
    return [attempt(each, harness) for each in suite]


def harness_module(plugin: Plugin) -> str:
    """Name of the module beside the kind's driver that offers its harness."""
    return f"{plugin.driver.partition(':')[0].rpartition('.')[0]}.testing"


def harness_of(plugin: Plugin, mode: str = "offline") -> Harness:
    """Call the kind's own `harness(mode)`; raises Unavailable when it has none or its backend is not there."""
    name = harness_module(plugin)
    try:
        if find_spec(name) is None:
            raise Unavailable(f"{name} does not exist.")
        make: Callable[[str], Harness] = import_module(name).harness
    except ImportError as exc:
        raise Unavailable(f"{name} cannot be imported: {exc}") from exc
    return make(mode)


def is_demanded(kind: str) -> bool:
    """Whether a missing backend is a failure: always on a CI machine, elsewhere for the kinds in KVWEB_LIVE."""
    named = os.environ.get("KVWEB_LIVE", "").replace(",", " ").split()
    is_ci = any(os.environ.get(name, "").lower() in ("1", "true", "yes") for name in ("CI", "KVWEB_CI"))
    return is_ci or kind in named


def mode_of(kind: str) -> str:
    """ "live" for the kinds in KVWEB_LIVE, else "offline"."""
    return "live" if kind in os.environ.get("KVWEB_LIVE", "").replace(",", " ").split() else "offline"
