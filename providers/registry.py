"""Which kinds of provider there are: the folders beside this file, then packages that announce themselves.

A kind is a folder with `plugin.py` holding `PLUGIN`, or an entry point of the group `kvweb.providers` that leads to a
`Plugin`. Finding them imports manifests only, never an SDK, and happens once per process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType

from providers.base import NotFound, Plugin

ENTRY_POINT_GROUP = "kvweb.providers"
_HERE = Path(__file__).parent


class UnknownKind(NotFound):
    """Asked for a kind that is not installed, or that is broken; the reason says which and why."""

    code = "unknown_kind"


def plugins() -> Mapping[str, Plugin]:
    """Every kind that can be used, by its name, in alphabetical order."""
    return _found()[0]


def broken() -> Mapping[str, str]:
    """Kinds that were found but cannot be used, with the reason as one line for the administrator."""
    return _found()[1]


def plugin(kind: str) -> Plugin:
    """The plugin of a kind, by its name or an alias; raises UnknownKind with a sentence that lists what there is."""
    known = plugins()
    if kind in known:
        return known[kind]
    for candidate in known.values():
        if kind in candidate.aliases:
            return candidate
    if kind in broken():
        raise UnknownKind(f"The provider kind “{kind}” cannot be used: {broken()[kind]}")
    raise UnknownKind(f"There is no provider kind “{kind}”; known are {', '.join(known) or 'none'}.")


def forget() -> None:
    """Look again at the next question; for tests and for a process that has just installed a package."""
    _found.cache_clear()


@cache
def _found() -> tuple[Mapping[str, Plugin], Mapping[str, str]]:
    good: dict[str, Plugin] = {}
    bad: dict[str, str] = {}
    for name, load in _candidates():
        if name in good:
            bad[name] = "Its name is taken by a kind that comes with kvweb."
            continue
        try:
            good[name] = _checked(name, load())
        except Exception as exc:
            # A stranger's package may raise anything, and must not take the portal down.
            bad[name] = f"{type(exc).__name__}: {exc}"
    return MappingProxyType(dict(sorted(good.items()))), MappingProxyType(dict(sorted(bad.items())))


def _candidates() -> Iterator[tuple[str, _Load]]:
    for manifest in sorted(_HERE.glob("*/plugin.py")):
        yield manifest.parent.name, _Load(f"providers.{manifest.parent.name}.plugin", "PLUGIN")
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: point.name):
        module, _, attribute = point.value.partition(":")
        yield point.name, _Load(module, attribute or "PLUGIN")


class _Load:
    """Where a plugin is, to be imported when called."""

    def __init__(self, module: str, attribute: str) -> None:
        self.module = module
        self.attribute = attribute

    def __call__(self) -> object:
        return getattr(import_module(self.module), self.attribute)


def _checked(name: str, found: object) -> Plugin:
    if not isinstance(found, Plugin):
        raise TypeError(f"PLUGIN is a {type(found).__name__}, not a Plugin.")
    if found.kind != name:
        raise ValueError(f"It calls itself “{found.kind}” but is registered as “{name}”.")
    return found
