"""Which values are kept of everything that is measured, and for how long at which step."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Measure(IntEnum):
    """A value's column in a ring. Its number is part of the files: add at the end only, and raise `ring.VERSION`."""

    CPU_PERCENT = 0
    """Of all processors that the VM or host has."""
    MEMORY_MIB = 1
    """In use."""
    DISK_READ = 2
    """Bytes a second, as the next."""
    DISK_WRITE = 3
    DISK_READS = 4
    """Operations a second, as the next."""
    DISK_WRITES = 5
    NET_RX = 6
    """Bytes a second, as the next."""
    NET_TX = 7
    LOAD = 8
    """Processes that run or wait to; of hosts only."""


@dataclass(frozen=True, slots=True)
class Span:
    """How far back a ring goes, and how wide its steps are."""

    name: str
    step_s: int
    slots: int

    @property
    def lasts_s(self) -> int:
        return self.step_s * self.slots

    def number(self, at: float) -> int:
        """The step in which this moment (seconds since the epoch) lies."""
        return int(at // self.step_s)


HOUR = Span("hour", step_s=10, slots=360)
DAY = Span("day", step_s=300, slots=288)
MONTH = Span("month", step_s=7200, slots=360)
#: From fine to coarse; each is made of the one before it.
SPANS = (HOUR, DAY, MONTH)

#: The name under which a host is kept beside its VMs, whose names are never empty.
HOST = ""
