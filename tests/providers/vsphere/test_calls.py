"""What operations cost at the vCenter, call by call: recorded numbers, changed knowingly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from providers.base import DiskSpec, VmSpec
from providers.vsphere.driver import VsphereDriver

RECORDED: dict[str, int] = json.loads((Path(__file__).parents[2] / "budgets" / "calls.json").read_text())["vsphere"]


def test_operations_cost_what_was_recorded(driver: VsphereDriver, spec: Callable[..., VmSpec]) -> None:
    machines, spent = driver.machines, {}

    def count(name: str, operation: Callable[[], object]) -> None:
        before = driver.connection.calls
        operation()
        spent[name] = driver.connection.calls - before

    # Views are made once for a session.
    machines.list()
    machines.delete(machines.create(spec()).external_id)
    wish = spec()
    count("create", lambda: machines.create(wish))
    vm = machines.find(wish.name).external_id
    count("list", machines.list)
    count("get", lambda: machines.get(vm))
    count("start", lambda: driver.power.start(vm))
    count("stop", lambda: driver.power.stop(vm, force=True))
    count("attach", lambda: driver.disks.attach(vm, DiskSpec(size_gib=1)))
    count("snapshot", lambda: driver.snapshots.create(vm, "once"))
    count("networks", driver.networks.list)
    count("pools", driver.pools.list)
    count("images", driver.images.list)
    count("host", driver.host.info)
    count("delete", lambda: machines.delete(vm, with_snapshots=True))
    assert spent == RECORDED
