"""Promises: plain functions that try one sentence of the contract in a lab, and when they count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import cast

from providers.base import Capabilities
from providers.testing.harness import Harness
from providers.testing.lab import Lab


def always(subject: object) -> bool:
    del subject
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One sentence of the contract. Its name is the sentence; `group` is the file it stands in."""

    group: str
    name: str
    prove: Callable[[Lab], None]
    when: Callable[[Capabilities], object]
    """Truthy for capabilities that make the promise; absent features promise nothing."""
    given: Callable[[Harness], object]
    """Truthy when the harness brings what the proof needs."""

    @property
    def id(self) -> str:
        return f"{self.group}::{self.name}"

    def why_not(self, harness: Harness) -> str:
        """Why it cannot be tried on this backend, empty when it can."""
        if not self.when(harness.can):
            return "not among the probed capabilities"
        asked = _Asked(harness)
        if not self.given(cast(Harness, asked)):
            return f"the harness brings nothing to prove it with ({asked.last})"
        return ""


class _Asked:
    """A harness that remembers which of its fields was read last: the one that decided."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        self.last = ""

    def __getattr__(self, name: str) -> object:
        self.last = name
        return getattr(self._harness, name)


_known: dict[str, Promise] = {}


def promise(
    when: Callable[[Capabilities], object] = always, given: Callable[[Harness], object] = always
) -> Callable[[Callable[[Lab], None]], Callable[[Lab], None]]:
    """Register a function as a promise of the suite; it stays an ordinary function."""

    def register(prove: Callable[[Lab], None]) -> Callable[[Lab], None]:
        group = prove.__module__.rpartition(".")[2]
        made = Promise(group=group, name=prove.__name__, prove=prove, when=when, given=given)
        _known[made.id] = made
        return prove

    return register


@cache
def promises() -> Sequence[Promise]:
    """The whole suite, group by group in the order of their names."""
    package = import_module("providers.testing.conformance")
    for module in sorted(iter_modules(package.__path__), key=lambda module: module.name):
        import_module(f"{package.__name__}.{module.name}")
    return tuple(sorted(_known.values(), key=lambda each: each.group))


def promises_of(declared: Capabilities) -> Sequence[Promise]:
    """Those that a kind makes by what it declares."""
    return tuple(each for each in promises() if each.when(declared))
