"""From counters to rates, also when counters begin anew."""

from __future__ import annotations

import math
from typing import Any

import pytest

from kvweb.metrics.rates import Reading, rates
from kvweb.metrics.series import Measure


def row(name: str = "a", cpus: int = 2, memory: int | None = 512, **counters: int | None) -> tuple[Any, ...]:
    names = ("cpu_ns", "read", "write", "reads", "writes", "rx", "tx")
    return (name, cpus, memory, *(counters.get(each, 0) for each in names))


def between(before: list[tuple[Any, ...]], now: list[tuple[Any, ...]], seconds: float = 10.0) -> Any:
    return rates(Reading.of(before, at=1000.0), Reading.of(now, at=1000.0 + seconds))


def test_what_grew_is_told_a_second() -> None:
    [values] = between(
        [row(cpu_ns=5_000_000_000, read=100, write=0, reads=1, writes=0, rx=7, tx=9)],
        [row(cpu_ns=15_000_000_000, read=1100, write=50, reads=21, writes=5, rx=17, tx=1009)],
    )
    assert values[Measure.CPU_PERCENT] == 50, "ten seconds of two processors' twenty"
    assert [values[measure] for measure in (Measure.DISK_READ, Measure.DISK_WRITE)] == [100, 5]
    assert [values[measure] for measure in (Measure.DISK_READS, Measure.DISK_WRITES)] == [2, 0.5]
    assert [values[measure] for measure in (Measure.NET_RX, Measure.NET_TX)] == [1, 100]
    assert values[Measure.MEMORY_MIB] == 512


def test_a_vm_that_was_restarted_has_a_gap_and_no_mountain() -> None:
    [values] = between([row(cpu_ns=9_000_000_000, rx=10)], [row(cpu_ns=1_000_000_000, rx=4_000_000)])
    assert math.isnan(values[Measure.CPU_PERCENT])
    assert math.isnan(values[Measure.NET_RX]), "also a counter that has overtaken its old value already"
    assert values[Measure.MEMORY_MIB] == 512


def test_a_disk_that_was_unplugged_makes_a_gap_of_its_own_only() -> None:
    [values] = between([row(cpu_ns=0, read=10_000, rx=0)], [row(cpu_ns=1_000_000_000, read=100, rx=500)])
    assert math.isnan(values[Measure.DISK_READ])
    assert values[Measure.NET_RX] == 50


def test_what_was_not_told_stays_unknown() -> None:
    [values] = between([row(memory=None, read=None)], [row(memory=None, read=5)])
    assert math.isnan(values[Measure.MEMORY_MIB])
    assert math.isnan(values[Measure.DISK_READ])


def test_vms_come_and_go_and_change_their_order() -> None:
    values = between(
        [row("gone", rx=1), row("a", rx=100), row("b", rx=200)],
        [row("b", rx=210), row("new", rx=999), row("a", rx=150)],
    )
    told = [value[Measure.NET_RX] for value in values]
    assert (told[0], told[2]) == (1, 5)
    assert math.isnan(told[1])


def test_nobody_uses_more_than_everything() -> None:
    [values] = between([row(cpus=1)], [row(cpus=1, cpu_ns=13_000_000_000)])
    assert values[Measure.CPU_PERCENT] == 100


@pytest.mark.parametrize("seconds", [0.0, -3.0])
def test_a_clock_that_stands_or_runs_back_makes_no_rate(seconds: float) -> None:
    [values] = between([row(rx=1)], [row(rx=100)], seconds)
    assert math.isnan(values[Measure.NET_RX])


def test_no_vms_make_no_rates() -> None:
    assert between([], []).shape == (0, len(Measure))
    assert math.isnan(between([], [row()])[0][Measure.NET_RX])
