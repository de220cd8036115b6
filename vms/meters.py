"""What machines use, as it was measured: read from the rings of their providers. Asks neither database nor provider."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable

import numpy as np
from django.conf import settings

from kvweb.metrics.charts import CPU, DISK, NETWORK, OPERATIONS, Chart, memory
from kvweb.metrics.series import Measure, Span
from kvweb.metrics.store import Series, reader
from vms.models import VirtualMachine

#: A sparkline shows so many fine steps, two in each of its points.
_SPARK_STEPS = 60


def charts_of(vm: VirtualMachine) -> list[Chart]:
    """The pictures of a machine; memory only where its provider tells what of it is used."""
    features = vm.can.metrics
    tells_memory = features is not None and features.memory_used
    return [CPU, *([memory(vm.memory_mib)] if tells_memory else []), DISK, NETWORK, OPERATIONS]


def is_measured(vm: VirtualMachine) -> bool:
    return vm.can.metrics is not None and vm.can.metrics.vms


def series_of(vm: VirtualMachine, span: Span) -> Series | None:
    """None when it was never measured."""
    if not vm.external_id:
        return None
    return reader(vm.provider.uuid).series(vm.external_id, span, now=time.time())


def why_nothing(vm: VirtualMachine, series: Series | None) -> str:
    """Why there is no line: "unsupported", "silent", "off", "collecting"; empty when there is one."""
    if not is_measured(vm):
        return "unsupported"
    if series is not None and not series.is_empty:
        return ""
    if not vm.provider.is_reachable:
        return "silent"
    return "collecting" if vm.is_running else "off"


def keeps_history() -> bool:
    return bool(settings.KVWEB_METRICS_HISTORY)


def sparklines(vms: Iterable[VirtualMachine]) -> dict[str, list[int | None]]:
    """Percent of CPU in the last ten minutes by the machine's uuid; machines of which nothing is known are left out."""
    by_provider: dict[object, dict[str, VirtualMachine]] = {}
    for vm in vms:
        if vm.external_id:
            by_provider.setdefault(vm.provider.uuid, {})[vm.external_id] = vm
    now = time.time()
    found: dict[str, list[int | None]] = {}
    for provider, named in by_provider.items():
        latest = reader(provider).latest(list(named), Measure.CPU_PERCENT, _SPARK_STEPS, now=now)
        for external_id, values in latest.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                points = np.nanmean(values.reshape(-1, 2), axis=1)
            if not np.isnan(points).all():
                told = [None if np.isnan(point) else round(point) for point in points.tolist()]
                found[str(named[external_id].uuid)] = told
    return found
