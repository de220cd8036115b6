"""What graphs show: which values belong together, in which unit, and each in words for those who cannot see a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kvweb.metrics.series import DAY, HOUR, MONTH, Measure, Span
from kvweb.metrics.store import Series
from kvweb.ui.words import UNKNOWN, size_words

RANGES: dict[str, tuple[Span, str]] = {
    HOUR.name: (HOUR, "1 hour"),
    DAY.name: (DAY, "24 hours"),
    MONTH.name: (MONTH, "30 days"),
}


def percent_words(value: float) -> str:
    return f"{value:.0f} %" if value >= 9.95 else f"{value:.1f} %"


def rate_words(value: float) -> str:
    """Bytes a second: "0 B/s", "12 KiB/s", "3.4 MiB/s"."""
    for unit in ("B/s", "KiB/s", "MiB/s"):
        if value < 1000:
            return f"{value:.0f} {unit}" if value >= 9.95 or unit == "B/s" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB/s"


def count_words(value: float) -> str:
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}"


def memory_words(value: float) -> str:
    return size_words(round(value)) if round(value) else "0 MiB"


_WORDS: dict[str, Callable[[float], str]] = {
    "percent": percent_words,
    "bytes": rate_words,
    "mib": memory_words,
    "count": count_words,
}


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines in one picture."""

    name: str
    title: str
    #: "percent", "bytes" (a second), "mib" or "count"; the script that draws knows the same words.
    unit: str
    lines: tuple[tuple[str, Measure], ...]
    #: The top of the picture where that is known: 100 for percent, the memory that there is.
    most: float | None = None
    #: Why there may be no line although others have theirs.
    silence: str = ""


CPU = Chart("cpu", "CPU", "percent", (("CPU", Measure.CPU_PERCENT),), 100)
DISK = Chart("disk", "Disk", "bytes", (("Read", Measure.DISK_READ), ("Written", Measure.DISK_WRITE)))
OPERATIONS = Chart(
    "operations", "Disk operations a second", "count", (("Reads", Measure.DISK_READS), ("Writes", Measure.DISK_WRITES))
)
NETWORK = Chart("network", "Network", "bytes", (("Received", Measure.NET_RX), ("Sent", Measure.NET_TX)))
LOAD = Chart("load", "Load", "count", (("Load", Measure.LOAD),))


def memory(most_mib: int | None) -> Chart:
    lines = (("In use", Measure.MEMORY_MIB),)
    return Chart("memory", "Memory in use", "mib", lines, most_mib or None, "The guest does not tell what it uses.")


def range_called(name: str) -> tuple[str, Span]:
    """The range of this name, or the hour."""
    known = name if name in RANGES else HOUR.name
    return known, RANGES[known][0]


def described(charts: Sequence[Chart], series: Series | None) -> list[dict[str, Any]]:
    """Each chart with its lines in words: now, on average, at most. For the page itself."""
    return [
        {
            "chart": chart,
            "lines": [
                {"label": label, **_summary(_column(series, measure), _WORDS[chart.unit], _now_steps(series))}
                for label, measure in chart.lines
            ],
        }
        for chart in charts
    ]


def drawn(charts: Sequence[Chart], series: Series | None, span: Span) -> dict[str, Any]:
    """The same with every value, for the script that draws; null where nothing is known."""
    return {
        "begins": series.begins if series else 0,
        "step_s": span.step_s,
        "charts": {
            each["chart"].name: [
                {**line, "values": _plain(_column(series, measure), each["chart"].unit)}
                for line, (_, measure) in zip(each["lines"], each["chart"].lines, strict=True)
            ]
            for each in described(charts, series)
        },
    }


def _column(series: Series | None, measure: Measure) -> NDArray[np.float32]:
    return series.values[:, measure] if series else np.zeros(0, np.float32)


def _now_steps(series: Series | None) -> int:
    """How many of the latest steps are "now": two minutes of fine ones; the step that goes on may not be there yet."""
    return max(2, 120 // series.step_s) if series else 0


def _summary(values: NDArray[np.float32], words: Callable[[float], str], now_steps: int) -> dict[str, str]:
    known = values[~np.isnan(values)]
    if not len(known):
        return {"now": UNKNOWN, "average": UNKNOWN, "peak": UNKNOWN}
    latest = values[-now_steps:]
    recent = latest[~np.isnan(latest)]
    return {
        "now": words(float(recent[-1])) if len(recent) else UNKNOWN,
        "average": words(float(known.mean(dtype=np.float64))),
        "peak": words(float(known.max())),
    }


def _plain(values: NDArray[np.float32], unit: str) -> list[float | int | None]:
    """JSON-safe and short: nobody sees a hundredth of a percent or half a byte."""
    if unit in {"bytes", "mib"}:
        return [None if np.isnan(value) else round(value) for value in values.tolist()]
    return [None if np.isnan(value) else round(value, 1) for value in values.tolist()]
