"""Whether jobs wait and no worker comes for them: known from the jobs themselves, whose heartbeats are the workers'."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Max, Min
from django.db.models.functions import Coalesce
from django.utils import timezone

from kvweb.events.bus import redis_client
from kvweb.jobs.models import Job, JobState

#: A job whose message was lost is handed over again within this time; before it nothing is wrong.
WAITED_S = 30


@dataclass(frozen=True, slots=True)
class Queue:
    """What the queue looks like to somebody who waits."""

    has_waiting: bool = False
    is_still: bool = False
    #: The last sign of a worker; None when there never was one.
    worked_at: datetime | None = None
    #: The broker is away, so that no worker could come.
    is_broker_away: bool = False


def look() -> Queue:
    """One query while nothing has waited for long; a job that is only to be tried later does not wait."""
    now = timezone.now()
    waiting = Job.objects.filter(state=JobState.QUEUED)
    due = waiting.aggregate(first=Min(Coalesce("not_before", "created_at")))["first"]
    if due is None:
        return Queue()
    if due > now - timedelta(seconds=WAITED_S):
        return Queue(has_waiting=True)
    # Two beats may be late. Every state is named, so that the index on state and heartbeat is of use.
    silent = timedelta(seconds=max(WAITED_S, settings.JOB_SILENCE_S / 2))
    known = Job.objects.filter(state__in=JobState.values)
    if known.filter(heartbeat_at__gt=now - silent).exists():
        return Queue(has_waiting=True)
    worked_at = known.aggregate(last=Max("heartbeat_at"))["last"]
    return Queue(has_waiting=True, is_still=True, worked_at=worked_at, is_broker_away=not _broker_answers())


def _broker_answers() -> bool:
    try:
        return bool(redis_client().ping())
    except Exception:
        return False
