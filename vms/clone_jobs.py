"""Handlers of jobs that copy a machine: a second machine, or an image of its first disk."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from kvweb.events.services import publish
from kvweb.jobs import services as jobs
from kvweb.jobs.handlers import handler
from kvweb.jobs.models import Job
from kvweb.jobs.outcomes import UNCERTAIN, Failed
from kvweb.jobs.progress import Reporter
from providers.base import Clones, Driver, ImageRecord
from providers.pool import DriverProgress, open_driver
from providers.resource_jobs import resource_of, take_away, take_identity
from storage import inventory as storage
from storage.models import Image
from vms import inventory
from vms.choices import Presence
from vms.jobs import after_failed_change, clear_problem, settle_later, vm_of
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


def after_failed_export(job: Job) -> None:
    """The image's row goes; when nobody knows how far it got, it is looked for, so that no stranger finds it."""
    after_failed_change(job)
    image = Image.objects.filter(uuid=job.params["image"]).select_related("provider").first()
    if image is None or not image.is_wanted:
        return
    if job.code in UNCERTAIN:
        transaction.on_commit(lambda: _look_for(image))
        return
    publish(image.subject, project_id=image.project_id, topic="gone")
    image.delete()


def _look_for(image: Image) -> None:
    jobs.start(
        "vm.settle_export",
        title=f"Look for the image “{image.name}”",
        subject=image.subject,
        subject_name=image.name,
        doing="Looking for it",
        place=image.provider.place,
        project_id=image.project_id,
        is_background=True,
    )


@handler("vm.export", limit_s=6 * 3600, on_failure=after_failed_export)
def export(job: Job, reporter: Reporter) -> dict[str, Any]:
    """An image of a project's machine is that project's, not everybody's."""
    vm = vm_of(job)
    with open_driver(vm.provider) as driver:
        record = _clones(driver).export(vm.external_id, str(job.params["name"]), DriverProgress(reporter))
    # Its row may have been dismissed meanwhile; the image is there and has to belong to somebody.
    image, _ = Image.objects.get_or_create(
        uuid=job.params["image"], defaults={"provider": vm.provider, "project": vm.project, "name": record.name}
    )
    _list(image, record)
    clear_problem(vm)
    return {"image": str(image.uuid)}


@transaction.atomic
def _list(image: Image, record: ImageRecord) -> None:
    take_identity(image, record.external_id)
    storage.apply_images(image.provider, [record], is_complete=False)


@handler("vm.settle_export", retries=8, limit_s=300)
def settle_export(job: Job, reporter: Reporter) -> dict[str, Any]:
    """After an export whose worker died: what lies there is the project's, to be used or deleted."""
    del reporter
    image = resource_of(Image, job)
    with open_driver(image.provider) as driver:
        listed = driver.images.list() if driver.images is not None else []
    found = next((record for record in listed if record.name == image.name), None)
    if found is None:
        take_away(image)
        return {"found": False}
    _list(image, found)
    Image.objects.filter(pk=image.pk).update(
        problem="Its making was interrupted, so it may not be complete. Try it, or delete it."
    )
    return {"found": True}
