"""start · run · wait · cancel · retry · reap: the life of a job, and the only moves between its states.

queued ──claim──▶ running ──▶ succeeded | failed | errored | cancelled
  ▲                  │
  └──try later───────┘
"""

from __future__ import annotations

import logging
import socket
import time
from datetime import timedelta
from typing import Any

import redis
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from kvweb.accounts.models import Project, User
from kvweb.audit.context import Acting, acting_as
from kvweb.events import bus
from kvweb.jobs.handlers import Ending, Handler, find, handler_of
from kvweb.jobs.log import current_job
from kvweb.jobs.models import ACTIVE, ENDED, Job, JobLine, JobState
from kvweb.jobs.outcomes import Failed, Stopped, TryLater
from kvweb.jobs.places import Place, claim, next_waiting
from kvweb.jobs.progress import Heartbeat, Reporter, announce

logger = logging.getLogger(__name__)

#: What a job that is past its limit has for undoing its work, before its worker is ended.
GRACE_S = 60

WAITS_FOR_QUEUE = "Waiting: the queue of jobs does not answer. It begins by itself when it does."
#: Waiting jobs that are handed to the broker again in one go.
MOST_AT_ONCE = 200
WORKER_GONE = "The worker that did this went away. Nothing more happens by itself; you can try again."


def start(
    kind: str,
    *,
    title: str,
    subject: str = "",
    subject_name: str = "",
    doing: str = "",
    place: Place | None = None,
    project: Project | None = None,
    project_id: int | None = None,
    user: User | None = None,
    params: dict[str, Any] | None = None,
    form: dict[str, Any] | None = None,
    exclusive: bool = True,
    is_background: bool = False,
    retry_of: Job | None = None,
) -> Job:
    """Write the row and, when the transaction is through, hand its id to a worker.

    `place` says where it is done: its queue, and how many jobs may run there at once. The others wait, so that one
    place that hangs does not take every worker.

    A second exclusive job for the same subject is not started: the one that is active already is returned, so pressing
    a button twice is one job. Compare `job.kind` when it matters which.
    """
    find(kind)
    job = Job(
        kind=kind,
        title=title[:300],
        subject=subject,
        subject_name=subject_name[:255],
        doing=doing,
        queue=place.queue if place else "system",
        place=place.name if place else "",
        place_limit=place.limit if place else 0,
        project_id=project.pk if project else project_id,
        user=user,
        params=params or {},
        form=form or {},
        exclusive=exclusive,
        is_background=is_background,
        retry_of=retry_of,
    )
    active = _insert_unless_active(job)
    if active is not None:
        return active
    announce(job, topic="created")
    transaction.on_commit(lambda: enqueue(job))
    return job


def _insert_unless_active(job: Job) -> Job | None:
    """Write the row; or return the active job that stands in its way."""
    while True:
        try:
            with transaction.atomic():
                job.save(force_insert=True)
        except IntegrityError:
            # None here means that it ended between our insert and our look: the way is free now.
            active = Job.objects.filter(subject=job.subject, exclusive=True, state__in=ACTIVE).first()
            if active is not None or not job.subject:
                return active
        else:
            return None


def enqueue(job: Job, *, after_s: float = 0.0) -> bool:
    """Give the id to the broker; when it does not answer, the row stays queued, says so, and `reap` hands it over."""
    from kvweb.jobs.tasks import run_job

    limit_s = handler_of(job).limit_s
    try:
        if bus.is_resting():
            raise redis.ConnectionError("Redis did not answer a moment ago.")
        run_job.apply_async(
            (job.pk,),
            queue=job.queue,
            countdown=after_s,
            retry=False,
            ignore_result=True,
            # At the first the work is told to end, and undoes what it did; at the second its process is ended.
            soft_time_limit=limit_s,
            time_limit=limit_s + GRACE_S,
        )
    except Exception as exc:
        logger.warning("Job %s waits for the broker: %s", job.reference, exc)
        if isinstance(exc.__cause__, redis.TimeoutError):
            bus.rest()
        job.message = WAITS_FOR_QUEUE
        Job.objects.filter(pk=job.pk, state=JobState.QUEUED).update(message=job.message)
        return False
    return True


