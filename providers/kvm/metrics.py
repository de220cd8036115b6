"""What VMs and the host use, by libvirt's bulk statistics: one call for all VMs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from providers.base import HostSample, Metrics, VmSample
from providers.kvm.errors import vendor_calls
from providers.kvm.hostfacts import memory_mib
from providers.kvm.native import libvirt
from providers.kvm.part import Part

_STATS = (
    libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_BLOCK
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
)
#: Only VMs that are on, and none is waited for: what a VM that is busy or stuck cannot tell now is left out.
_FLAGS = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT


class KvmMetrics(Part, Metrics):
    def sample(self) -> Sequence[VmSample]:
        with vendor_calls():
            told = self.raw.getAllDomainStats(_STATS, _FLAGS)
        now = datetime.now(UTC)
        return [vm_sample(domain.UUIDString(), now, stats) for domain, stats in told]

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


def vm_sample(external_id: str, at: datetime, stats: Mapping[str, Any]) -> VmSample:
    """One VM's answer (the fields of virConnectGetAllDomainStats). Called for every VM of a host every few seconds."""
    reads = writes = read_bytes = write_bytes = None
    for index in range(stats.get("block.count", 0)):
        # A drive whose numbers are missing (its VM was busy) makes the sums of this reading unknown, not smaller.
        try:
            counted = (
                stats[f"block.{index}.rd.reqs"],
                stats[f"block.{index}.wr.reqs"],
                stats[f"block.{index}.rd.bytes"],
                stats[f"block.{index}.wr.bytes"],
            )
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
        received = (received or 0) + stats.get(f"net.{index}.rx.bytes", 0)
        sent = (sent or 0) + stats.get(f"net.{index}.tx.bytes", 0)
    return VmSample(
        external_id=external_id,
        at=at,
        vcpus=stats.get("vcpu.current", 1),
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
