"""sync(provider): networks → pools and images → machines; and when each provider is asked."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from kvweb.events.services import publish
from kvweb.jobs import services as jobs
from kvweb.jobs.handlers import handler
from kvweb.jobs.models import ACTIVE, Job
from kvweb.jobs.progress import Reporter
from kvweb.jobs.schedule import every_tick
from networking import inventory as networks
from providers.base import Driver
from providers.models import Health, Provider
from providers.pool import open_driver, tell_projects
from storage import inventory as storage
from vms import inventory as vms

logger = logging.getLogger(__name__)

#: How often a provider is asked: with events only to be sure, without them as often as people look.
PACE_WATCHED = timedelta(seconds=120)
PACE_LOCAL = timedelta(seconds=10)
PACE_CLOUD = timedelta(seconds=60)
#: A provider that does not answer is asked again soon at first, then every minute.
PACE_FAILED_FIRST = timedelta(seconds=5)
PACE_FAILED = timedelta(seconds=60)
LOCAL_KINDS = {"kvm", "fake"}


def sync(provider: Provider, driver: Driver) -> dict[str, int]:
    """Read everything and write what differs, in the order of dependency; returns how many of each were told."""
    told: dict[str, int] = {}
    if driver.networks is not None:
        records = driver.networks.list()
        networks.apply(provider, records)
        told["networks"] = len(records)
    if driver.pools is not None:
        pools = driver.pools.list()
        storage.apply_pools(provider, pools)
        told["pools"] = len(pools)
    if driver.images is not None:
        images = driver.images.list()
        storage.apply_images(provider, images)
        told["images"] = len(images)
    machines = driver.machines.list()
    vms.apply(provider, machines, is_complete=True)
    told["vms"] = len(machines)
    Provider.objects.filter(pk=provider.pk).update(seen_at=timezone.now())
    return told


@handler("inventory.sync", limit_s=300)
def run(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter
    provider = Provider.objects.get(uuid=job.subject.partition(":")[2])
    if not provider.is_enabled:
        return {}
    was_healthy = provider.health == Health.OK
    with open_driver(provider) as driver:
        told = sync(provider, driver)
    if not was_healthy or provider.seen_at is None:
        publish(provider.subject, project_id=None)
        tell_projects(provider)
    return told


def start_sync(provider: Provider) -> Job:
    """A background job; while one is active for the provider no second one is started."""
    return jobs.start(
        "inventory.sync",
        title=f"Read the inventory of “{provider.name}”",
        subject=f"inventory:{provider.uuid}",
        subject_name=provider.name,
        queue=provider.queue,
        is_background=True,
    )


def pace(provider: Provider, now: datetime) -> timedelta:
    """How long after the last question the provider is asked again."""
    if provider.health == Health.FAILED:
        lasting = now - (provider.unreachable_since or now)
        return PACE_FAILED_FIRST if lasting < timedelta(minutes=5) else PACE_FAILED
    if provider.is_watched:
        return PACE_WATCHED
    return PACE_LOCAL if provider.kind in LOCAL_KINDS else PACE_CLOUD


@every_tick
def sync_those_that_are_due() -> None:
    """Start a sync for each provider whose time has come."""
    now = timezone.now()
    active = set(Job.objects.filter(kind="inventory.sync", state__in=ACTIVE).values_list("subject", flat=True))
    for provider in Provider.objects.filter(is_enabled=True):
        if f"inventory:{provider.uuid}" in active:
            continue
        last = max(filter(None, (provider.seen_at, provider.checked_at)), default=None)
        if provider.health == Health.FAILED:
            last = provider.checked_at
        if last is None or now - last >= pace(provider, now):
            start_sync(provider)