def wait(job: Job, timeout_s: float | None = None) -> Job:
    """The fast lane: wait a moment for the job's end, so that a short operation's first answer is the final one.

    Returns the job as it is then. Without Redis it returns at once.
    """
    timeout_s = settings.FAST_LANE_S if timeout_s is None else timeout_s
    if timeout_s <= 0 or not job.is_active or job.message == WAITS_FOR_QUEUE:
        return job
    deadline = time.monotonic() + timeout_s
    pause_s = 0.004
    while (left_s := deadline - time.monotonic()) > 0:
        time.sleep(min(pause_s, left_s))
        pause_s *= 1.5
        if not Job.objects.filter(pk=job.pk, state__in=ACTIVE).exists():
            break
    job.refresh_from_db()
    return job


def going_on(job: Job) -> str:
    """What is said after a click whose job has not ended yet."""
    if job.message == WAITS_FOR_QUEUE:
        return f"{job.title}. {WAITS_FOR_QUEUE}"
    return f"{job.title}: the page shows how far it is."


def run(job_id: int) -> Job | None:
    """Claim the job and do its work; None when somebody else has it, it has ended already or its place is full."""
    if not claim(job_id, worker=socket.gethostname()):
        return None
    job = Job.objects.select_related("user", "project").get(pk=job_id)
    job.attempt += 1
    Job.objects.filter(pk=job_id).update(attempt=job.attempt)
    handler = handler_of(job)
    token = current_job.set(None if job.is_background else job.pk)
    who = Acting(job.user_id, job.user.get_username() if job.user else "")
    try:
        with acting_as(who), Heartbeat(job):
            announce(job)
            result = handler.work(job, Reporter(job))
        _end(job, JobState.SUCCEEDED, result=result or {})
    except Stopped:
        _end(job, JobState.CANCELLED, reason="Cancelled.", handler=handler)
    except TryLater as exc:
        _log_detail(job, exc.detail)
        if job.attempt > handler.retries:
            _end(job, JobState.FAILED, reason=exc.reason, code=exc.code, handler=handler)
        elif not _try_again(job, exc):
            _end(job, JobState.CANCELLED, reason="Cancelled.", handler=handler)
    except Failed as exc:
        _log_detail(job, exc.detail)
        _end(job, JobState.FAILED, reason=exc.reason, code=exc.code, field=exc.field, handler=handler)
    except SoftTimeLimitExceeded:
        _end(job, JobState.FAILED, reason=_too_long(handler.limit_s), code="too_long", handler=handler)
    except Exception:
        logger.exception("Job %s (%s) ended unexpectedly", job.reference, job.kind)
        _end(
            job,
            JobState.ERRORED,
            reason=f"An unexpected error; tell an administrator the reference {job.reference}.",
            code="unexpected",
            handler=handler,
        )
    finally:
        current_job.reset(token)
    return job


def _too_long(limit_s: int) -> str:
    minutes = round(limit_s / 60)
    limit = f"{minutes} minutes" if minutes > 1 else f"{limit_s} seconds"
    return f"It was not done after {limit} and was ended. You can try again."


def _leave(job: Job) -> None:
    """The job does not run any more: the next one that waits for its place may."""
    if job.place and (waiting := next_waiting(job.place)) is not None:
        transaction.on_commit(lambda: enqueue(waiting))


def _log_detail(job: Job, detail: str) -> None:
    """The vendor's own words are for the process's log, where administrators look, not for the job's page."""
    if detail:
        logger.info("Job %s: %s", job.reference, detail, extra={"private": True})


def _end(
    job: Job,
    state: JobState,
    *,
    result: dict[str, Any] | None = None,
    reason: str = "",
    code: str = "",
    field: str = "",
    handler: Handler | None = None,
    only: Q = Q(state__in=ACTIVE),  # noqa: B008 - a condition is a value
) -> bool:
    """Move a job that is as `only` says to its end; False when it is not so any more, e.g. was reaped meanwhile."""
    with transaction.atomic():
        values: dict[str, Any] = {
            "state": state,
            "result": result or {},
            "reason": reason[:500],
            "code": code,
            "field": field,
            "ended_at": timezone.now(),
        }
        if state == JobState.SUCCEEDED:
            values["percent"] = 100
        if Job.objects.filter(only, pk=job.pk).update(**values) != 1:
            return False
        for name, value in values.items():
            setattr(job, name, value)
        if reason:
            JobLine.objects.create(job=job, level="error" if state != JobState.CANCELLED else "warning", text=reason)
        if handler is not None and handler.on_failure is not None and state != JobState.SUCCEEDED:
            _put_right(job, handler.on_failure)
        _leave(job)
        announce(job)
    return True


