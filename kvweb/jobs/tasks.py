"""The single Celery task, and what beat asks for. Only an id passes through the broker."""

from __future__ import annotations

import logging

from celery import shared_task
from django.db import close_old_connections

from kvweb.accounts import services as accounts
from kvweb.events import services as events
from kvweb.jobs import schedule, services

logger = logging.getLogger(__name__)


@shared_task(name="kvweb.jobs.run")
def run_job(job_id: int) -> None:
    close_old_connections()
    services.run(job_id)


@shared_task(name="kvweb.jobs.reap")
def reap() -> None:
    close_old_connections()
    services.reap()


@shared_task(name="kvweb.jobs.sweep")
def sweep() -> None:
    close_old_connections()
    services.sweep()
    events.sweep()
    accounts.sweep_sessions()


@shared_task(name="kvweb.jobs.tick")
def tick() -> None:
    """Run what apps registered to be done every few seconds; each decides itself whether it is its time."""
    close_old_connections()
    for work in schedule.on_tick:
        try:
            work()
        except Exception:
            logger.exception("%s.%s failed", work.__module__, work.__qualname__)
