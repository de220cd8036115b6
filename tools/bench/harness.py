"""How a value is measured: warm-up, five or more runs in turn with the baseline, the median of each, the verdict."""

from __future__ import annotations

import gc
import operator
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

#: A run gives its own number (bytes, calls a second …); one that gives nothing is timed.
Run = Callable[[], float | None]

_SECONDS = {"s": 1.0, "ms": 1e3, "µs": 1e6}
_GOAL = re.compile(r"(<=|>=|<|>)\s*([0-9.]+)\s*(x)?")
_COMPARE = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}


class Skip(Exception):
    """This machine cannot measure it; the message says why."""


@dataclass(frozen=True)
class Result:
    name: str
    value: float
    unit: str
    baseline: float | None
    baseline_name: str | None
    ratio: float | None
    goal: str | None
    ok: bool | None

    def as_json(self) -> dict[str, object]:
        return asdict(self)


#: The measures in the order in which their modules declare them.
declared: list[Callable[[], None]] = []
#: What was measured in this run.
results: list[Result] = []


def bench(function: Callable[[], None]) -> Callable[[], None]:
    """Declares a function that calls `measure`, once or several times."""
    declared.append(function)
    return function


def measure(
    name: str,
    unit: str,
    run: Run,
    *,
    baseline: Run | float | None = None,
    baseline_name: str | None = None,
    goal: str | None = None,
    times: int = 5,
) -> Result:
    """Takes the median of `times` runs (five at least). Run and baseline take turns, so that a machine that gets slower
    in between is unfair to neither; a baseline that is a number was measured elsewhere and its name says where."""
    times = max(times, 5)
    run()
    if callable(baseline):
        baseline()
    values: list[float] = []
    beside: list[float] = []
    for _ in range(times):
        values.append(_once(run, unit))
        if callable(baseline):
            beside.append(_once(baseline, unit))
    value = statistics.median(values)
    base = statistics.median(beside) if beside else baseline if isinstance(baseline, int | float) else None
    ratio = value / base if base else None
    result = Result(
        name=name,
        value=_rounded(value),
        unit=unit,
        baseline=None if base is None else _rounded(base),
        baseline_name=baseline_name,
        ratio=None if ratio is None else _rounded(ratio),
        goal=goal,
        ok=None if goal is None else reaches(goal, value, ratio),
    )
    results.append(result)
    return result


def reaches(goal: str, value: float, ratio: float | None) -> bool:
    """Whether the goal is reached; a goal about the ratio is not when there is no baseline."""
    found = _GOAL.fullmatch(goal.strip())
    if found is None:
        raise ValueError(f"{goal!r} is no goal; write one like '<= 25' or '<= 1.5 x'")
    sign, number, is_ratio = found.groups()
    measured = ratio if is_ratio else value
    return measured is not None and _COMPARE[sign](measured, float(number))


def _once(run: Run, unit: str) -> float:
    # The collector would put its pause on whichever run it falls.
    gc.collect()
    gc.disable()
    try:
        began = time.perf_counter()
        own = run()
        took = time.perf_counter() - began
    finally:
        gc.enable()
    if own is not None:
        return own
    if unit not in _SECONDS:
        raise ValueError(f"a run that is timed needs one of the units {', '.join(_SECONDS)}, not {unit!r}")
    return took * _SECONDS[unit]


def _rounded(number: float) -> float:
    """Four digits: more would only be noise."""
    return float(f"{number:.4g}")
