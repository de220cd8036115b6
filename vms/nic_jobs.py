"""Handlers of jobs about network cards: one call of the facet, then the machine as it is afterwards."""

from __future__ import annotations

from typing import Any

from kvweb.jobs.handlers import handler
from kvweb.jobs.models import Job
from kvweb.jobs.outcomes import Failed
from kvweb.jobs.progress import Reporter
from providers.base import Driver, NicChange, Nics, NicSpec
from vms.jobs import after_failed_change, operate


def _nics(driver: Driver) -> Nics:
    if driver.nics is None:
        raise Failed("This provider cannot change network cards of its machines.", "not_supported")
    return driver.nics


@handler("vm.add_nic", on_failure=after_failed_change)
def add_nic(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter
    spec = NicSpec.model_validate(job.params["spec"])
    return operate(job, lambda driver, vm: _nics(driver).add(vm.external_id, spec))


@handler("vm.change_nic", on_failure=after_failed_change)
def change_nic(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter
    nic, change = str(job.params["nic"]), NicChange.model_validate(job.params["change"])
    return operate(job, lambda driver, vm: _nics(driver).update(vm.external_id, nic, change))


@handler("vm.remove_nic", on_failure=after_failed_change)
def remove_nic(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter
    nic = str(job.params["nic"])
    return operate(job, lambda driver, vm: _nics(driver).remove(vm.external_id, nic))


@handler("vm.give_address", on_failure=after_failed_change)
def give_address(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter
    nic = str(job.params["nic"])
    return operate(job, lambda driver, vm: _nics(driver).give_public_address(vm.external_id, nic))


@handler("vm.take_address", on_failure=after_failed_change)
def take_address(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter
    nic = str(job.params["nic"])
    return operate(job, lambda driver, vm: _nics(driver).take_public_address(vm.external_id, nic))
