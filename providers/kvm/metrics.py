"""What VMs and the host use, by libvirt's bulk statistics: one call for all VMs."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

from providers.base import HostSample, Metrics, VmSample
from providers.kvm.config import KvmConfig
from providers.kvm.connection import Connection
from providers.kvm.errors import vendor_calls
from providers.kvm.hostfacts import memory_mib
from providers.kvm.native import libvirt
from providers.kvm.part import Part

_STATS = (
    libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_BLOCK
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
)
#: Only VMs that are on, and none is waited for: what a VM that is busy or stuck cannot tell now is left out.
_FLAGS = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT


#: How many vCPUs a VM has is told with dozens of numbers of each one's own, for which its monitor is asked once more;
#: and they change by hand only. So they are counted now and then.
_COUNT_VCPUS = libvirt.VIR_DOMAIN_STATS_VCPU
_COUNT_S = 60.0


class KvmMetrics(Part, Metrics):
    def __init__(self, connection: Connection, config: KvmConfig) -> None:
        super().__init__(connection, config)
        #: By uuid; replaced as a whole, so that threads need no lock.
        self._vcpus: Mapping[str, int] = {}
        self._counted_at = -_COUNT_S

    def sample(self) -> Sequence[VmSample]:
        began = time.monotonic()
        counts = began - self._counted_at >= _COUNT_S
        with vendor_calls():
            told = self._told(_STATS | _COUNT_VCPUS if counts else _STATS)
            now = datetime.now(UTC)
            named = [(domain.UUIDString(), domain, stats) for domain, stats in told]
            if counts:
                self._vcpus, self._counted_at = _counted((uuid, stats) for uuid, _, stats in named), began
            elif new := [domain for uuid, domain, _ in named if uuid not in self._vcpus]:
                found = self.raw.domainListGetStats(new, _COUNT_VCPUS, _FLAGS)
                self._vcpus = {**self._vcpus, **_counted((domain.UUIDString(), stats) for domain, stats in found)}
        vcpus = self._vcpus
        return [vm_sample(uuid, now, vcpus.get(uuid, 1), stats) for uuid, _, stats in named]

    def _told(self, wanted: int) -> list[tuple[Any, dict[str, Any]]]:
        """The one call, and what it says of each VM."""
        return list(self.raw.getAllDomainStats(wanted, _FLAGS))

    def host_sample(self) -> HostSample:
        with vendor_calls():
            # Nanoseconds since the host's start, of all its processors together.
            cpu = self.raw.getCPUStats(libvirt.VIR_NODE_CPU_STATS_ALL_CPUS)
            memory = self.raw.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)
            total_mib = memory_mib(self.raw)
        now = datetime.now(UTC)
        busy = cpu.get("kernel", 0) + cpu.get("user", 0)
        # Caches are given back when something needs the memory, so they are not in use.
        free_kib = sum(memory.get(name, 0) for name in ("free", "buffers", "cached"))
        return HostSample(
            at=now,
            cpu_busy_ns=busy,
            cpu_total_ns=busy + cpu.get("idle", 0) + cpu.get("iowait", 0),
            memory_mib=total_mib,
            memory_used_mib=max(0, total_mib - free_kib // 1024),
            # libvirt does not tell the load of a host; of this one it is known.
            load_1m=round(os.getloadavg()[0], 2) if self.connection.is_local else None,
        )


def _counted(told: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, int]:
    """vCPUs of those VMs that told; of one that was busy nothing is remembered, and it is asked again."""
    return {uuid: stats["vcpu.current"] for uuid, stats in told if "vcpu.current" in stats}


# The names of the numbers are the same for every VM, and putting them together takes longer than looking them up.
@functools.cache
def _disk(index: int) -> Callable[[Mapping[str, Any]], tuple[int, int, int, int]]:
    return itemgetter(*(f"block.{index}.{name}" for name in ("rd.reqs", "wr.reqs", "rd.bytes", "wr.bytes")))


@functools.cache
def _nic(index: int) -> tuple[str, str]:
    return f"net.{index}.rx.bytes", f"net.{index}.tx.bytes"


def vm_sample(external_id: str, at: datetime, vcpus: int, stats: Mapping[str, Any]) -> VmSample:
    """One VM's answer (the fields of virConnectGetAllDomainStats). Called for every VM of a host every few seconds."""
    reads = writes = read_bytes = write_bytes = None
    for index in range(stats.get("block.count", 0)):
        # A drive whose numbers are missing (its VM was busy) makes the sums of this reading unknown, not smaller.
        try:
            counted = _disk(index)(stats)
        except KeyError:
            # An empty drive has none, and never had.
            if f"block.{index}.path" in stats:
                reads = writes = read_bytes = write_bytes = None
                break
            continue
        reads, writes = (reads or 0) + counted[0], (writes or 0) + counted[1]
        read_bytes, write_bytes = (read_bytes or 0) + counted[2], (write_bytes or 0) + counted[3]
    received = sent = None
    for index in range(stats.get("net.count", 0)):
        rx, tx = _nic(index)
        received = (received or 0) + stats.get(rx, 0)
        sent = (sent or 0) + stats.get(tx, 0)
    return VmSample(
        external_id=external_id,
        at=at,
        vcpus=vcpus,
        cpu_time_ns=stats.get("cpu.time"),
        memory_mib=stats.get("balloon.current", 0) // 1024,
        memory_used_mib=_used_mib(stats),
        disk_read_bytes=read_bytes,
        disk_write_bytes=write_bytes,
        disk_reads=reads,
        disk_writes=writes,
        net_rx_bytes=received,
        net_tx_bytes=sent,
    )


def _used_mib(stats: Mapping[str, Any]) -> int | None:
    """What the guest's balloon driver says: all memory that it sees without what it could give to a new program.

    Only guests with the driver tell, and only where the VM's document asks for it (`<stats period>`). "available" is
    the guest's total there; an old guest tells "unused" (free) instead of "usable".
    """
    total = stats.get("balloon.available")
    free = stats.get("balloon.usable", stats.get("balloon.unused"))
    if total is None or free is None:
        return None
    # The kernel keeps a part for itself that is no memory to the guest: it is in use too.
    return int(max(0, max(total, stats.get("balloon.current", total)) - free) // 1024)
