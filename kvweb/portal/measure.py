"""Measuring: one thread per provider reads what its machines use and keeps it in the provider's rings.

Every ten seconds while somebody looks, every minute for history, else not at all. A host that hangs holds up its own
thread and nothing else: the next reading is taken when the last has come back, so nothing piles up, and the graphs show
a gap. A host with so many VMs that a reading takes seconds is asked less often. Whether a provider is healthy is for
the watcher and the jobs to say.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

import numpy as np
from django.conf import settings
from django.db import close_old_connections, connections
from django.utils import timezone

from kvweb.metrics.looking import looked_at
from kvweb.metrics.rates import Reading, rates
from kvweb.metrics.ring import Values
from kvweb.metrics.series import HOST, HOUR, Measure
from kvweb.metrics.store import Taken, Writer, folder_of
from providers.base import Driver, HostSample, Metrics, MetricsFeatures, ProviderError, VmSample
from providers.models import Provider
from providers.pool import connect

logger = logging.getLogger(__name__)

#: While nobody looks. The rates of a minute stand for each of its fine steps.
HISTORY_S = 60.0
#: A reading older than this is no start for a rate: what happened in between would be spread over all of it.
STALE_S = 150.0
#: A host is asked at most so much of its time: libvirt asks each VM's own monitor, some milliseconds for every VM.
MOST_SHARE = 0.2
BACK_OFF_S = (5.0, 15.0, 30.0, 60.0)
#: How often folders of providers that are gone are looked for.
SWEEP_S = 3600.0

#: A sample as `Reading.of` takes it: name, processors, memory in use, then the counters.
_row = attrgetter(
    "external_id",
    "vcpus",
    "memory_used_mib",
    "cpu_time_ns",
    "disk_read_bytes",
    "disk_write_bytes",
    "disk_reads",
    "disk_writes",
    "net_rx_bytes",
    "net_tx_bytes",
)


def reading_of(samples: Sequence[VmSample], host: HostSample | None) -> Reading:
    """All were read at once: the moment of the first is the moment of all."""
    read_at = samples[0].at if samples else host.at if host else timezone.now()
    return Reading.of(map(_row, samples), at=read_at.timestamp())


def host_values(before: HostSample | None, now: HostSample | None, machines: Values) -> Values:
    """The host's values: its own processor, memory and load, and the traffic of all its machines together."""
    values = np.full((1, len(Measure)), np.nan, np.float32)
    if len(machines):
        columns = [Measure.DISK_READ, Measure.DISK_WRITE, Measure.DISK_READS, Measure.DISK_WRITES]
        columns += [Measure.NET_RX, Measure.NET_TX]
        values[0, columns] = np.nansum(machines[:, columns], axis=0)
    if now is not None:
        values[0, Measure.MEMORY_MIB] = now.memory_used_mib
        values[0, Measure.LOAD] = np.nan if now.load_1m is None else now.load_1m
        if before is not None and now.cpu_total_ns > before.cpu_total_ns and now.cpu_busy_ns >= before.cpu_busy_ns:
            busy = (now.cpu_busy_ns - before.cpu_busy_ns) / (now.cpu_total_ns - before.cpu_total_ns)
            values[0, Measure.CPU_PERCENT] = min(busy, 1.0) * 100
    return values


@dataclass
class Taking:
    """The latest reading of one provider, and what the one before it makes of it."""

    metrics: Metrics
    can: MetricsFeatures
    writer: Writer
    machines: Reading | None = None
    host: HostSample | None = None
    #: How long the latest reading took, and when it was asked for: a provider may tell of a moment that is past.
    took_s: float = 0.0
    asked_at: float = 0.0

    def take(self) -> None:
        """Read once; keeps the rates since the last time, when that is not too long ago. Raises ProviderError."""
        began, self.asked_at = time.monotonic(), time.time()
        host = self.metrics.host_sample() if self.can.host else None
        reading = reading_of(self.metrics.sample() if self.can.vms else (), host)
        self.took_s = time.monotonic() - began
        before, host_before = self.machines, self.host
        self.machines, self.host = reading, host
        if before is None or not 0 < reading.at - before.at <= STALE_S:
            return
        values = rates(before, reading)
        whole = np.concatenate([host_values(host_before, host, values), values])
        self.writer.write([HOST, *reading.names], whole, at=reading.at, since=before.at)

    def is_due(self, now: float, *, is_looked_at: bool) -> bool:
        if self.machines is None:
            return is_looked_at or settings.KVWEB_METRICS_HISTORY
        latest = max(self.machines.at, self.asked_at)
        if now - latest < self.took_s / MOST_SHARE:
            return False
        if is_looked_at:
            return HOUR.number(now) > HOUR.number(latest)
        return bool(settings.KVWEB_METRICS_HISTORY) and now - latest >= HISTORY_S


