"""Handlers of provider jobs: the check of a connection."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.utils import timezone

from kvweb.jobs import services as jobs
from kvweb.jobs.handlers import handler
from kvweb.jobs.models import Job
from kvweb.jobs.progress import Reporter
from providers.base import Capabilities, Driver
from providers.models import Provider
from providers.pool import forget, open_driver
from providers.registry import plugin


def provider_of(job: Job) -> Provider:
    return Provider.objects.get(uuid=job.subject.partition(":")[2])


@handler("provider.check", limit_s=120)
def check(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Connect anew, probe, store what was found; then let the inventory be read."""
    provider = provider_of(job)
    reporter.report(10, "Connecting")
    forget(provider)
    with open_driver(provider) as driver:
        reporter.report(40, "Asking what it can do")
        found, host = asked(provider, driver)
    store(provider, found, host)
    jobs.start(
        "inventory.sync",
        title=f"Read the inventory of “{provider.name}”",
        subject=f"inventory:{provider.uuid}",
        subject_name=provider.name,
        place=provider.place,
        params={"everything": True},
        is_background=True,
    )
    return {"capabilities": [name for name, value in found if value is not None]}


def asked(provider: Provider, driver: Driver) -> tuple[Capabilities, dict[str, Any]]:
    """What the provider can do now, and what it tells of itself."""
    found = driver.probe().within(plugin(provider.kind).declares)
    host = asdict(driver.host.info()) if driver.host else {}
    if driver.flavors is not None:
        # Kept beside the host's facts: the create page offers them where sizes are not free.
        host["flavors"] = [asdict(flavor) for flavor in driver.flavors.list()]
    return found, host


def store(provider: Provider, found: Capabilities, host: dict[str, Any]) -> None:
    """Keep what a probe told."""
    now = timezone.now()
    facts = {**host, "details": dict(host.get("details", {}))}
    Provider.objects.filter(pk=provider.pk).update(
        capabilities=found.to_json(), host=facts, host_at=now, checked_at=now
    )
