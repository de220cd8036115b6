"""The measuring harness: medians, ratios, goals."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tools.bench import harness, measure
from tools.bench.__main__ import table


@pytest.fixture(autouse=True)
def no_results() -> Iterator[None]:
    yield
    harness.results.clear()


def giving(*numbers: float) -> Callable[[], float]:
    """A run that gives these numbers, after one for the warm-up."""
    left = iter((0.0, *numbers))
    return lambda: next(left)


def test_the_median_of_run_and_baseline_and_their_ratio() -> None:
    result = measure(
        "wire", "KiB", giving(3, 9, 1, 2, 4), baseline=giving(6, 6, 6, 60, 1), baseline_name="before", goal="<= 0.5 x"
    )
    assert (result.value, result.baseline, result.ratio, result.ok) == (3, 6, 0.5, True)


def test_a_run_that_gives_nothing_is_timed() -> None:
    result = measure("nothing", "ms", lambda: None)
    assert 0 <= result.value < 100


def test_fewer_than_five_runs_are_made_five() -> None:
    calls: list[None] = []
    measure("count", "s", lambda: calls.append(None), times=1)
    assert len(calls) == 6


@pytest.mark.parametrize(
    ("goal", "value", "ratio", "ok"),
    [
        ("<= 25", 25, None, True),
        ("<= 25", 25.1, None, False),
        ("< 25 x", 1, 25, False),
        (">= 2 x", 1, 2.5, True),
        ("<= 1 x", 1, None, False),
    ],
)
def test_goals(goal: str, value: float, ratio: float | None, ok: bool) -> None:
    assert harness.reaches(goal, value, ratio) is ok


def test_a_goal_nobody_understands_is_an_error() -> None:
    with pytest.raises(ValueError, match="is no goal"):
        harness.reaches("fast", 1, None)


def test_the_table_names_what_was_missed() -> None:
    measure("wire", "KiB", giving(9, 9, 9, 9, 9), baseline=3, baseline_name="stored", goal="<= 2 x")
    assert "MISSED" in table(harness.results)
    assert "3 KiB stored" in table(harness.results)
