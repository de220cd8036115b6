"""sync(provider): networks → pools and images → machines; and when each provider is asked."""

from __future__ import annotations

import logging
import time
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
from providers.base import Driver, PowerState
from providers.jobs import asked, store
from providers.models import Health, Provider
from providers.pool import open_driver, tell_projects
from storage import inventory as storage
from vms import inventory as vms
from vms.choices import Presence
from vms.models import VirtualMachine

logger = logging.getLogger(__name__)

#: How often a provider is asked: with events only to be sure, without them as often as people look.
PACE_WATCHED = timedelta(seconds=120)
PACE_LOCAL = timedelta(seconds=10)
PACE_CLOUD = timedelta(seconds=60)
#: While machines that were just started have no address yet: no event tells when a guest gets one.
PACE_EXPECTING = timedelta(seconds=4)
EXPECTED_WITHIN = timedelta(minutes=3)
#: How often networks, pools and images are read when nothing says that they changed.
PACE_SURROUNDINGS = timedelta(minutes=10)
#: A provider that does not answer is asked again soon at first, then every minute.
PACE_FAILED_FIRST = timedelta(seconds=5)
PACE_FAILED = timedelta(seconds=60)
LOCAL_KINDS = {"kvm", "fake"}


def sync(provider: Provider, driver: Driver, *, everything: bool = True) -> dict[str, int]:
    """Read and write what differs, in the order of dependency; returns how many of each were told.

    Machines are read each time. Networks, pools and images change seldom and can cost much more to list (every machine
    has volumes among which the images are), so they are read only when `everything` is asked for.
    """
    told: dict[str, int] = {}
    now, began = timezone.now(), time.monotonic()
    if everything:
        told = sync_surroundings(provider, driver)
    asked_at = timezone.now()
    machines = driver.machines.list()
    vms.apply(provider, machines, is_complete=True, asked_at=asked_at)
    told["vms"] = len(machines)
    facts: dict[str, Any] = {"seen_at": now, "sync_ms": round((time.monotonic() - began) * 1000)}
    if everything:
        facts |= {"inventory_at": now, "latency_ms": latency_ms(driver)}
    Provider.objects.filter(pk=provider.pk).update(**facts)
    return told


def latency_ms(driver: Driver) -> float:
    """How long the provider takes for its quickest answer; the connection stands, since it was just used."""
    began = time.monotonic()
    driver.ping()
    return round((time.monotonic() - began) * 1000, 2)


def sync_surroundings(provider: Provider, driver: Driver) -> dict[str, int]:
    """What it can do and what its host is like, networks, pools and images."""
    told: dict[str, int] = {}
    store(provider, *asked(provider, driver))
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
    return told


@handler("inventory.sync", limit_s=300)
def run(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter
    provider = Provider.objects.get(uuid=job.subject.partition(":")[2])
    if not provider.is_enabled:
        return {}
    was_healthy = provider.health == Health.OK and provider.seen_at is not None
    is_due = provider.inventory_at is None or timezone.now() - provider.inventory_at > PACE_SURROUNDINGS
    with open_driver(provider) as driver:
        told = sync(provider, driver, everything=bool(job.params.get("everything")) or is_due)
    if not was_healthy:
        publish(provider.subject, project_id=None)
        tell_projects(provider)
    return told


def start_sync(provider: Provider, *, everything: bool = False) -> Job:
    """A background job; while one is active for the provider no second one is started."""
    return jobs.start(
        "inventory.sync",
        title=f"Read the inventory of “{provider.name}”",
        subject=f"inventory:{provider.uuid}",
        subject_name=provider.name,
        place=provider.place,
        params={"everything": everything},
        is_background=True,
    )


def pace(provider: Provider, now: datetime) -> timedelta:
    """How long after the last question the provider is asked again."""
    if provider.health == Health.FAILED:
        lasting = now - (provider.unreachable_since or now)
        return PACE_FAILED_FIRST if lasting < timedelta(minutes=5) else PACE_FAILED
    if _expects_addresses(provider, now):
        return PACE_EXPECTING
    if provider.is_watched:
        return PACE_WATCHED
    return PACE_LOCAL if provider.kind in LOCAL_KINDS else PACE_CLOUD


def _expects_addresses(provider: Provider, now: datetime) -> bool:
    return VirtualMachine.objects.filter(
        provider=provider,
        presence=Presence.PRESENT,
        power=PowerState.RUNNING,
        addresses="",
        power_since__gt=now - EXPECTED_WITHIN,
    ).exists()


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
