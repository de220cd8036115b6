"""The tab of metrics: graphs of the last hour, and in words what they show."""

from __future__ import annotations

from typing import Any

from kvweb.accounts.models import User
from kvweb.metrics.charts import RANGES, described
from kvweb.metrics.looking import look
from kvweb.metrics.series import HOUR
from vms import meters
from vms.models import VirtualMachine
from vms.tab import Tab


def _context(vm: VirtualMachine, user: User) -> dict[str, Any]:
    del user
    if not meters.is_measured(vm):
        return {"nothing": "unsupported"}
    # From now on it is measured faster: the first value is there when the graphs ask for it.
    look([vm.provider.uuid])
    series = meters.series_of(vm, HOUR)
    return {
        "nothing": meters.why_nothing(vm, series),
        "keeps_history": meters.keeps_history(),
        "charts": described(meters.charts_of(vm), series),
        "charts_address": f"/vms/{vm.uuid}/metrics/data",
        "ranges": [(name, label, name == HOUR.name) for name, (_, label) in RANGES.items()],
    }


def _is_listed(vm: VirtualMachine) -> bool:
    return meters.is_measured(vm)


TAB = Tab(name="metrics", label="Metrics", context=_context, is_listed=_is_listed)
