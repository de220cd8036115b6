"""The rings of one provider in a folder: who has which column, and how coarse steps are made of fine ones."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from kvweb.metrics.ring import Ring, Values
from kvweb.metrics.series import DAY, HOUR, MONTH, SPANS, Measure, Span

_NAMES = "names.json"
#: Room for so many at first; doubled when it does not suffice.
_ROOM = 32
_MADE_OF = {DAY: HOUR, MONTH: DAY}


def folder_of(provider: object) -> Path:
    """Where the metrics of a provider (its uuid) are kept."""
    return Path(settings.KVWEB_HOME) / "metrics" / str(provider)


class Taken(Exception):
    """Another process writes these rings."""


class Writer:
    """The one that writes. Raises Taken when another does, OSError when the folder cannot be used."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self._lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(self._lock)
            raise Taken from exc
        self._columns = _read_names(folder)
        self._rings = {span: self._opened(span) for span in SPANS}
        if len({ring.room for ring in self._rings.values()}) != 1 or self._columns_are_beyond():
            # A process that died while it made more room: rather begin anew than mix up whose values are whose.
            self._columns = {}
            self._rings = {span: Ring.create(self._path(span), span, _ROOM) for span in SPANS}
        self._write_names()

    def _path(self, span: Span) -> Path:
        return self.folder / f"{span.name}.ring"

    def _opened(self, span: Span) -> Ring:
        try:
            return Ring(self._path(span), span, writable=True)
        except (FileNotFoundError, ValueError):
            return Ring.create(self._path(span), span, _ROOM)

    def _columns_are_beyond(self) -> bool:
        room = self._rings[HOUR].room
        return any(column >= room for column in self._columns.values())

    def write(self, names: Sequence[str], values: Values, *, at: float, since: float) -> None:
        """Keep values [n, measure] that held from `since` to `at`: in every fine step that began in between."""
        who = self._columns_of(names, at)
        last = HOUR.number(at)
        first = max(min(HOUR.number(since) + 1, last), last - HOUR.slots + 1)
        fine = self._rings[HOUR]
        for number in range(first, last + 1):
            fine.write(number, who, values)
        for coarse, finer in _MADE_OF.items():
            self._gather(coarse, finer, coarse.number(at) - 1)

    def _gather(self, coarse: Span, finer: Span, number: int) -> None:
        """Make a coarse step that is over of the fine ones in it, once."""
        if self._rings[coarse].has(number):
            return
        averages = _averages(self._rings[finer], coarse, number)
        if averages is not None:
            self._rings[coarse].write(number, np.arange(len(averages)), averages)

    def _columns_of(self, names: Sequence[str], at: float) -> NDArray[np.intp]:
        missing = [name for name in names if name not in self._columns]
        if missing:
            self._take_in(missing, at)
        return np.fromiter((self._columns[name] for name in names), np.intp, len(names))

    def _take_in(self, names: Sequence[str], at: float) -> None:
        """Give columns to new ones: free ones first, then those of whom nothing is kept any more, then more room."""
        free = self._free(self._columns.values())
        if len(free) < len(names):
            empty = np.logical_and.reduce([ring.is_empty(span.number(at)) for span, ring in self._rings.items()])
            self._columns = {name: column for name, column in self._columns.items() if not empty[column]}
            free = self._free(self._columns.values())
        if len(free) < len(names):
            room = self._rings[HOUR].room
            while room < len(self._columns) + len(names):
                room *= 2
            self._rings = {span: ring.widened(self._path(span), room) for span, ring in self._rings.items()}
            free = self._free(self._columns.values())
        self._columns.update(zip(names, free, strict=False))
        self._write_names()

    def _free(self, taken: Iterable[int]) -> list[int]:
        return sorted(set(range(self._rings[HOUR].room)) - set(taken))

    def _write_names(self) -> None:
        # Written last and replaced as a whole: it is what readers look at to know that something is new.
        draft = self.folder / f"{_NAMES}.new"
        draft.write_text(json.dumps(self._columns))
        draft.replace(self.folder / _NAMES)

    def close(self) -> None:
        """Let another write; may be called twice."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


@dataclass(frozen=True, slots=True)
class Series:
    """What was kept of one in a span: values [step, measure], the first step's beginning, NaN where nothing is."""

    begins: int
    step_s: int
    values: Values

    @property
    def is_empty(self) -> bool:
        return bool(np.isnan(self.values).all())


