"""Every kind that is found keeps every promise that it declares."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import pytest

from providers.base import Plugin
from providers.registry import plugins
from providers.testing import (
    Harness,
    Outcome,
    Promise,
    Unavailable,
    attempt,
    harness_module,
    harness_of,
    is_demanded,
    mode_of,
    promises_of,
)


@pytest.fixture(scope="session")
def harnesses() -> Iterator[dict[str, Harness | Unavailable]]:
    """Backends that were started for this process, and the ones that could not be."""
    started: dict[str, Harness | Unavailable] = {}
    yield started
    for harness in started.values():
        if isinstance(harness, Harness):
            harness.close()


def marks(plugin: Plugin) -> list[pytest.MarkDecorator]:
    """Promises to a hypervisor of this machine are `live`."""
    try:
        is_live = bool(getattr(import_module(harness_module(plugin)), "LIVE", False))
    except ImportError:
        is_live = False
    return [pytest.mark.live] if is_live else []


CASES = [
    pytest.param(plugin, promise, id=f"{kind}-{promise.id}", marks=marks(plugin))
    for kind, plugin in plugins().items()
    for promise in promises_of(plugin.declares)
]


@pytest.mark.parametrize(("plugin", "promise"), CASES)
def test_it_keeps_its_promise(plugin: Plugin, promise: Promise, harnesses: dict[str, Harness | Unavailable]) -> None:
    if plugin.kind not in harnesses:
        try:
            harnesses[plugin.kind] = harness_of(plugin, mode_of(plugin.kind))
        except Unavailable as exc:
            harnesses[plugin.kind] = exc
    harness = harnesses[plugin.kind]
    if isinstance(harness, Unavailable):
        if is_demanded(plugin.kind):
            pytest.fail(f"The backend of {plugin.kind} is not there: {harness}")
        pytest.skip(f"the backend of {plugin.kind} is not there: {harness}")
    result = attempt(promise, harness)
    if result.outcome is Outcome.SKIPPED:
        pytest.skip(result.why)
    if result.outcome is Outcome.GAP:
        pytest.xfail(result.why)
    if result.error is not None:
        raise result.error
    assert result.is_fine, result.why


@pytest.mark.parametrize("kind", plugins())
def test_gaps_are_promises_that_exist(kind: str, harnesses: dict[str, Harness | Unavailable]) -> None:
    harness = harnesses.get(kind)
    if isinstance(harness, Harness):
        unknown = set(harness.gaps) - {promise.id for promise in promises_of(plugins()[kind].declares)}
        assert not unknown, f"{kind} lists gaps that are no promises of it: {sorted(unknown)}"
