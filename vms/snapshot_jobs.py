"""Handlers of jobs about snapshots: the facet's call, then the machine read in full, since its tree has changed."""

from __future__ import annotations

import logging
from typing import Any

from kvweb.jobs.handlers import handler
from kvweb.jobs.models import Job
from kvweb.jobs.outcomes import Failed
from kvweb.jobs.progress import Reporter
from providers.base import AlreadyExists, Driver, NotFound, PowerState, Snapshots, VmRecord
from providers.pool import DriverProgress
from vms.jobs import after_failed_change, operate
from vms.models import VirtualMachine

logger = logging.getLogger(__name__)


def _snapshots(driver: Driver) -> Snapshots:
    if driver.snapshots is None:
        raise Failed("This provider keeps no snapshots.", "not_supported")
    return driver.snapshots


@handler("vm.take_snapshot", limit_s=3600, on_failure=after_failed_change)
def take_snapshot(job: Job, reporter: Reporter) -> dict[str, Any]:
    params = job.params

    def work(driver: Driver, vm: VirtualMachine) -> VmRecord:
        _snapshots(driver).create(
            vm.external_id,
            str(params["name"]),
            description=str(params.get("description", "")),
            memory=bool(params.get("memory")),
            external=bool(params.get("external")),
            progress=DriverProgress(reporter),
        )
        return driver.machines.get(vm.external_id)

    return operate(job, work)


@handler("vm.revert_to_snapshot", limit_s=3600, on_failure=after_failed_change)
def revert_to_snapshot(job: Job, reporter: Reporter) -> dict[str, Any]:
    snapshot, keep_now = str(job.params["snapshot"]), str(job.params.get("keep_now") or "")

    def work(driver: Driver, vm: VirtualMachine) -> VmRecord:
        if keep_now:
            _keep_now(driver, vm, keep_now, DriverProgress(reporter, 0, 50))
        _snapshots(driver).revert(vm.external_id, snapshot, DriverProgress(reporter, 50 if keep_now else 0, 100))
        return driver.machines.get(vm.external_id)

    return operate(job, work)


def _keep_now(driver: Driver, vm: VirtualMachine, name: str, progress: DriverProgress) -> None:
    """A snapshot before all else; one of this name was taken by an earlier run of the same job."""
    power = driver.machines.get(vm.external_id).power
    can = vm.can.snapshots
    memory = can is not None and can.memory and power in {PowerState.RUNNING, PowerState.PAUSED}
    try:
        _snapshots(driver).create(vm.external_id, name, memory=memory, progress=progress)
    except AlreadyExists:
        logger.info("It was taken already.")


@handler("vm.delete_snapshot", limit_s=3600, on_failure=after_failed_change)
def delete_snapshot(job: Job, reporter: Reporter) -> dict[str, Any]:
    snapshot = str(job.params["snapshot"])

    def work(driver: Driver, vm: VirtualMachine) -> VmRecord:
        try:
            _snapshots(driver).delete(vm.external_id, snapshot, DriverProgress(reporter))
        except NotFound:
            # Gone is what was wanted; a machine that is gone is told by the next call.
            logger.info("It was gone already.")
        return driver.machines.get(vm.external_id)

    return operate(job, work)
