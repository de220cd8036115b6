"""Handlers of jobs about disks: one call of the facet, then the machine as it is afterwards."""

from __future__ import annotations

from typing import Any

from kvweb.jobs.handlers import handler
from kvweb.jobs.models import Job
from kvweb.jobs.outcomes import Failed
from kvweb.jobs.progress import Reporter
from providers.base import Disks, DiskSpec, Driver
from providers.pool import DriverProgress
from vms.jobs import after_failed_change, operate


def _disks(driver: Driver) -> Disks:
    if driver.disks is None:
        raise Failed("This provider cannot change disks of its machines.", "not_supported")
    return driver.disks


@handler("vm.attach_disk", limit_s=3600, on_failure=after_failed_change)
def attach_disk(job: Job, reporter: Reporter) -> dict[str, Any]:
    spec = DiskSpec.model_validate(job.params["spec"])
    return operate(job, lambda driver, vm: _disks(driver).attach(vm.external_id, spec, DriverProgress(reporter)))


@handler("vm.grow_disk", on_failure=after_failed_change)
def grow_disk(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter
    disk, size_gib = str(job.params["disk"]), int(job.params["size_gib"])
    return operate(job, lambda driver, vm: _disks(driver).grow(vm.external_id, disk, size_gib))


@handler("vm.detach_disk", on_failure=after_failed_change)
def detach_disk(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter
    disk, delete = str(job.params["disk"]), bool(job.params.get("delete"))
    return operate(job, lambda driver, vm: _disks(driver).detach(vm.external_id, disk, delete=delete))


@handler("vm.move_disk", limit_s=4 * 3600, on_failure=after_failed_change)
def move_disk(job: Job, reporter: Reporter) -> dict[str, Any]:
    """A disk that is there already stays as it is, so a second run does no harm."""
    disk, pool = str(job.params["disk"]), str(job.params["pool"])
    return operate(job, lambda driver, vm: _disks(driver).move(vm.external_id, disk, pool, DriverProgress(reporter)))


@handler("vm.set_iso", on_failure=after_failed_change)
def set_iso(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter
    image, force = job.params.get("image"), bool(job.params.get("force"))
    return operate(job, lambda driver, vm: _disks(driver).set_iso(vm.external_id, image, force=force))
