"""Handlers of volume jobs: open the driver, call one facet, apply the record."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models import Count, Max
from django.utils import timezone

from kvweb.jobs.handlers import handler
from kvweb.jobs.models import Job, JobState
from kvweb.jobs.outcomes import Failed
from kvweb.jobs.progress import Reporter
from kvweb.jobs.schedule import every_tick
from providers.base import AlreadyExists, Driver, NotFound, VolumeRecord, VolumeSpec
from providers.base.facets.volumes import Volumes
from providers.models import Health, Provider
from providers.pool import DriverProgress, open_driver
from providers.resource_jobs import clear_problem, facet, note_problem, resource_of, take_away, take_identity
from storage import inventory, volume_inventory
from storage.models import Volume
from storage.volume_services import read as read_volumes

logger = logging.getLogger(__name__)

HOURLY = timedelta(hours=1)
#: A reading that failed is not tried again before this,
RETRY_AFTER = timedelta(minutes=15)
#: and one that succeeded not repeated, however many machines are being made.
AT_MOST_EVERY = timedelta(minutes=1)
LAST = ("subject", "state", "created_at")


def _volumes(driver: Driver) -> Volumes:
    return facet(driver.volumes, "volumes")


def _apply_with_pools(volume: Volume, driver: Driver, record: VolumeRecord) -> None:
    """The volume's facts, and those of the pools, whose room has changed with it."""
    volume_inventory.apply(volume.provider, [record])
    if driver.pools is not None:
        inventory.apply_pools(volume.provider, driver.pools.list())


def _make(job: Job, work: Callable[[Volumes, Volume], VolumeRecord], name: str, pool: str) -> dict[str, Any]:
    """Make one; after an attempt that died, what bears its name there is what it made."""
    volume = resource_of(Volume, job)
    with open_driver(volume.provider) as driver:
        try:
            record = work(_volumes(driver), volume)
        except AlreadyExists:
            found = [one for one in _volumes(driver).list(pool) if one.name == name] if job.attempt > 1 else []
            if not found:
                raise
            record = found[0]
        take_identity(volume, record.external_id)
        _apply_with_pools(volume, driver, record)
    return {"external_id": record.external_id}


@handler("volume.create", retries=1, limit_s=3600, on_failure=note_problem(Volume))
def create(job: Job, reporter: Reporter) -> dict[str, Any]:
    spec = VolumeSpec.model_validate(job.params["spec"])
    return _make(job, lambda volumes, _: volumes.create(spec, DriverProgress(reporter)), spec.name, spec.pool)


@handler("volume.clone", retries=1, limit_s=3600, on_failure=note_problem(Volume))
def clone(job: Job, reporter: Reporter) -> dict[str, Any]:
    original = Volume.objects.filter(uuid=job.params["of"]).first()
    if original is None:
        raise Failed("The volume to be copied is not there any more.", "not_found")
    source, pool, name = original.external_id, job.params["pool"], job.subject_name

    def work(volumes: Volumes, _: Volume) -> VolumeRecord:
        return volumes.clone(source, name, pool=pool, progress=DriverProgress(reporter))

    return _make(job, work, name, pool)


@handler("volume.grow", retries=1, on_failure=note_problem(Volume))
def grow(job: Job, reporter: Reporter) -> dict[str, Any]:
    """A volume that has the size already was grown by an attempt before."""
    del reporter
    volume = resource_of(Volume, job)
    with open_driver(volume.provider) as driver:
        record = _volumes(driver).grow(volume.external_id, int(job.params["size_gib"]))
        _apply_with_pools(volume, driver, record)
    clear_problem(volume)
    return {"size_gib": record.size_gib}


@handler("volume.delete", retries=1, on_failure=note_problem(Volume))
def delete(job: Job, reporter: Reporter) -> dict[str, Any]:
    """A volume that is gone already is as good as deleted."""
    del reporter
    volume = resource_of(Volume, job)
    with open_driver(volume.provider) as driver:
        try:
            _volumes(driver).delete(volume.external_id)
        except NotFound:
            logger.info("It was gone already.")
        if driver.pools is not None:
            inventory.apply_pools(volume.provider, driver.pools.list())
    take_away(volume)
    return {}


@handler("volumes.read", limit_s=600)
def read(job: Job, reporter: Reporter) -> dict[str, Any]:
    """All volumes of a provider."""
    del reporter
    provider = Provider.objects.get(uuid=job.subject.partition(":")[2])
    with open_driver(provider) as driver:
        records = _volumes(driver).list()
    volume_inventory.apply(provider, records, is_complete=True)
    return {"volumes": len(records)}


@every_tick
def read_those_that_are_due() -> None:
    """Volumes are read when somebody looks; besides that after a machine told of one that is not known, and hourly."""
    now = timezone.now()
    lately = Job.objects.filter(kind="volumes.read", created_at__gt=now - HOURLY).order_by("created_at")
    last = {subject: (state, created_at) for subject, state, created_at in lately.values_list(*LAST)}
    providers = Provider.objects.filter(is_enabled=True).exclude(health=Health.FAILED)
    for provider in providers.annotate(volumes_at=Max("pools__volumes_at"), pool_count=Count("pools")):
        if provider.can.volumes is None or provider.inventory_at is None:
            continue
        state, at = last.get(f"volumes:{provider.uuid}", (JobState.SUCCEEDED, now - HOURLY))
        pause = AT_MOST_EVERY if state == JobState.SUCCEEDED and provider.pool_count else RETRY_AFTER
        is_due = provider.volumes_at is None or now - provider.volumes_at > HOURLY
        if is_due and now - at > pause:
            read_volumes(provider)
