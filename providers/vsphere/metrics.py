"""Metrics: what VMs and hosts used, of the samples that vSphere takes every twenty seconds.

vSphere tells what was used in each of its samples, and the portal counts up: the samples are added to counters that
begin with the connection, each sample once. Counters: https://developer.broadcom.com/xapis/vsphere-web-services-api/latest/
(PerformanceManager, "Counters").
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from providers.base import HostSample, Metrics, VmSample
from providers.vsphere.config import VsphereConfig
from providers.vsphere.connection import Connection
from providers.vsphere.errors import fault_is, vendor_calls
from providers.vsphere.native import MethodFault, vim
from providers.vsphere.part import Part
from providers.vsphere.properties import (
    Element,
    Found,
    below,
    child,
    children,
    in_view,
    parsed,
    retrieve,
    typed,
    wanted,
)

_MANAGER: Any = vim.PerformanceManager
#: Seconds between two samples of the latest hour, which each host keeps itself.
_SAMPLE_S = 20
#: Samples of one answer: what was missed in a longer pause is no rate of the last minutes anyway.
_MOST_SAMPLES = 15
#: Objects in one question: more of them make a vCenter slow, and other questions wait behind it.
_AT_ONCE = 250
#: Asked sooner than this there is no new sample.
_REST_S = 5.0
_KIB = 1024
_NS_PER_MS = 1_000_000

_CPU = ("cpu", "used", "summation")
_MEMORY = ("mem", "active", "average")
_READ, _WRITE = ("virtualDisk", "read", "average"), ("virtualDisk", "write", "average")
_READS = ("virtualDisk", "numberReadAveraged", "average")
_WRITES = ("virtualDisk", "numberWriteAveraged", "average")
_RX, _TX = ("net", "received", "average"), ("net", "transmitted", "average")
#: Counters of VMs, each with the instance that is asked for: disks are told one by one, all else as a sum.
_OF_VMS = {_CPU: "", _MEMORY: "", _READ: "*", _WRITE: "*", _READS: "*", _WRITES: "*", _RX: "", _TX: ""}
_HOST_CPU = ("cpu", "usagemhz", "average")
_OF_HOSTS = {_HOST_CPU: ""}

_Counter = tuple[str, str, str]


@dataclass(slots=True)
class _Sum:
    """What was counted up of one object so far."""

    at: datetime
    """Of the latest sample that is in it."""
    samples: int = 0
    totals: dict[_Counter, float] = field(default_factory=dict)
    latest: dict[_Counter, float] = field(default_factory=dict)

    def of(self, counter: _Counter, factor: float = 1.0) -> int | None:
        total = self.totals.get(counter)
        return None if total is None else int(total * factor)


@dataclass(slots=True)
class _Counted:
    """The VMs, or the hosts, and what was counted up of each."""

    kind: Any
    counters: Mapping[_Counter, str]
    sums: dict[str, _Sum] = field(default_factory=dict)
    asked_at: float = -_REST_S

    def forget_all_but(self, ids: set[str]) -> None:
        for gone in self.sums.keys() - ids:
            del self.sums[gone]

    def due(self, ids: Sequence[str]) -> Sequence[str]:
        """Whom to ask for: all of them, or those who are new when the others were asked a moment ago."""
        if time.monotonic() - self.asked_at < _REST_S:
            return [each for each in ids if each not in self.sums]
        self.asked_at = time.monotonic()
        return ids

    def add(self, entity: Element, numbers: Mapping[int, _Counter]) -> None:
        """Count one object's samples that are not counted yet."""
        taken = [datetime.fromisoformat(below(each, "timestamp")) for each in children(entity, "sampleInfo")]
        if not taken:
            return
        known = self.sums.get(below(entity, "entity"))
        news = [place for place, at in enumerate(taken) if known is None or at > known.at]
        known = self.sums.setdefault(below(entity, "entity"), _Sum(taken[-1]))
        known.at = max(known.at, taken[-1])
        known.samples += len(news)
        latest: dict[_Counter, float] = {}
        for series in children(entity, "value"):
            counter = numbers.get(int(below(child(series, "id"), "counterId") or 0))
            values = [int(each.text or 0) for each in children(series, "value")]
            if counter is None or len(values) != len(taken):
                continue
            # A value below zero stands for a sample that is missing.
            known.totals[counter] = known.totals.get(counter, 0.0) + sum(max(values[place], 0) for place in news)
            latest[counter] = latest.get(counter, 0.0) + max(values[-1], 0)
        known.latest.update(latest)


