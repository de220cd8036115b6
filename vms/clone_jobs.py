"""Handlers of jobs that copy a machine: a second machine, or an image of its first disk."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from kvweb.events.services import publish
from kvweb.jobs.handlers import handler
from kvweb.jobs.models import Job
from kvweb.jobs.outcomes import Failed
from kvweb.jobs.progress import Reporter
from providers.base import Clones, Driver
from providers.pool import DriverProgress, open_driver
from storage import inventory as storage
from storage.models import Image
from vms import inventory
from vms.choices import Presence
from vms.jobs import UNCERTAIN, after_failed_change, clear_problem, settle_later, vm_of
from vms.models import VirtualMachine


def _clones(driver: Driver) -> Clones:
    if driver.clones is None:
        raise Failed("This provider cannot copy machines.", "not_supported")
    return driver.clones


def after_failed_clone(job: Job) -> None:
    """The copy's row goes, unless the copy is there; a lost worker may have left something to clear up."""
    after_failed_change(job)
    copy = VirtualMachine.objects.filter(uuid=job.params["uuid"]).select_related("provider").first()
    if copy is None or copy.presence == Presence.PRESENT:
        return
    VirtualMachine.objects.filter(pk=copy.pk).update(presence=Presence.DELETED, told_at=timezone.now())
    publish(copy.subject, project_id=copy.project_id, topic="gone")
    if job.code in UNCERTAIN:
        transaction.on_commit(lambda: settle_later(copy))


@handler("vm.clone", limit_s=6 * 3600, on_failure=after_failed_clone)
def clone(job: Job, reporter: Reporter) -> dict[str, Any]:
    vm, params = vm_of(job), job.params
    with open_driver(vm.provider) as driver:
        record = _clones(driver).clone(
            vm.external_id,
            str(params["name"]),
            full=bool(params.get("full")),
            start=bool(params.get("start")),
            portal_uuid=str(params["uuid"]),
            progress=DriverProgress(reporter, 0, 95),
        )
        # A linked copy may have changed what the first one's disks are.
        source = driver.machines.get(vm.external_id)
    inventory.apply(vm.provider, [record, source])
    clear_problem(vm)
    return {"external_id": record.external_id, "uuid": params["uuid"]}


@handler("vm.export", limit_s=6 * 3600, on_failure=after_failed_change)
def export(job: Job, reporter: Reporter) -> dict[str, Any]:
    """An image of a project's machine is that project's, not everybody's."""
    vm = vm_of(job)
    with open_driver(vm.provider) as driver:
        record = _clones(driver).export(vm.external_id, str(job.params["name"]), DriverProgress(reporter))
    with transaction.atomic():
        storage.apply_images(vm.provider, [record], is_complete=False)
        image = Image.objects.get(provider=vm.provider, external_id=record.external_id)
        image.project = vm.project
        image.os = image.os or (vm.image.os if vm.image else "")
        image.default_user = image.default_user or vm.login or (vm.image.default_user if vm.image else "")
        image.save(update_fields=["project", "os", "default_user"])
    clear_problem(vm)
    return {"image": str(image.uuid)}
