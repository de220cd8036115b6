"""Handlers of migration: two drivers, one facet's call, and the row follows the machine."""

from __future__ import annotations

import logging
import time
from typing import Any

from django.db import transaction

from kvweb.jobs import services as jobs
from kvweb.jobs.handlers import handler
from kvweb.jobs.models import Job
from kvweb.jobs.outcomes import UNCERTAIN, Failed
from kvweb.jobs.progress import Reporter
from providers.base import Driver, NotFound, VmRecord
from providers.models import Provider
from providers.pool import DriverProgress, open_driver
from vms import inventory
from vms.jobs import clear_problem, note_problem, vm_of
from vms.models import VirtualMachine

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0


def _target(job: Job) -> Provider:
    target = Provider.objects.filter(uuid=job.params["target"], is_enabled=True).first()
    if target is None:
        raise Failed("The provider that it was to move to is gone or disabled.", "not_found")
    return target


def after_failed_migration(job: Job) -> None:
    """It stayed where it was, unless nobody knows: then both ends are looked at."""
    note_problem(job)
    if job.code not in UNCERTAIN:
        return
    vm = vm_of(job)
    transaction.on_commit(
        lambda: jobs.start(
            "vm.locate",
            title=f"Look where “{vm.name}” is",
            subject=vm.subject,
            subject_name=vm.name,
            doing="Looking where it is",
            place=vm.provider.place,
            project_id=vm.project_id,
            params={"target": job.params["target"]},
        )
    )


@handler("vm.migrate", limit_s=12 * 3600, on_failure=after_failed_migration)
def migrate(job: Job, reporter: Reporter) -> dict[str, Any]:
    vm, target = vm_of(job), _target(job)
    with open_driver(target) as there:
        # Asked once, so that an unreachable target is told as such: below, what fails is put down to the source.
        there.probe()
    with open_driver(vm.provider) as here:
        if here.migration is None:
            raise Failed("This provider cannot move machines to another.", "not_supported")
        record = here.migration.migrate(
            vm.external_id,
            there,
            live=bool(job.params.get("live")),
            copy_storage=bool(job.params.get("copy_storage")),
            progress=DriverProgress(reporter),
        )
    inventory.move(vm, target, record)
    clear_problem(vm)
    return {"external_id": record.external_id, "provider": str(target.uuid)}


@handler("vm.locate", retries=8, limit_s=12 * 3600)
def locate(job: Job, reporter: Reporter) -> dict[str, Any]:
    """After a migration whose worker died: the machine is at one end or the other, and its row goes there."""
    vm, target = vm_of(job), _target(job)
    reporter.report(10, f"Looking at “{vm.provider}”")
    with open_driver(vm.provider) as driver:
        _wait_for_its_end(driver, vm, reporter)
        try:
            inventory.apply(vm.provider, [driver.machines.get(vm.external_id)])
        except NotFound:
            logger.info("It is not there any more.")
        else:
            # What was copied by then is nobody's there; only the driver knows whether both see the same storage.
            with open_driver(target) as there:
                removed = driver.migration is not None and driver.migration.discard(vm.external_id, there)
                return {"moved": False, "removed": removed}
    reporter.report(50, f"Looking at “{target}”")
    with open_driver(target) as driver:
        found = next((record for record in driver.machines.list() if _is_it(record, vm)), None)
    if found is None:
        inventory.forget(vm.provider, vm.external_id)
        raise Failed("It is at neither provider any more.", "not_found")
    with open_driver(vm.provider) as driver, open_driver(target) as there:
        # Its disks were copied, and nobody was left to remove them here.
        if driver.migration is not None:
            driver.migration.discard(vm.external_id, there)
    inventory.move(vm, target, found)
    return {"moved": True}


def _wait_for_its_end(driver: Driver, vm: VirtualMachine, reporter: Reporter) -> None:
    """A provider may carry it on without the worker that asked for it."""
    while driver.migration is not None and driver.migration.is_under_way(vm.external_id):
        reporter.report(10, f"It is still on its way from “{vm.provider}”")
        reporter.checkpoint()
        time.sleep(_LOOK_EVERY_S)


def _is_it(record: VmRecord, vm: VirtualMachine) -> bool:
    """A machine keeps the portal's mark; one that was never marked keeps its identity where the kind has one."""
    if record.portal_uuid:
        return record.portal_uuid == str(vm.uuid)
    return record.external_id == vm.external_id and record.name == vm.name