class VsphereMetrics(Part, Metrics):
    """Remembers which samples it has counted, for as long as the connection lives."""

    def __init__(self, connection: Connection, config: VsphereConfig) -> None:
        super().__init__(connection, config)
        self._vms, self._hosts = _Counted(vim.VirtualMachine, _OF_VMS), _Counted(vim.HostSystem, _OF_HOSTS)
        self._numbers: dict[_Counter, int] = {}

    def sample(self) -> Sequence[VmSample]:
        """One call for what there is, and one for every 250 VMs that run."""
        paths = ("runtime.powerState", "config.template", "config.hardware.numCPU", "config.hardware.memoryMB")
        with vendor_calls():
            running = [
                found
                for found in retrieve(self.connection, [in_view(self.shown())], [wanted(vim.VirtualMachine, *paths)])
                if found.text("runtime.powerState") == "poweredOn" and not found.is_true("config.template")
            ]
            self._count(self._vms, [found.id for found in running])
        sums = self._vms.sums
        at = max((each.at for each in sums.values()), default=datetime.now(UTC))
        return [_vm_sample(found, sums.get(found.id), at) for found in running]

    def host_sample(self) -> HostSample:
        """All hosts of the datacenter together, as on the provider's page."""
        paths = (
            "runtime.connectionState",
            "summary.hardware.cpuMhz",
            "summary.hardware.numCpuCores",
            "summary.hardware.memorySize",
            "summary.quickStats.overallMemoryUsage",
        )
        with vendor_calls():
            view = self.connection.view(vim.HostSystem)
            asked = [wanted(vim.HostSystem, *paths)]
            hosts = [
                found
                for found in retrieve(self.connection, [in_view(view)], asked)
                if found.text("runtime.connectionState") == "connected"
            ]
            self._count(self._hosts, [found.id for found in hosts])
        known = [(found, each) for found in hosts if (each := self._hosts.sums.get(found.id)) is not None]
        return HostSample(
            at=max((each.at for _, each in known), default=datetime.now(UTC)),
            cpu_busy_ns=sum(min(_busy_ns(found, each), _total_ns(found, each)) for found, each in known),
            cpu_total_ns=sum(_total_ns(found, each) for found, each in known),
            memory_mib=sum((found.number("summary.hardware.memorySize") or 0) // _KIB**2 for found in hosts),
            memory_used_mib=sum(found.number("summary.quickStats.overallMemoryUsage") or 0 for found in hosts),
        )

    # -- counting ---------------------------------------------------------------------------------------------------

    def _count(self, counted: _Counted, ids: Sequence[str]) -> None:
        """Ask for the samples since the last time, and add them up; what is gone is forgotten."""
        counted.forget_all_but(set(ids))
        asked = counted.due(ids)
        numbers = {self._number(counter): counter for counter in counted.counters}
        metrics = [
            _MANAGER.MetricId(counterId=number, instance=counted.counters[counter])
            for number, counter in numbers.items()
        ]
        for start in range(0, len(asked), _AT_ONCE):
            queries = [
                _MANAGER.QuerySpec(
                    entity=self.connection.object(counted.kind, external_id),
                    intervalId=_SAMPLE_S,
                    metricId=metrics,
                    # Of somebody new the latest sample alone.
                    startTime=counted.sums[external_id].at if external_id in counted.sums else None,
                    maxSample=_MOST_SAMPLES if external_id in counted.sums else 1,
                )
                for external_id in asked[start : start + _AT_ONCE]
            ]
            for entity in self._samples(queries):
                counted.add(entity, numbers)

    def _samples(self, queries: Sequence[Any]) -> Iterator[Element]:
        """The answer's parts, one for each object. A VM that went meanwhile spoils the whole question, so that each is
        then asked alone."""
        manager = self.connection.content.perfManager
        try:
            body = self.connection.stub.raw(manager, "QueryStats", list(queries))
        except MethodFault as exc:
            if not fault_is(exc, "vmodl.fault.ManagedObjectNotFound"):
                raise
            if len(queries) > 1:
                half = len(queries) // 2
                yield from self._samples(queries[:half])
                yield from self._samples(queries[half:])
            return
        yield from parsed(body)

    def _number(self, counter: _Counter) -> int:
        """The server's number of a counter: they differ between versions and are read once."""
        if not self._numbers:
            for info in typed(self.connection, self.connection.content.perfManager, "perfCounter") or ():
                name = (str(info.groupInfo.key), str(info.nameInfo.key), str(info.rollupType))
                self._numbers[name] = int(info.key)
        return self._numbers.get(counter, -1)


def _vm_sample(found: Found, known: _Sum | None, at: datetime) -> VmSample:
    memory_mib = found.number("config.hardware.memoryMB") or 0
    known = known or _Sum(at)
    active = known.latest.get(_MEMORY)
    return VmSample(
        external_id=found.id,
        at=at,
        vcpus=found.number("config.hardware.numCPU") or 1,
        cpu_time_ns=known.of(_CPU, _NS_PER_MS),
        memory_mib=memory_mib,
        memory_used_mib=None if active is None else min(int(active) // _KIB, memory_mib),
        # KiB a second, and operations a second, each for the whole of a sample.
        disk_read_bytes=known.of(_READ, _KIB * _SAMPLE_S),
        disk_write_bytes=known.of(_WRITE, _KIB * _SAMPLE_S),
        disk_reads=known.of(_READS, _SAMPLE_S),
        disk_writes=known.of(_WRITES, _SAMPLE_S),
        net_rx_bytes=known.of(_RX, _KIB * _SAMPLE_S),
        net_tx_bytes=known.of(_TX, _KIB * _SAMPLE_S),
    )


def _busy_ns(host: Found, known: _Sum) -> int:
    """Use is told in MHz of all cores together: as much time as it would have taken at full speed."""
    speed = host.number("summary.hardware.cpuMhz") or 1
    return known.of(_HOST_CPU, _SAMPLE_S * 1e9 / speed) or 0


def _total_ns(host: Found, known: _Sum) -> int:
    return known.samples * _SAMPLE_S * 10**9 * (host.number("summary.hardware.numCpuCores") or 1)
