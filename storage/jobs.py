"""Handlers of image jobs."""

from __future__ import annotations

from typing import Any

from kvweb.jobs.handlers import handler
from kvweb.jobs.models import Job
from kvweb.jobs.outcomes import Failed
from kvweb.jobs.progress import Reporter
from providers.base import AlreadyExists, ImageSpec
from providers.models import Provider
from providers.pool import DriverProgress, open_driver
from storage import inventory
from storage.models import Image


@handler("image.add", retries=2, limit_s=3600)
def add(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Copy the file to the provider; an image of that name that is there already is taken as it is."""
    wish = job.params
    provider = Provider.objects.get(uuid=wish["provider"])
    with open_driver(provider) as driver:
        if driver.images is None:
            raise Failed("This provider does not take images.", "not_supported")
        spec = ImageSpec(name=wish["name"], path=wish["path"], os=wish["os"], default_user=wish["default_user"])
        try:
            record = driver.images.add(spec, DriverProgress(reporter))
        except AlreadyExists:
            found = [image for image in driver.images.list() if image.name == wish["name"]]
            if not found:
                raise
            record = found[0]
    inventory.apply_images(provider, [record], is_complete=False)
    Image.objects.filter(provider=provider, external_id=record.external_id).update(
        title=wish["title"],
        os=wish["os"],
        default_user=wish["default_user"],
        min_memory_mib=wish["min_memory_mib"],
    )
    return {"image": record.external_id}
