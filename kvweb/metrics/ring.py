"""A ring in a file: for each of the latest steps one row with the values of everybody, mapped into memory.

    header · the number of the step in each slot (int64) · values (float32) [slot, who, measure]

Rows lie by time, so writing one sample of 2000 VMs is one stretch of 70 KB, and the latest of all of them is one as
well. One VM's hour is 360 short reads, which a mapped file does in a fraction of a millisecond. Nothing ever grows with
time: the oldest slot is the next one to be written. Slots never written cost no disk (the file has holes).

One process writes, any number read. A reader may meet a row that is just being written: its number is set last, so it
is either missing or whole.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kvweb.metrics.series import Measure, Span

Values = NDArray[np.float32]

VERSION = 1
_HEADER = struct.Struct("<8sIIIII")
_MAGIC = b"kvwebrng"
#: Values begin on a page of their own.
_PAGE = 4096


class Ring:
    """One open file. Made with `create` or `open`."""

    def __init__(self, path: Path, span: Span, *, writable: bool = False) -> None:
        """Raises FileNotFoundError, and ValueError for a file that is none of ours or of another version."""
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            raise ValueError(f"{path} is no ring.")
        magic, version, step_s, slots, room, measures = _HEADER.unpack(header)
        if (magic, version, step_s, slots, measures) != (_MAGIC, VERSION, span.step_s, span.slots, len(Measure)):
            raise ValueError(f"{path} is a ring of another make.")
        self.span, self.room = span, room
        mode: Any = "r+" if writable else "r"
        self._numbers = np.memmap(path, np.int64, mode, _PAGE, (slots,))
        self._values = np.memmap(path, np.float32, mode, _start_of_values(slots), (slots, room, measures))

    @classmethod
    def create(cls, path: Path, span: Span, room: int) -> Ring:
        """A new, empty ring with room for so many; replaces what is there."""
        draft = path.with_suffix(".new")
        size = _start_of_values(span.slots) + span.slots * room * len(Measure) * 4
        with draft.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.truncate(size)
            file.write(_HEADER.pack(_MAGIC, VERSION, span.step_s, span.slots, room, len(Measure)))
        draft.replace(path)
        return cls(path, span, writable=True)

    def write(self, number: int, who: NDArray[np.intp], values: Values) -> None:
        """Put values [n, measure] of these columns into a step; what the step already has of others stays."""
        slot = number % self.span.slots
        row = self._values[slot]
        if self._numbers[slot] != number:
            self._numbers[slot] = 0
            row[:] = np.nan
        row[who] = values
        self._numbers[slot] = number

    def has(self, number: int) -> bool:
        return bool(self._numbers[number % self.span.slots] == number)

    def rows(self, first: int, last: int) -> Values:
        """Values [step, who, measure] of the steps that were written, from `first` to `last`; a copy."""
        slots = [number % self.span.slots for number in range(first, last + 1) if self.has(number)]
        found: Values = self._values[slots]
        return found

    def column(self, who: int, first: int, last: int) -> Values:
        """Values [step, measure] of one from `first` to `last`; NaN for steps that were not written."""
        numbers = np.arange(first, last + 1)
        slots = numbers % self.span.slots
        found: Values = self._values[slots, who]
        found[self._numbers[slots] != numbers] = np.nan
        return found

    def measure(self, who: NDArray[np.intp], measure: Measure, first: int, last: int) -> Values:
        """One measure of several, [step, who]; NaN for steps that were not written."""
        numbers = np.arange(first, last + 1)
        slots = numbers % self.span.slots
        found: Values = self._values[slots[:, None], who[None, :], measure]
        found[self._numbers[slots] != numbers] = np.nan
        return found

    def is_empty(self, now: int) -> NDArray[np.bool_]:
        """Of whom nothing is kept in the steps up to `now`."""
        rows = self.rows(max(1, now - self.span.slots + 1), now)
        return np.asarray(np.isnan(rows).all(axis=(0, 2))) if len(rows) else np.ones(self.room, np.bool_)

    def widened(self, path: Path, room: int) -> Ring:
        """The same ring with room for more, in place of this one."""
        wide = Ring.create(path.with_suffix(".wide"), self.span, room)
        written = np.flatnonzero(self._numbers)
        for slot in written:
            wide._values[slot] = np.nan
            wide._values[slot, : self.room] = self._values[slot]
            wide._numbers[slot] = self._numbers[slot]
        path.with_suffix(".wide").replace(path)
        return wide


def _start_of_values(slots: int) -> int:
    return _PAGE + -(-slots * 8 // _PAGE) * _PAGE
