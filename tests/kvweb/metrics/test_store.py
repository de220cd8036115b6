"""Rings of one provider: what was kept is read, old steps go, and readers follow the writer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kvweb.metrics.ring import Ring, Values
from kvweb.metrics.series import DAY, HOUR, MONTH, SPANS, Measure
from kvweb.metrics.store import Reader, Taken, Writer

#: A moment at which a step of every span begins.
NOON = 7200.0 * 240_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "metrics" / "one"


@pytest.fixture
def writer(folder: Path) -> Iterator[Writer]:
    made = Writer(folder)
    yield made
    made.close()


def values(*cpu: float) -> Values:
    made = np.zeros((len(cpu), len(Measure)), np.float32)
    made[:, Measure.CPU_PERCENT] = cpu
    return made


def write(writer: Writer, at: float, every_s: float = 10.0, **cpu: float) -> None:
    writer.write(list(cpu), values(*cpu.values()), at=at, since=at - every_s)


def cpu(reader: Reader, name: str, now: float, span: object = HOUR) -> list[float]:
    series = reader.series(name, span, now=now)  # type: ignore[arg-type]
    assert series is not None
    return [float(value) for value in series.values[:, Measure.CPU_PERCENT] if not np.isnan(value)]


def test_what_was_kept_is_read(folder: Path, writer: Writer) -> None:
    for step in range(5):
        write(writer, NOON + 10 * step, a=step, b=10 + step)
    reader = Reader(folder)
    assert cpu(reader, "a", NOON + 40) == [0, 1, 2, 3, 4]
    assert cpu(reader, "b", NOON + 40) == [10, 11, 12, 13, 14]
    assert reader.series("c", HOUR, now=NOON) is None
    latest = reader.latest(["b", "c", "a"], Measure.CPU_PERCENT, 3, now=NOON + 40)
    assert {name: list(found) for name, found in latest.items()} == {"b": [12, 13, 14], "a": [2, 3, 4]}


def test_nothing_is_kept_where_nothing_was_measured(tmp_path: Path) -> None:
    reader = Reader(tmp_path / "nowhere")
    assert reader.series("a", HOUR, now=NOON) is None
    assert reader.latest(["a"], Measure.CPU_PERCENT, 3, now=NOON) == {}
    assert reader.newest(now=NOON) is None


def test_a_reading_a_minute_fills_the_steps_that_it_stands_for(folder: Path, writer: Writer) -> None:
    write(writer, NOON, 60, a=1)
    write(writer, NOON + 60, 60, a=7)
    assert cpu(Reader(folder), "a", NOON + 60) == [1] * 6 + [7] * 6


def test_after_an_hour_the_oldest_step_is_written_over(folder: Path, writer: Writer) -> None:
    for step in range(HOUR.slots + 20):
        write(writer, NOON + 10 * step, a=step)
    told = cpu(Reader(folder), "a", NOON + 10 * (HOUR.slots + 19))
    assert told == [*range(20, HOUR.slots + 20)]


def test_old_values_do_not_come_back_after_a_pause(folder: Path, writer: Writer) -> None:
    write(writer, NOON, a=1)
    later = NOON + HOUR.lasts_s
    assert cpu(Reader(folder), "a", later) == []
    write(writer, later, b=2)
    assert cpu(Reader(folder), "a", later) == [], "the same slot, written for somebody else"


def test_a_day_is_made_of_the_hour_and_a_month_of_the_day(folder: Path, writer: Writer) -> None:
    for step in range(2 * 720 + 1):
        write(writer, NOON + 10 * step, a=10 if step < 720 else 30)
    reader, now = Reader(folder), NOON + 2 * 7200
    day = cpu(reader, "a", now, DAY)
    assert day[:24] == [10] * 24
    assert day[24:48] == [30] * 24
    assert cpu(reader, "a", now, MONTH)[:2] == [10, 30]


def test_the_step_that_is_not_over_yet_shows_what_is_known_of_it(folder: Path, writer: Writer) -> None:
    write(writer, NOON, a=10)
    write(writer, NOON + 10, a=20)
    assert cpu(Reader(folder), "a", NOON + 15, DAY) == [15]


def test_more_vms_than_there_was_room_for_keep_what_was_kept(folder: Path, writer: Writer) -> None:
    reader = Reader(folder)
    write(writer, NOON, first=5)
    assert cpu(reader, "first", NOON) == [5]
    write(writer, NOON + 10, first=6, **{f"vm{number}": number for number in range(500)})
    assert cpu(reader, "first", NOON + 10) == [5, 6]
    assert cpu(reader, "vm499", NOON + 10) == [499]


def test_the_place_of_one_that_is_long_gone_is_given_to_another(folder: Path, writer: Writer) -> None:
    write(writer, NOON, **{f"old{number}": number for number in range(32)})
    room = Ring(folder / "hour.ring", HOUR).room
    later = NOON + MONTH.lasts_s + 7200
    write(writer, later, **{f"new{number}": number for number in range(room)})
    assert Ring(folder / "hour.ring", HOUR).room == room
    assert Reader(folder).series("old3", HOUR, now=later) is None


def test_what_was_kept_is_there_after_a_restart(folder: Path, writer: Writer) -> None:
    write(writer, NOON, a=5)
    writer.close()
    again = Writer(folder)
    write(again, NOON + 10, a=6)
    again.close()
    assert cpu(Reader(folder), "a", NOON + 10) == [5, 6]


def test_two_do_not_write_the_same_rings(folder: Path, writer: Writer) -> None:
    del writer
    with pytest.raises(Taken):
        Writer(folder)


@pytest.mark.parametrize("name", ["hour.ring", "month.ring", "names.json"])
def test_a_spoilt_file_costs_what_was_in_it_and_nothing_else(folder: Path, name: str) -> None:
    Writer(folder).close()
    (folder / name).write_bytes(b"spoilt")
    assert Reader(folder).series("a", HOUR, now=NOON) is None
    again = Writer(folder)
    write(again, NOON, a=5)
    again.close()
    assert cpu(Reader(folder), "a", NOON) == [5]


def test_the_files_are_for_the_portal_alone_and_cost_only_what_was_written(folder: Path, writer: Writer) -> None:
    write(writer, NOON, **{f"vm{number}": number for number in range(2000)})
    for span in SPANS:
        stat = (folder / f"{span.name}.ring").stat()
        assert stat.st_mode & 0o077 == 0
    stat = (folder / "month.ring").stat()
    assert stat.st_blocks * 512 < stat.st_size / 10