def _put_right(job: Job, on_failure: Ending) -> None:
    """Let the subject's row say what failed. An error in it keeps neither this job nor the next ones from ending."""
    try:
        with transaction.atomic():
            on_failure(job)
    except Exception:
        logger.exception("What job %s (%s) is about could not be put right", job.reference, job.kind)


def _try_again(job: Job, outcome: TryLater) -> bool:
    """Let it wait for its next attempt; False when somebody cancelled it meanwhile, or it has ended already."""
    after_s = max(outcome.after_s, 0.5) * (2 ** (job.attempt - 1))
    with transaction.atomic():
        moved = Job.objects.filter(pk=job.pk, state=JobState.RUNNING, cancel_requested=False).update(
            state=JobState.QUEUED,
            message=f"{outcome.reason} Trying again in {after_s:.0f} s."[:300],
            not_before=timezone.now() + timedelta(seconds=after_s),
        )
        if moved:
            JobLine.objects.create(job=job, level="warning", text=outcome.reason)
            job.refresh_from_db()
            announce(job)
            _leave(job)
            transaction.on_commit(lambda: enqueue(job, after_s=after_s))
    return moved == 1


@transaction.atomic
def cancel(job: Job) -> Job:
    """Ask the job to stop: one that waits ends at once, one that runs stops at its next checkpoint."""
    waits, reason = Q(state=JobState.QUEUED), "Cancelled before it started."
    if not _end(job, JobState.CANCELLED, reason=reason, handler=handler_of(job), only=waits):
        Job.objects.filter(pk=job.pk, state=JobState.RUNNING).update(
            cancel_requested=True, message="Stopping at the next safe point"
        )
        job.refresh_from_db()
        announce(job)
    return job


def reap(silence_s: float | None = None) -> int:
    """Fail running jobs whose worker has gone silent, and hand waiting ones to the broker again; returns how many died.

    Handing over twice is harmless: the claim lets only one worker in.
    """
    now = timezone.now()
    silence = timedelta(seconds=settings.JOB_SILENCE_S if silence_s is None else silence_s)
    is_dead = Q(state=JobState.RUNNING, heartbeat_at__lt=now - silence)
    died = 0
    for job in Job.objects.filter(is_dead):
        if _end(job, JobState.FAILED, reason=WORKER_GONE, code="worker_gone", handler=handler_of(job), only=is_dead):
            died += 1
            logger.warning("Job %s (%s) lost its worker", job.reference, job.kind)
    waiting = Job.objects.filter(state=JobState.QUEUED, created_at__lt=now - timedelta(seconds=10)).exclude(
        not_before__gt=now
    )
    handed = 0
    # The first come first, and all in their turn: those that wait for a place that hangs must not hide the others.
    for job in waiting.order_by("pk").iterator():
        if _requeue_once(job):
            handed += 1
            if not enqueue(job) or handed == MOST_AT_ONCE:
                break
    return died


def _requeue_once(job: Job) -> bool:
    """At most one more message per job and minute, so that a long queue is not filled with copies of itself."""
    try:
        with bus.line() as client:
            return bool(client.set(f"kvweb:requeued:{job.pk}", "1", nx=True, ex=60))
    except Exception:
        return False


def sweep(keep: timedelta = timedelta(days=180), keep_background: timedelta = timedelta(hours=6)) -> int:
    """Delete rows that are past their time; returns how many."""
    now = timezone.now()
    ended = Job.objects.filter(state__in=ENDED)
    count, _ = ended.filter(ended_at__lt=now - keep).delete()
    more, _ = ended.filter(is_background=True, ended_at__lt=now - keep_background).delete()
    return count + more