class Reader:
    """Reads what another process writes. A folder that is not there yet is one where nothing is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: tuple[int, int] | None = None
        self._columns: dict[str, int] = {}
        self._rings: dict[Span, Ring] = {}

    def series(self, name: str, span: Span, *, now: float) -> Series | None:
        """One's values up to the latest step that is over; None when it was never measured."""
        column = self._renewed().get(name)
        if column is None or span not in self._rings:
            return None
        last = span.number(now)
        first = last - span.slots + 1
        values = self._rings[span].column(column, first, last)
        if span in _MADE_OF and np.isnan(values[-1]).all():
            # The step that is not over yet: what is known of it so far.
            begun = _averages(self._rings[_MADE_OF[span]], span, last)
            if begun is not None:
                values[-1] = begun[column]
        return Series(first * span.step_s, span.step_s, values)

    def latest(self, names: Sequence[str], measure: Measure, steps: int, *, now: float) -> dict[str, Values]:
        """The latest fine steps of one measure, for each of those that were ever measured."""
        columns = self._renewed()
        known = [name for name in names if name in columns]
        if not known or HOUR not in self._rings:
            return {}
        who = np.fromiter((columns[name] for name in known), np.intp, len(known))
        last = HOUR.number(now)
        values = self._rings[HOUR].measure(who, measure, last - steps + 1, last)
        return {name: values[:, place] for place, name in enumerate(known)}

    def newest(self, *, now: float, within_s: float = 150.0) -> tuple[dict[str, int], Values] | None:
        """(name → place, values [place, measure]) of the newest fine step; None when that is long ago."""
        columns = self._renewed()
        if HOUR not in self._rings:
            return None
        last = HOUR.number(now)
        for number in range(last, last - int(within_s // HOUR.step_s), -1):
            rows = self._rings[HOUR].rows(number, number)
            if len(rows):
                return columns, rows[0]
        return None

    def _renewed(self) -> dict[str, int]:
        """Who has which column; opened anew when the writer has changed that."""
        try:
            stat = (self.folder / _NAMES).stat()
        except FileNotFoundError:
            self._seen, self._columns, self._rings = None, {}, {}
            return self._columns
        seen = (stat.st_ino, stat.st_mtime_ns)
        if seen != self._seen:
            try:
                self._rings = {span: Ring(self.folder / f"{span.name}.ring", span) for span in SPANS}
            except (FileNotFoundError, ValueError):
                return {}
            room = min(ring.room for ring in self._rings.values())
            named = _read_names(self.folder).items()
            self._columns = {name: column for name, column in named if column < room}
            self._seen = seen
        return self._columns


@functools.lru_cache(maxsize=128)
def reader(provider: object) -> Reader:
    """This process's reader of a provider's metrics, by the provider's uuid."""
    return Reader(folder_of(provider))


def _averages(finer: Ring, coarse: Span, number: int) -> Values | None:
    """Averages [who, measure] over one coarse step; None when nothing was kept in it."""
    factor = coarse.step_s // finer.span.step_s
    rows = finer.rows(number * factor, (number + 1) * factor - 1)
    if not len(rows):
        return None
    with warnings.catch_warnings():
        # Of some there is nothing, and nothing is what their average shall be.
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(rows, axis=0, dtype=np.float64), np.float32)


def _read_names(folder: Path) -> dict[str, int]:
    try:
        read = json.loads((folder / _NAMES).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {str(name): int(column) for name, column in read.items()}