@dataclass
class Meter:
    """The measuring of one provider."""

    provider: Provider
    is_looked_at: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def start(self) -> None:
        self.thread = threading.Thread(target=self._run, name=f"measure-{self.provider.name}", daemon=True)
        self.thread.start()

    @property
    def is_alive(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def _run(self) -> None:
        """Connect and measure, and again, until told to stop."""
        failures = 0
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                self._measure()
            except Taken:
                logger.info("Another process measures %s.", self.provider.name)
            except ProviderError as exc:
                logger.info("Measuring %s ended: %s", self.provider.name, exc.detail or exc.reason)
            except Exception:
                logger.exception("Measuring %s failed", self.provider.name)
            if time.monotonic() - began > 60:
                failures = 0
            self.stop.wait(BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)])
            failures += 1
        connections.close_all()

    def _measure(self) -> None:
        # No connection is made for nothing.
        while not (self.is_looked_at or settings.KVWEB_METRICS_HISTORY):
            if self.stop.wait(1.0):
                return
        writer = Writer(folder_of(self.provider.uuid))
        try:
            with connect(self.provider) as driver:
                self._take_again_and_again(driver, writer)
        finally:
            writer.close()

    def _take_again_and_again(self, driver: Driver, writer: Writer) -> None:
        can = self.provider.can.metrics
        if driver.metrics is None or can is None:
            self.stop.wait(60)
            return
        taking = Taking(driver.metrics, can, writer)
        while not self.stop.is_set():
            if taking.is_due(time.time(), is_looked_at=self.is_looked_at):
                taking.take()
            self.stop.wait(1.0)


class Meters:
    """Keeps one Meter per enabled provider that can be measured; a changed config starts it anew."""

    def __init__(self) -> None:
        self._meters: dict[int, tuple[tuple[object, ...], Meter]] = {}
        self._swept_at = -SWEEP_S

    def look(self) -> None:
        """Compare with the providers' rows, and with who looks, once."""
        wanted = {
            provider.pk: ((str(provider.config), provider.sealed, provider.can.metrics), provider)
            for provider in Provider.objects.filter(is_enabled=True)
            if provider.can.metrics is not None
        }
        for pk, (fingerprint, meter) in list(self._meters.items()):
            if pk not in wanted or wanted[pk][0] != fingerprint:
                meter.stop.set()
                # One per provider, also when the last reading does not come back.
                if not meter.is_alive:
                    del self._meters[pk]
        for pk, (fingerprint, provider) in wanted.items():
            if pk not in self._meters:
                meter = Meter(provider)
                self._meters[pk] = (fingerprint, meter)
                meter.start()
        meters = [meter for _, meter in self._meters.values()]
        looked = looked_at([meter.provider.uuid for meter in meters])
        for meter in meters:
            meter.is_looked_at = meter.provider.uuid in looked
        if time.monotonic() - self._swept_at > SWEEP_S:
            self._swept_at = time.monotonic()
            sweep()

    def run(self, stop: threading.Event, every_s: float = 2.0) -> None:
        while not stop.is_set():
            close_old_connections()
            try:
                self.look()
            except Exception:
                logger.exception("Looking for providers to measure failed")
            stop.wait(every_s)
        for _, meter in self._meters.values():
            meter.stop.set()
        for _, meter in self._meters.values():
            if meter.thread is not None:
                meter.thread.join(timeout=3)
        connections.close_all()


def sweep() -> None:
    """Take away what was kept of providers that do not exist any more."""
    folder = Path(settings.KVWEB_HOME) / "metrics"
    if not folder.is_dir():
        return
    known = {str(uuid) for uuid in Provider.objects.values_list("uuid", flat=True)}
    for each in folder.iterdir():
        if each.is_dir() and each.name not in known:
            shutil.rmtree(each, ignore_errors=True)
