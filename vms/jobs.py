"""Handlers of machine jobs: open the driver, call one facet, apply the record."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.utils import timezone

from kvweb.events.services import publish
from kvweb.jobs import services as jobs
from kvweb.jobs.handlers import handler
from kvweb.jobs.models import Job, JobState
from kvweb.jobs.outcomes import UNCERTAIN, Failed
from kvweb.jobs.progress import Reporter
from providers.base import Driver, NotFound, Progress, VmRecord, VmSpec
from providers.base.facets.power import Power
from providers.pool import DriverProgress, open_driver
from providers.secrets import unseal
from storage.volume_moves import Move, note_moves, read_soon
from vms import inventory
from vms.choices import Presence
from vms.models import VirtualMachine

logger = logging.getLogger(__name__)


def vm_of(job: Job) -> VirtualMachine:
    return VirtualMachine.objects.select_related("provider", "project").get(uuid=job.subject.partition(":")[2])


def note_problem(job: Job) -> None:
    """After a failure: the machine's row says what did not happen, until the next success or until it is dismissed."""
    if job.state == JobState.CANCELLED:
        return
    vm = vm_of(job)
    what = _PREPOSITION.sub("", job.title.rpartition(" “")[0] or job.title)
    vm.problem, vm.problem_job = f"{what} failed: {job.reason}"[:500], job.uuid
    vm.save(update_fields=["problem", "problem_job"])


#: Between what was done and the machine's name in a job's title: "Grow disk vda of “web-1”".
_PREPOSITION = re.compile(r"( (of|to|from|into)|:)\Z")


def after_failed_change(job: Job) -> None:
    """The row says why; when nobody knows how far it got, what was left half made is put in order, and the machine is
    read anew so that the row says what is."""
    note_problem(job)
    if job.code in UNCERTAIN or job.state == JobState.CANCELLED:
        vm = vm_of(job)
        transaction.on_commit(lambda: read_later(vm))


def read_later(vm: VirtualMachine) -> None:
    jobs.start(
        "vm.refresh",
        title=f"Read “{vm.name}”",
        subject=vm.subject,
        subject_name=vm.name,
        doing="Reading",
        place=vm.provider.place,
        project_id=vm.project_id,
        params={"tidy": True},
        is_background=True,
    )


def clear_problem(vm: VirtualMachine) -> None:
    if vm.problem:
        VirtualMachine.objects.filter(pk=vm.pk).update(problem="", problem_job=None)


# -- create ------------------------------------------------------------------------------------------------------------


def after_failed_create(job: Job) -> None:
    """The row says why; a cancelled creation takes its row away; a lost worker may have left something to clear up."""
    vm = vm_of(job)
    # The sealed wish may hold a password's hash; trying again starts from the form.
    Job.objects.filter(pk=job.pk).update(params={})
    if job.state == JobState.CANCELLED:
        VirtualMachine.objects.filter(pk=vm.pk).update(presence=Presence.DELETED, told_at=timezone.now())
        publish(vm.subject, project_id=vm.project_id, topic="gone")
    else:
        # What was made for a moment is undone again; the row waits for "Try again" or "Dismiss".
        VirtualMachine.objects.filter(pk=vm.pk).exclude(presence=Presence.DELETED).update(
            presence=Presence.WANTED, external_id="", missing_since=None, told_at=timezone.now()
        )
        note_problem(job)
    if job.code in UNCERTAIN:
        transaction.on_commit(lambda: settle_later(vm))


def settle_later(vm: VirtualMachine) -> None:
    jobs.start(
        "vm.settle",
        title=f"Clear up after “{vm.name}”",
        subject=vm.subject,
        subject_name=vm.name,
        doing="Clearing up",
        place=vm.provider.place,
        project_id=vm.project_id,
    )


@handler("vm.create", limit_s=3600, on_failure=after_failed_create)
def create(job: Job, reporter: Reporter) -> dict[str, Any]:
    vm = vm_of(job)
    spec = VmSpec.model_validate(json.loads(unseal(job.params["spec"])["spec"]))
    with open_driver(vm.provider) as driver:
        record = driver.machines.create(spec, DriverProgress(reporter))
    inventory.apply(vm.provider, [record])
    clear_problem(vm)
    Job.objects.filter(pk=job.pk).update(params={})
    return {"external_id": record.external_id}


@handler("vm.settle", retries=8, limit_s=300)
def settle(job: Job, reporter: Reporter) -> dict[str, Any]:
    """After a creation whose worker died: take over the machine if it exists, otherwise remove what was half made."""
    vm = vm_of(job)
    reporter.report(10, "Looking for what was made")
    with open_driver(vm.provider) as driver:
        found = next((found for found in driver.machines.list() if found.portal_uuid == str(vm.uuid)), None)
        if found is not None:
            inventory.apply(vm.provider, [found])
            VirtualMachine.objects.filter(pk=vm.pk).update(
                problem="Its creation was interrupted, but the machine exists. Check that it is as you wanted it."
            )
            return {"found": True}
        removed = driver.machines.discard(str(vm.uuid))
    return {"found": False, "removed": removed}


# -- power -------------------------------------------------------------------------------------------------------------


def power_of(driver: Driver) -> Power:
    if driver.power is None:
        raise Failed("This provider cannot switch machines on or off.", "not_supported")
    return driver.power


def is_gone(driver: Driver, vm: VirtualMachine) -> bool:
    """Whether the machine itself is what was not found: it may have been its network, its pool or an image."""
    try:
        driver.machines.get(vm.external_id)
    except NotFound:
        return True
    return False


