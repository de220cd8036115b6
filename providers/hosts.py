"""What the page of a host tells: from its row, from the rows of its machines, and from the rings. No call anywhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from kvweb.metrics.charts import CPU, DISK, LOAD, NETWORK, Chart, memory, memory_words, percent_words
from kvweb.metrics.series import HOST, HOUR, Measure, Span
from kvweb.metrics.store import Series, reader
from kvweb.ui.words import UNKNOWN, size_words
from providers.models import Provider

#: How many of the busiest machines are named.
MOST_TOP = 5


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much of something the host has, and how much of it machines were promised."""

    label: str
    total: str
    running: str
    defined: str
    #: Of the running machines and of all of them, in percent of what there is.
    percent: int
    defined_percent: int

    @property
    def is_over(self) -> bool:
        """More was promised to running machines than there is."""
        return self.percent > 100

    @property
    def ratio(self) -> str:
        """ "1.5 : 1" of promised to there."""
        return f"{self.percent / 100:.2f}".rstrip("0").rstrip(".") + " : 1"


@dataclass(frozen=True, slots=True)
class Consumer:
    """A machine that uses much."""

    name: str
    address: str
    words: str
    percent: int


def capacity(provider: Provider) -> list[Capacity]:
    """CPUs and memory; empty where the host tells no totals."""
    machines = list(_machines(provider).values_list("power", "vcpus", "memory_mib"))
    host = provider.host or {}
    found = []
    for label, place, total, words in (
        ("CPUs", 1, host.get("cpus_total"), str),
        ("Memory", 2, host.get("memory_total_mib"), size_words),
    ):
        if not total:
            continue
        running = sum(row[place] for row in machines if row[0] == "running")
        defined = sum(row[place] for row in machines)
        found.append(
            Capacity(
                label,
                words(total),
                words(running) if running else "0",
                words(defined) if defined else "0",
                round(100 * running / total),
                round(100 * defined / total),
            )
        )
    return found


def density(provider: Provider) -> dict[str, int]:
    """How many machines there are, and how many of them run."""
    powers = list(_machines(provider).values_list("power", flat=True))
    return {"total": len(powers), "running": sum(power == "running" for power in powers)}


def _machines(provider: Provider) -> Any:
    # The machines' app stands above this one: its words are text.
    return provider.vms.filter(presence="present")


def charts_of(provider: Provider) -> list[Chart]:
    """What the host itself says, and the traffic of its machines together."""
    features = provider.can.metrics
    own = [CPU, memory((provider.host or {}).get("memory_total_mib")), LOAD] if features and features.host else []
    of_machines = [DISK, NETWORK] if features and features.vms else []
    return [*own, *of_machines]


def series_of(provider: Provider, span: Span) -> Series | None:
    return reader(provider.uuid).series(HOST, span, now=time.time())


def why_nothing(provider: Provider, series: Series | None) -> str:
    """As for a machine: "unsupported", "silent", "collecting" or empty."""
    if not charts_of(provider):
        return "unsupported"
    if series is not None and not series.is_empty:
        return ""
    return "collecting" if provider.is_reachable else "silent"


def measured_at(series: Series | None) -> datetime | None:
    """When the newest value was kept."""
    if series is None or series.is_empty:
        return None
    last = int(np.flatnonzero(~np.isnan(series.values).all(axis=1))[-1])
    return datetime.fromtimestamp(series.begins + (last + 1) * series.step_s, UTC)


def top_consumers(provider: Provider) -> dict[str, list[Consumer]]:
    """The machines that use most of the host's processors and of its memory, by the newest reading."""
    newest = reader(provider.uuid).newest(now=time.time())
    if newest is None:
        return {}
    places, values = newest
    rows = _machines(provider).filter(power="running").values_list("external_id", "name", "uuid", "vcpus")
    known = [(name, uuid, vcpus, values[places[key]]) for key, name, uuid, vcpus in rows if key in places]
    host = provider.host or {}
    cpus, memory_mib = host.get("cpus_total") or 0, host.get("memory_total_mib") or 0
    by_cpu = [
        # Of its own processors; on the host it counts for as many of them as it has.
        (name, uuid, float(row[Measure.CPU_PERCENT]) * max(vcpus, 1), float(row[Measure.CPU_PERCENT]))
        for name, uuid, vcpus, row in known
        if not np.isnan(row[Measure.CPU_PERCENT])
    ]
    by_memory = [
        (name, uuid, float(row[Measure.MEMORY_MIB]))
        for name, uuid, _, row in known
        if not np.isnan(row[Measure.MEMORY_MIB])
    ]
    by_cpu.sort(key=lambda each: -each[2])
    by_memory.sort(key=lambda each: -each[2])
    return {
        "CPU": [
            Consumer(name, f"/vms/{uuid}/metrics", f"{percent_words(own)} of its own", _share(used, cpus * 100))
            for name, uuid, used, own in by_cpu[:MOST_TOP]
        ],
        "Memory": [
            Consumer(name, f"/vms/{uuid}/metrics", memory_words(used), _share(used, memory_mib))
            for name, uuid, used in by_memory[:MOST_TOP]
        ],
    }


def _share(used: float, total: float) -> int:
    return min(100, round(100 * used / total)) if total else 0


#: Facts that a host may tell, with their titles, in the order in which they are shown.
_FACTS = {
    "cpu_model": "Processor",
    "arch": "Architecture",
    "kernel": "Kernel",
    "libvirt": "libvirt",
    "qemu": "QEMU",
    "emulator": "Emulator",
    "machines": "Machine types",
    "max_vcpus": "Most vCPUs of a machine",
    "numa_nodes": "NUMA nodes",
    "uefi": "UEFI firmware",
    "region": "Region",
    "lacks": "Rights that the account lacks",
}


def facts(provider: Provider) -> list[tuple[str, str]]:
    """Versions and the like, as far as the host tells them."""
    host = provider.host or {}
    details: Mapping[str, Any] = host.get("details") or {}
    told = [("Version", str(host["version"]))] if host.get("version") and "libvirt" not in details else []
    if all(details.get(name) for name in ("sockets", "cores_per_socket", "threads_per_core")):
        sockets, cores, threads = (details[name] for name in ("sockets", "cores_per_socket", "threads_per_core"))
        layout = f"{sockets} × {cores} cores" + (f", {threads} threads each" if threads > 1 else "")
        told.append(("Layout", layout))
    for name, title in _FACTS.items():
        value = details.get(name)
        if value not in (None, "", []):
            told.append((title, _words(value)))
    return sorted(told, key=lambda pair: pair[0] != "Processor")


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value) or UNKNOWN


#: Sorts of devices with their words.
SORTS = {"net": "Network", "storage": "Storage", "pci": "PCI", "usb": "USB"}


def devices(provider: Provider) -> dict[str, list[Mapping[str, Any]]]:
    """What is built into the host, by sort."""
    told = ((provider.host or {}).get("details") or {}).get("devices") or []
    found = {label: [device for device in told if device.get("sort") == sort] for sort, label in SORTS.items()}
    return {label: listed for label, listed in found.items() if listed}


def hour_of(provider: Provider) -> Series | None:
    return series_of(provider, HOUR)
