"""Handlers of image jobs: open the driver, call one facet, apply the record."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from kvweb.jobs import services as jobs
from kvweb.jobs.handlers import handler
from kvweb.jobs.models import Job
from kvweb.jobs.outcomes import UNCERTAIN, Failed
from kvweb.jobs.progress import Reporter
from kvweb.jobs.schedule import every_tick
from providers.base import Driver, ImageRecord, ImageSpec, NotFound
from providers.base.facets.images import Images
from providers.models import Provider
from providers.pool import DriverProgress, open_driver
from providers.resource_jobs import facet, note_problem, resource_of, take_away, take_identity
from storage import image_services, inventory
from storage.models import Image, Upload

logger = logging.getLogger(__name__)

#: What lies unfinished at a provider and is nobody's here may be another portal's, still at work.
_STRANGERS_KEPT = timedelta(days=2)
_SWEEP_EVERY_S = 3600.0
#: A provider's clock and ours.
_CLOCKS_DIFFER = timedelta(seconds=5)


def _images(driver: Driver) -> Images:
    return facet(driver.images, "images")


def _made(image: Image, driver: Driver, record: ImageRecord) -> dict[str, Any]:
    take_identity(image, record.external_id)
    inventory.apply_images(image.provider, [record], is_complete=False)
    if driver.pools is not None:
        inventory.apply_pools(image.provider, driver.pools.list())
    return {"external_id": record.external_id}


def _note_and_clear_up(job: Job) -> None:
    """The row says what failed; what a worker left half made at the provider is taken away."""
    image = Image.objects.select_related("provider").filter(uuid=job.subject.partition(":")[2]).first()
    if image is not None and image.is_wanted:
        image_services.discard(image, since=job.started_at if job.code in UNCERTAIN else None)
    note_problem(Image)(job)


def _finished_since(images: Images, *, name: str, pool: str, since: datetime) -> ImageRecord | None:
    """The image of this name that was finished after the work on it began: what was there before is somebody else's."""
    for one in images.list():
        is_it = one.name == name and (not pool or one.pool == pool)
        if is_it and one.created_at is not None and one.created_at >= since - _CLOCKS_DIFFER:
            return one
    return None


@handler("image.fetch", retries=2, limit_s=6 * 3600, on_failure=_note_and_clear_up)
def fetch(job: Job, reporter: Reporter) -> dict[str, Any]:
    """An attempt that died left its part under the same wish, so the driver begins it anew."""
    image = resource_of(Image, job)
    spec = ImageSpec.model_validate(job.params["spec"])
    with open_driver(image.provider) as driver:
        return _made(image, driver, _images(driver).add(spec, DriverProgress(reporter)))


@handler("image.finish", retries=2, limit_s=3600, on_failure=note_problem(Image))
def finish(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Look at what was uploaded, and list it."""
    image = resource_of(Image, job)
    upload = Upload.objects.filter(image=image).select_related("image").first()
    if upload is None:
        raise Failed("The upload was cancelled.", "not_found")
    spec = image_services.upload_spec(upload)
    with open_driver(image.provider) as driver:
        images = _images(driver)
        try:
            record = images.finish(upload.key, spec, DriverProgress(reporter))
        except NotFound:
            # An attempt before this one may have finished it, and died before it could say so.
            found = _finished_since(images, name=spec.name, pool=spec.pool, since=upload.created_at)
            if found is None:
                raise
            record = found
        result = _made(image, driver, record)
    upload.delete()
    return result


@handler("image.delete", retries=1, on_failure=note_problem(Image))
def delete(job: Job, reporter: Reporter) -> dict[str, Any]:
    """An image that is gone already is as good as deleted."""
    del reporter
    image = resource_of(Image, job)
    with open_driver(image.provider) as driver:
        try:
            _images(driver).delete(image.external_id)
        except NotFound:
            logger.info("It was gone already.")
        if driver.pools is not None:
            inventory.apply_pools(image.provider, driver.pools.list())
    take_away(image)
    return {}


@handler("image.discard", retries=5, limit_s=600)
def discard(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Take away what lies unfinished at the provider for one wish."""
    del reporter
    provider = Provider.objects.get(uuid=job.params["provider"])
    with open_driver(provider) as driver:
        images = _images(driver)
        left = [one for one in images.unfinished() if one.portal_uuid == job.params["portal_uuid"]]
        for one in left:
            images.discard(one.key)
        image = Image.objects.filter(uuid=job.params["portal_uuid"], external_id="").first()
        if image is None or not job.params.get("since"):
            return {"discarded": len(left)}
        since = datetime.fromisoformat(job.params["since"])
        record = _finished_since(images, name=image.name, pool=image.pool, since=since)
        if record is None or _is_anothers(image, record):
            return {"discarded": len(left)}
        # The worker died when all was done but to say so.
        return _made(image, driver, record)


def _is_anothers(image: Image, record: ImageRecord) -> bool:
    """Whether somebody brought in this very image by a wish of their own."""
    rows = Image.objects.filter(provider=image.provider, external_id=record.external_id)
    return rows.exclude(source="").exists()


@handler("images.sweep", limit_s=600)
def sweep(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Take away what lies unfinished at a provider, and that nobody works on any more."""
    del reporter
    provider = Provider.objects.get(uuid=job.subject.partition(":")[2])
    oldest = timezone.now() - _STRANGERS_KEPT
    wanted = {str(uuid) for uuid in Image.objects.filter(external_id="").values_list("uuid", flat=True)}
    count = 0
    with open_driver(provider) as driver:
        images = _images(driver)
        for one in images.unfinished():
            if one.portal_uuid not in wanted and one.begun_at is not None and one.begun_at < oldest:
                images.discard(one.key)
                count += 1
    return {"discarded": count}


_swept_at = 0.0


@every_tick
def sweep_now_and_then() -> None:
    """Once an hour: uploads that rest too long, and what was left at providers."""
    global _swept_at  # noqa: PLW0603 - a process-wide memory is what is meant
    if _swept_at and time.monotonic() - _swept_at < _SWEEP_EVERY_S:
        return
    _swept_at = time.monotonic()
    image_services.expire_uploads()
    for provider in Provider.objects.filter(is_enabled=True):
        if provider.can.images is not None and provider.can.images.upload and provider.is_reachable:
            jobs.start(
                "images.sweep",
                title=f"Clear up unfinished images of “{provider.name}”",
                subject=f"images-sweep:{provider.uuid}",
                subject_name=provider.name,
                place=provider.place,
                is_background=True,
            )
