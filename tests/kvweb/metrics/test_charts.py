"""What graphs say in words."""

from __future__ import annotations

import numpy as np
import pytest

from kvweb.metrics.charts import CPU, described, drawn, memory_words, percent_words, range_called, rate_words
from kvweb.metrics.series import DAY, HOUR, MONTH, Measure, Span
from kvweb.metrics.store import Series


def series(span: Span, *cpu: float) -> Series:
    """A span that ends with these percents; before them nothing was measured."""
    values = np.full((span.slots, len(Measure)), np.nan, np.float32)
    values[span.slots - len(cpu) :, Measure.CPU_PERCENT] = cpu
    return Series(0, span.step_s, values)


def words(found: Series | None) -> tuple[str, str, str]:
    [line] = described([CPU], found)[0]["lines"]
    return line["now"], line["average"], line["peak"]


def test_now_is_the_latest_value_of_the_last_minutes() -> None:
    gap = float("nan")
    assert words(series(HOUR, 10, 30, gap)) == ("30 %", "20 %", "30 %")
    assert words(series(HOUR, 10, *[gap] * 13)) == ("–", "10 %", "10 %")
    assert words(series(DAY, 10, 30, gap)) == ("30 %", "20 %", "30 %")
    assert words(series(MONTH, 10, gap, gap)) == ("–", "10 %", "10 %")


def test_nothing_is_said_of_what_was_never_measured() -> None:
    assert words(None) == words(series(HOUR)) == ("–", "–", "–")


def test_values_are_short_and_gaps_are_null() -> None:
    [line] = drawn([CPU], series(HOUR, 12.345, float("nan")), HOUR)["charts"]["cpu"]
    assert line["values"][-2:] == [12.3, None]
    assert len(line["values"]) == HOUR.slots


@pytest.mark.parametrize(
    ("value", "said"),
    [(0, "0 B/s"), (999, "999 B/s"), (1500, "1.5 KiB/s"), (20_480, "20 KiB/s"), (5 * 2**20, "5.0 MiB/s"),
     (3 * 2**30, "3.0 GiB/s")],
)  # fmt: skip
def test_rates_are_said_in_a_fitting_unit(value: float, said: str) -> None:
    assert rate_words(value) == said


def test_shares_and_memory_are_said_as_people_do() -> None:
    assert [percent_words(value) for value in (0, 4.26, 9.96, 55.5)] == ["0.0 %", "4.3 %", "10 %", "56 %"]
    assert [memory_words(value) for value in (0.2, 512, 1536)] == ["0 MiB", "512 MiB", "1.5 GiB"]


def test_a_range_that_is_not_there_is_the_hour() -> None:
    assert range_called("aeon") == ("hour", HOUR)
    assert range_called("month") == ("month", MONTH)
