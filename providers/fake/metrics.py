"""What simulated VMs use: made up from their id and the time since they were switched on, the same at every reader.

A use that swings between two levels has a sum that can be written down, so nothing has to be kept or counted.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime

from providers.base import HostSample, Metrics, PowerState, VmSample
from providers.fake.cloud import Part
from providers.fake.state import Vm

#: A VM uses most and least of everything once within this time.
_SWING_S = 240.0


class FakeMetrics(Part, Metrics):
    def sample(self) -> Sequence[VmSample]:
        with self.cloud.reading("metrics.sample") as tx:
            return [_sample(vm, tx.now) for vm in _on(tx.all(Vm), tx.now)]

    def host_sample(self) -> HostSample:
        config = self.cloud.config
        with self.cloud.reading("metrics.host_sample") as tx:
            vms, now = _on(tx.all(Vm), tx.now), tx.now
        cpus = config.cpus or 64
        memory_mib = config.memory_mib or 262_144
        # The host was there before its VMs, and what VMs that are gone have used stays used.
        return HostSample(
            at=datetime.fromtimestamp(now, UTC),
            cpu_busy_ns=int(_used(now, 0.25, 0.15, 0.0) * cpus * 1e9),
            cpu_total_ns=int(now * cpus * 1e9),
            memory_mib=memory_mib,
            memory_used_mib=min(memory_mib, 2048 + sum(vm.memory_mib for vm in vms)),
            load_1m=round(sum(_level(now, vm) * vm.vcpus for vm in vms), 2),
        )


def _on(vms: Sequence[Vm], now: float) -> list[Vm]:
    for vm in vms:
        vm.settle(now)
    return [vm for vm in vms if not vm.is_building and vm.power in {PowerState.RUNNING, PowerState.PAUSED}]


def _sample(vm: Vm, now: float) -> VmSample:
    began = vm.booted_at or vm.created_at
    # While it is paused nothing is used.
    lasting = max(0.0, now - began) if vm.power is PowerState.RUNNING else 0.0
    share, phase = _character(vm)
    busy_s = _used(lasting, share, share * 0.8, phase)
    memory_share = 0.3 + 0.4 * share + 0.1 * _level(now, vm)
    return VmSample(
        external_id=vm.id,
        at=datetime.fromtimestamp(now, UTC),
        vcpus=vm.vcpus,
        cpu_time_ns=int(busy_s * vm.vcpus * 1e9),
        memory_mib=vm.memory_mib,
        memory_used_mib=int(vm.memory_mib * min(1.0, memory_share)),
        disk_read_bytes=int(busy_s * 2_000_000),
        disk_write_bytes=int(busy_s * 5_000_000),
        disk_reads=int(busy_s * 60),
        disk_writes=int(busy_s * 140),
        net_rx_bytes=int(busy_s * 900_000) if vm.nics else 0,
        net_tx_bytes=int(busy_s * 300_000) if vm.nics else 0,
    )


def _character(vm: Vm) -> tuple[float, float]:
    """How busy it is on average (0.05 to 0.5 of its CPUs) and when it is busiest; of its id, so it stays the same."""
    number = zlib.crc32(vm.id.encode())
    return 0.05 + 0.45 * (number % 1000) / 1000, 2 * math.pi * (number // 1000 % 1000) / 1000


def _used(lasting_s: float, mean: float, swing: float, phase: float) -> float:
    """The integral from 0 of mean + swing × sin(…): seconds of use; never falls while the swing is below the mean."""
    rate = 2 * math.pi / _SWING_S
    return mean * lasting_s + swing / rate * (math.cos(phase) - math.cos(rate * lasting_s + phase))


def _level(now: float, vm: Vm) -> float:
    share, phase = _character(vm)
    lasting = now - (vm.booted_at or vm.created_at)
    return share * (1 + 0.8 * math.sin(2 * math.pi / _SWING_S * lasting + phase))