def operate(job: Job, work: Callable[[Driver, VirtualMachine], VmRecord]) -> dict[str, Any]:
    """Do one thing with one machine and apply the record that comes back."""
    vm = vm_of(job)
    with open_driver(vm.provider) as driver:
        try:
            record = work(driver, vm)
        except NotFound:
            if is_gone(driver, vm):
                inventory.forget(vm.provider, vm.external_id)
            raise
    inventory.apply(vm.provider, [record])
    clear_problem(vm)
    # What waits for a restart has not happened yet, and the page says so.
    return {"power": record.power.value, **({"pending": list(record.pending)} if record.pending else {})}


def off_and_on(driver: Driver, vm: VirtualMachine, progress: Progress) -> VmRecord:
    """Switch it off and on for what waits; run twice it starts what the first run stopped."""
    power = power_of(driver)
    if driver.machines.get(vm.external_id).pending:
        power.stop(vm.external_id, progress=progress)
    return power.start(vm.external_id, progress)


@handler("vm.start", retries=1, on_failure=note_problem)
def start(job: Job, reporter: Reporter) -> dict[str, Any]:
    return operate(job, lambda driver, vm: power_of(driver).start(vm.external_id, DriverProgress(reporter)))


@handler("vm.stop", retries=1, on_failure=note_problem)
def stop(job: Job, reporter: Reporter) -> dict[str, Any]:
    force = bool(job.params.get("force"))
    return operate(
        job,
        lambda driver, vm: power_of(driver).stop(vm.external_id, force=force, progress=DriverProgress(reporter)),
    )


@handler("vm.restart", on_failure=note_problem)
def restart(job: Job, reporter: Reporter) -> dict[str, Any]:
    """The guest reboots; where settings wait for it, the machine itself is switched off and on."""
    force = bool(job.params.get("force"))

    def work(driver: Driver, vm: VirtualMachine) -> VmRecord:
        if vm.pending and not force:
            return off_and_on(driver, vm, DriverProgress(reporter))
        return power_of(driver).restart(vm.external_id, force=force, progress=DriverProgress(reporter))

    return operate(job, work)


@handler("vm.pause", on_failure=note_problem)
def pause(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter
    return operate(job, lambda driver, vm: power_of(driver).pause(vm.external_id))


@handler("vm.resume", on_failure=note_problem)
def resume(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter
    return operate(job, lambda driver, vm: power_of(driver).resume(vm.external_id))


@handler("vm.refresh", retries=3)
def refresh(job: Job, reporter: Reporter) -> dict[str, Any]:
    """What was asked for and failed stays noted: reading is not its success."""
    del reporter
    vm = vm_of(job)
    with open_driver(vm.provider) as driver:
        try:
            if job.params.get("tidy") and driver.snapshots is not None:
                driver.snapshots.tidy(vm.external_id)
            record = driver.machines.get(vm.external_id)
        except NotFound:
            if is_gone(driver, vm):
                inventory.forget(vm.provider, vm.external_id)
            raise
    inventory.apply(vm.provider, [record])
    # What waits for a restart has not happened yet, and the page says so.
    return {"power": record.power.value, **({"pending": list(record.pending)} if record.pending else {})}


@handler("vm.rename", on_failure=after_failed_change)
def rename(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter

    def work(driver: Driver, vm: VirtualMachine) -> VmRecord:
        if driver.reshape is None:
            raise Failed("This provider cannot rename machines.", "not_supported")
        return driver.reshape.rename(vm.external_id, str(job.params["name"]))

    return operate(job, work)


# -- delete ------------------------------------------------------------------------------------------------------------


def after_failed_delete(job: Job) -> None:
    """The row says why. What nobody saw the end of is begun once more: somebody wanted it gone, and half is worse."""
    vm = vm_of(job)
    if job.code == "worker_gone" and not job.params.get("again"):
        note_problem(job)
        transaction.on_commit(lambda: delete_again(vm, job))
    else:
        after_failed_change(job)


def delete_again(vm: VirtualMachine, job: Job) -> None:
    jobs.start(
        "vm.delete",
        title=job.title,
        subject=vm.subject,
        subject_name=vm.name,
        doing="Deleting",
        place=vm.provider.place,
        project_id=vm.project_id,
        user=job.user,
        params={**job.params, "again": True},
        retry_of=job,
    )


@handler("vm.delete", retries=2, limit_s=600, on_failure=after_failed_delete)
def delete(job: Job, reporter: Reporter) -> dict[str, Any]:
    """A machine that is gone already is as good as deleted; the row stays as history."""
    vm = vm_of(job)
    if vm.is_protected:
        # Somebody was quicker than the queue.
        raise Failed("It is protected from deletion; its settings take that back.", "conflict")
    with open_driver(vm.provider) as driver:
        try:
            driver.machines.delete(
                vm.external_id,
                keep_disks=bool(job.params.get("keep_disks")),
                with_snapshots=bool(job.params.get("with_snapshots")),
                progress=DriverProgress(reporter),
            )
        except NotFound:
            if not is_gone(driver, vm):
                raise
            logger.info("It was gone already.")
    with transaction.atomic():
        VirtualMachine.objects.filter(pk=vm.pk).update(
            presence=Presence.DELETED, problem="", problem_job=None, told_at=timezone.now()
        )
        publish(vm.subject, project_id=vm.project_id, topic="gone")
        note_moves(vm.provider, [Move(vm.external_id, vm.disks, [])])
        read_soon(vm.provider)
    return {}
