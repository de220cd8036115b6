"""Measuring a simulated cloud: from its counters to what a page can read."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_django import Settings

from kvweb.metrics.series import HOST, HOUR, Measure
from kvweb.metrics.store import Reader, Writer, folder_of
from kvweb.portal import measure
from kvweb.portal.measure import Meter, Meters, Taking
from providers.base import DiskSpec, Driver, HostSample, Metrics, MetricsFeatures, Unreachable, VmSample, VmSpec
from providers.models import Provider
from providers.pool import connect

CAN = MetricsFeatures(vms=True, host=True, memory_used=True)


class Later:
    """The cloud's metrics as they would be read `seconds` later: the clock is the one thing that is replaced."""

    def __init__(self, honest: Metrics) -> None:
        self.honest, self.seconds, self.growth = honest, 0.0, 0

    def sample(self) -> list[VmSample]:
        moved = timedelta(seconds=self.seconds)
        return [
            replace(
                each,
                at=each.at + moved,
                cpu_time_ns=int(self.seconds * 1e9 * each.vcpus / 2),
                net_rx_bytes=int(self.seconds * 100),
            )
            for each in self.honest.sample()
        ]

    def host_sample(self) -> HostSample:
        told = self.honest.host_sample()
        told = replace(told, at=told.at + timedelta(seconds=self.seconds), memory_used_mib=1000, load_1m=1.5)
        spent = int(self.seconds * 1e9)
        return replace(
            told,
            at=told.at + timedelta(seconds=self.seconds),
            cpu_busy_ns=spent // 4,
            cpu_total_ns=spent,
            memory_used_mib=1000,
            load_1m=1.5,
        )


@pytest.fixture
def driver(fake_provider: Provider) -> Iterator[Driver]:
    with connect(fake_provider) as opened:
        yield opened


@pytest.fixture
def home(settings: Settings, tmp_path: Path) -> Path:
    settings.KVWEB_HOME = tmp_path
    return tmp_path


@pytest.fixture
def taking(driver: Driver, fake_provider: Provider, home: Path) -> Iterator[Taking]:
    del home
    writer = Writer(folder_of(fake_provider.uuid))
    assert driver.metrics is not None
    yield Taking(Later(driver.metrics), CAN, writer)  # type: ignore[arg-type]
    writer.close()


def later(taking: Taking, seconds: float) -> None:
    taking.metrics.seconds += seconds  # type: ignore[attr-defined]


def newest(provider: Provider, name: str, seconds: float) -> Any:
    series = Reader(folder_of(provider.uuid)).series(name, HOUR, now=time.time() + seconds)
    assert series is not None
    return series.values[~np.isnan(series.values).all(axis=1)][-1]


def test_two_readings_make_a_rate(taking: Taking, fake_provider: Provider, driver: Driver) -> None:
    vm = driver.machines.create(VmSpec(name="busy", vcpus=2, disks=(DiskSpec(size_gib=1),)))
    taking.take()
    later(taking, 20)
    taking.take()
    values = newest(fake_provider, vm.external_id, 20)
    # The clock of the wall also ran a little.
    assert values[Measure.CPU_PERCENT] == pytest.approx(50, rel=0.1)
    assert values[Measure.NET_RX] == pytest.approx(100, rel=0.1)
    host = newest(fake_provider, HOST, 20)
    assert (host[Measure.CPU_PERCENT], host[Measure.MEMORY_MIB], host[Measure.LOAD]) == (25, 1000, 1.5)
    assert host[Measure.NET_RX] == values[Measure.NET_RX], "the only machine's"


def test_readings_that_are_far_apart_make_a_gap(taking: Taking, fake_provider: Provider) -> None:
    taking.take()
    later(taking, measure.STALE_S + 60)
    taking.take()
    assert Reader(folder_of(fake_provider.uuid)).series(HOST, HOUR, now=time.time()) is None


@pytest.mark.parametrize(
    ("history", "looks", "after_s", "due"),
    [
        (True, False, 0, True),
        (False, True, 0, True),
        (False, False, 0, False),
        (True, False, 30, False),
        (True, False, 60, True),
        (True, True, 10, True),
        (False, True, 10, True),
        (False, False, 600, False),
    ],
)
def test_it_is_measured_only_while_somebody_looks_or_history_is_kept(
    taking: Taking, settings: Settings, history: bool, looks: bool, after_s: float, due: bool
) -> None:
    settings.KVWEB_METRICS_HISTORY = history
    now = time.time()
    if after_s:
        taking.take()
        assert taking.machines is not None
        now = taking.machines.at + after_s
    assert taking.is_due(now, is_looked_at=looks) is due


def test_a_host_whose_reading_takes_long_is_asked_less_often(taking: Taking) -> None:
    taking.take()
    assert taking.machines is not None
    taking.took_s = 8.0
    assert not taking.is_due(taking.machines.at + 39, is_looked_at=True)
    assert taking.is_due(taking.machines.at + 41, is_looked_at=True)


def test_a_provider_that_tells_of_the_past_is_asked_as_often_as_others(taking: Taking) -> None:
    taking.take()
    assert taking.machines is not None
    taking.machines = replace(taking.machines, at=taking.asked_at - 40)
    assert not taking.is_due(taking.asked_at, is_looked_at=True)
    assert taking.is_due(taking.asked_at + 10, is_looked_at=True)


def test_a_provider_that_hangs_holds_up_no_other(
    fake_provider: Provider, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread waits; asking again and again starts no second one."""
    del home
    monkeypatch.setattr(measure, "looked_at", set)
    hanging: list[int] = []

    class Hangs(Meter):
        def _run(self) -> None:
            hanging.append(1)
            self.stop.wait(30)
            time.sleep(0.2)

    monkeypatch.setattr(measure, "Meter", Hangs)
    meters = Meters()
    for _ in range(5):
        meters.look()
    fake_provider.config = {**fake_provider.config, "slow_s": 9.0}
    fake_provider.save()
    meters.look()
    assert len(hanging) == 1, "the old one has not come back yet"
    time.sleep(0.4)
    meters.look()
    assert len(hanging) == 2
    for _, meter in meters._meters.values():
        meter.stop.set()


def test_a_lost_connection_is_no_sample(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    taking.take()
    before = taking.machines

    def lost() -> list[VmSample]:
        raise Unreachable

    monkeypatch.setattr(taking.metrics, "sample", lost)
    with pytest.raises(Unreachable):
        taking.take()
    assert taking.machines is before


def test_what_was_kept_goes_with_its_provider(fake_provider: Provider, home: Path) -> None:
    Writer(folder_of(fake_provider.uuid)).close()
    (home / "metrics" / "3f0c-somebody-else").mkdir()
    measure.sweep()
    assert [each.name for each in (home / "metrics").iterdir()] == [str(fake_provider.uuid)]
    shutil.rmtree(home / "metrics")
    measure.sweep()
