"""From two readings of counters to what was used a second in between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kvweb.metrics.ring import Values
from kvweb.metrics.series import Measure

#: The columns of `Reading.counters`, each with the measure that its growth becomes.
COUNTERS = (
    Measure.CPU_PERCENT,
    Measure.DISK_READ,
    Measure.DISK_WRITE,
    Measure.DISK_READS,
    Measure.DISK_WRITES,
    Measure.NET_RX,
    Measure.NET_TX,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """Counters of many at one moment; NaN where nothing was told."""

    names: Sequence[str]
    at: float
    #: [who, counter]: nanoseconds on a processor, then as in COUNTERS.
    counters: NDArray[np.float64]
    #: Processors and memory in use, [who].
    cpus: NDArray[np.float64]
    memory_mib: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Iterable[tuple[object, ...]], *, at: float) -> Reading:
        """Rows of (name, processors, memory in use, then the counters as in COUNTERS), None for what is not told."""
        listed = list(rows)
        names = [str(row[0]) for row in listed]
        width = 3 + len(COUNTERS)
        # None becomes NaN by numpy itself, which is quicker than asking each of ten thousand values.
        table = np.array([row[1:] for row in listed], np.float64).reshape(len(listed), width - 1)
        return cls(names, at, table[:, 2:], table[:, 0], table[:, 1])


def rates(before: Reading, now: Reading) -> Values:
    """Values [who, measure] of those in `now`; NaN where it cannot be told.

    A counter that is smaller than before began anew (the VM was restarted, a disk was unplugged): of this interval
    nothing is known. When the processor's time began anew the VM did, and so did all of its counters, also those that
    have overtaken their old value already.
    """
    values = np.full((len(now.names), len(Measure)), np.nan, np.float32)
    values[:, Measure.MEMORY_MIB] = now.memory_mib
    elapsed_s = now.at - before.at
    if elapsed_s <= 0 or not now.names:
        return values
    grown = now.counters - _aligned(before, now.names)
    grown[grown < 0] = np.nan
    began_anew = np.isnan(grown[:, 0]) & ~np.isnan(now.counters[:, 0])
    grown[began_anew] = np.nan
    grown /= elapsed_s
    # The emulator's own threads count as well, which can make it a little more than all of the VM's processors.
    busy = np.minimum(grown[:, 0] / 1e9 / np.maximum(now.cpus, 1) * 100, 100)
    values[:, COUNTERS] = grown
    values[:, Measure.CPU_PERCENT] = busy
    return values


def _aligned(before: Reading, names: Sequence[str]) -> NDArray[np.float64]:
    """Earlier counters in the order of these names; NaN for one that was not there."""
    if before.names == names:
        return before.counters
    place = {name: number for number, name in enumerate(before.names)}
    rows = np.fromiter((place.get(name, -1) for name in names), np.intp, len(names))
    if not len(before.names):
        return np.full((len(names), len(COUNTERS)), np.nan)
    found = before.counters[rows]
    found[rows < 0] = np.nan
    return found
