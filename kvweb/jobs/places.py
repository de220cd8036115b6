"""Where jobs are done, and how many at once: a provider that hangs takes its own share of the workers and no more."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from kvweb.jobs.models import Job, JobState

WAITING = "Waiting for other work at this provider"


@dataclass(frozen=True, slots=True)
class Place:
    """A place by its name ("provider:<uuid>"), the queue that its jobs go through, and how many may run at once."""

    name: str
    queue: str
    limit: int


def claim(job_id: int, *, worker: str) -> bool:
    """Make a waiting job this worker's own; False when another has it, it has ended, or its place is full.

    A job that is turned away waits for `next_waiting`, which whoever leaves the place asks for.
    """
    place, limit = Job.objects.values_list("place", "place_limit").filter(pk=job_id).first() or ("", 0)
    if _claim(job_id, worker, place, limit):
        return True
    if not limit or not _turn_away(job_id):
        return False
    # Somebody may have left between the two looks, and asked for the next when this one did not wait yet.
    return _claim(job_id, worker, place, limit)


def _claim(job_id: int, worker: str, place: str, limit: int) -> bool:
    free = Job.objects.filter(pk=job_id, state=JobState.QUEUED)
    if limit:
        busy = (
            Job.objects.filter(place=place, state=JobState.RUNNING).order_by().values("place").annotate(n=Count("pk"))
        )
        free = free.annotate(busy=Coalesce(Subquery(busy.values("n")), 0)).filter(busy__lt=limit)
    now = timezone.now()
    # What it waited for is over.
    values = {"state": JobState.RUNNING, "message": "", "started_at": now, "heartbeat_at": now, "worker": worker[:120]}
    return free.update(**values, turned_away=False) == 1


def _turn_away(job_id: int) -> bool:
    waiting = Job.objects.filter(pk=job_id, state=JobState.QUEUED)
    return waiting.update(turned_away=True, message=WAITING) == 1


@transaction.atomic
def next_waiting(place: str) -> Job | None:
    """The job that was turned away first, if any; asked for by whoever leaves the place, and told only once."""
    for job in Job.objects.filter(place=place, state=JobState.QUEUED, turned_away=True).order_by("id")[:5]:
        if Job.objects.filter(pk=job.pk, state=JobState.QUEUED, turned_away=True).update(turned_away=False):
            return job
    return None
