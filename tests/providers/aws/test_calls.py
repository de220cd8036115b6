"""What operations cost in calls: recorded numbers, changed knowingly (tests/budgets/calls.json)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from providers.aws.driver import AwsDriver
from providers.base import DiskSpec
from providers.testing import Harness

RECORDED: dict[str, int] = json.loads((Path(__file__).parents[2] / "budgets" / "calls.json").read_text())["aws"]


def test_operations_cost_what_was_recorded(driver: AwsDriver, aws: Harness) -> None:
    machines, spent = driver.machines, {}

    def count(name: str, operation: Callable[[], object]) -> None:
        before = driver.cloud.calls
        operation()
        spent[name] = driver.cloud.calls - before

    assert driver.power is not None
    power = driver.power
    # Types, zones and public images are asked once for a process.
    driver.images.list()
    machines.delete(machines.create(aws.vm_spec("kvweb-test-first")).external_id)
    count("create", lambda: machines.create(aws.vm_spec("kvweb-test-cost")))
    vm = machines.find("kvweb-test-cost").external_id
    count("list", machines.list)
    count("get", lambda: machines.get(vm))
    count("start", lambda: power.start(vm))
    count("stop", lambda: power.stop(vm, force=True))
    count("attach", lambda: driver.disks.attach(vm, DiskSpec(size_gib=1)))
    count("snapshot", lambda: driver.snapshots.create(vm, "once"))
    count("networks", driver.networks.list)
    count("volumes", driver.volumes.list)
    count("images", driver.images.list)
    count("host", driver.host.info)
    count("delete", lambda: machines.delete(vm, with_snapshots=True))
    count("check", driver.probe)
    assert spent == RECORDED
