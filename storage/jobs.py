"""Handlers of image jobs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from kvweb.jobs.handlers import handler
from kvweb.jobs.models import Job
from kvweb.jobs.outcomes import Failed, TryLater
from kvweb.jobs.progress import Reporter
from providers.base import AlreadyExists, ImageRecord, Images, ImageSpec
from providers.models import Provider
from providers.pool import DriverProgress, open_driver
from storage import inventory
from storage.models import Image

#: Copying a file takes seconds; what is older was left by a process that died.
_ABANDONED = timedelta(minutes=15)


@handler("image.add", retries=3, limit_s=3600)
def add(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Copy the file to the provider; an image of that name that is there already is taken as it is."""
    wish = job.params
    provider = Provider.objects.get(uuid=wish["provider"])
    with open_driver(provider) as driver:
        if driver.images is None:
            raise Failed("This provider does not take images.", "not_supported")
        spec = ImageSpec(
            name=wish["name"],
            path=wish["path"],
            os=wish["os"],
            default_user=wish["default_user"],
            # So that the next start of this portal begins again what a killed one left.
            portal_uuid=f"set-up of {provider.uuid}",
        )
        try:
            record = driver.images.add(spec, DriverProgress(reporter))
        except AlreadyExists as exc:
            record = _there(driver.images, wish["name"], exc)
    inventory.apply_images(provider, [record], is_complete=False)
    Image.objects.filter(provider=provider, external_id=record.external_id).update(
        title=wish["title"],
        os=wish["os"],
        default_user=wish["default_user"],
        min_memory_mib=wish["min_memory_mib"],
    )
    return {"image": record.external_id}


def _there(images: Images, name: str, exc: AlreadyExists) -> ImageRecord:
    """The image of this name, whoever brought it in; waits for another portal that is doing so at this moment."""
    found = [image for image in images.list() if image.name == name]
    if found:
        return found[0]
    begun = [one for one in images.unfinished() if one.name == name]
    for one in begun:
        if one.begun_at is not None and timezone.now() - one.begun_at > _ABANDONED:
            images.discard(one.key)
    if begun:
        raise TryLater(exc.reason, exc.code, after_s=5, detail=exc.detail) from exc
    raise exc
