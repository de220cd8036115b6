"""How the tests are spread over processes: a file stays together, and what takes longest is begun first.

A module's fixture may be a daemon that is dear to start, so the tests of a file share a process; the conformance suite
is one file with a backend for each kind, and is spread by kind. A long file that is begun last leaves the other
processors idle.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

SECONDS = Path(__file__).parent / "budgets" / "seconds.json"
"""What the longest groups took on two processors; nothing but the order of the tests follows from it."""

USUAL_S = {"live": 10.0, "browser": 5.0, "slow": 2.0}
"""What one test takes that is marked so, for groups that have no number yet."""

CONFORMANCE = "tests/providers/test_conformance.py"
_KIND = re.compile(r"\[(?P<kind>[a-z]+)")


def group_of(nodeid: str) -> str:
    """What a test must share a process with: its file, and in the conformance suite its kind."""
    file, _, test = nodeid.partition("::")
    found = _KIND.search(test) if file == CONFORMANCE else None
    return f"{file}[{found['kind']}]" if found else file


def longest_first(items: list[pytest.Item]) -> None:
    """Sort by how long each test's group takes; within a group the order stays."""
    expected: defaultdict[str, float] = defaultdict(float)
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        expected[group_of(item.nodeid)] += next((took for mark, took in USUAL_S.items() if mark in marks), 0.2)
    expected.update(json.loads(SECONDS.read_text()))
    items.sort(key=lambda item: -expected[group_of(item.nodeid)])


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]  # it publishes no types
    """Hands out whole groups, in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


class Seconds:
    """Adds up how long each group takes and writes the longest into a file, from which SECONDS is renewed."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.took: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.took[group_of(report.nodeid)] += report.duration

    def pytest_sessionfinish(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps(dict(_longest(self.took.items())), indent=2) + "\n")


def _longest(took: Iterable[tuple[str, float]]) -> list[tuple[str, int]]:
    by_length = sorted(took, key=lambda pair: (-pair[1], pair[0]))
    return [(group, round(seconds)) for group, seconds in by_length if seconds >= 5]
