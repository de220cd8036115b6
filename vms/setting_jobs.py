"""Handlers of jobs about settings: one call of the facet, then the machine as it is, and what still waits."""

from __future__ import annotations

from typing import Any

from kvweb.jobs.handlers import handler
from kvweb.jobs.models import Job
from kvweb.jobs.outcomes import Failed
from kvweb.jobs.progress import Reporter
from providers.base import Driver, Reshape, VmRecord
from providers.pool import DriverProgress
from vms.jobs import after_failed_change, off_and_on, operate
from vms.models import VirtualMachine


def _reshape(driver: Driver) -> Reshape:
    if driver.reshape is None:
        raise Failed("This provider cannot change its machines.", "not_supported")
    return driver.reshape


@handler("vm.resize", on_failure=after_failed_change)
def resize(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter
    vcpus, memory_mib = job.params.get("vcpus"), job.params.get("memory_mib")

    def work(driver: Driver, vm: VirtualMachine) -> VmRecord:
        record = None
        if vcpus is not None:
            record = _reshape(driver).set_vcpus(vm.external_id, int(vcpus))
        if memory_mib is not None:
            record = _reshape(driver).set_memory(vm.external_id, int(memory_mib))
        return record or driver.machines.get(vm.external_id)

    return operate(job, work)


@handler("vm.change_flavor", limit_s=1800, on_failure=after_failed_change)
def change_flavor(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter
    flavor = str(job.params["flavor"])
    return operate(job, lambda driver, vm: _reshape(driver).set_flavor(vm.external_id, flavor))


@handler("vm.set_options", on_failure=after_failed_change)
def set_options(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter
    options = dict(job.params["options"])
    return operate(job, lambda driver, vm: _reshape(driver).set_options(vm.external_id, options))


@handler("vm.set_autostart", on_failure=after_failed_change)
def set_autostart(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter
    autostart = bool(job.params["autostart"])
    return operate(job, lambda driver, vm: _reshape(driver).set_autostart(vm.external_id, autostart))


@handler("vm.apply_pending", limit_s=300, on_failure=after_failed_change)
def apply_pending(job: Job, reporter: Reporter) -> dict[str, Any]:
    return operate(job, lambda driver, vm: off_and_on(driver, vm, DriverProgress(reporter)))
