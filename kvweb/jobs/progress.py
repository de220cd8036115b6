"""The reporter given to handlers: writes progress at most twice a second, raises when asked to stop."""

from __future__ import annotations

import threading
import time

from django.conf import settings
from django.db import close_old_connections, connection
from django.utils import timezone

from kvweb.events.services import publish
from kvweb.jobs.models import Job, JobLine, JobState
from kvweb.jobs.outcomes import Stopped

WRITE_EVERY_S = 0.5


class Reporter:
    """Progress of one job, written to its row."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._written_at = 0.0
        self._asked_at = 0.0

    def report(self, percent: int, sentence: str) -> None:
        """A new sentence is written at once and logged; a new percent at most every half second."""
        percent = max(0, min(100, percent))
        is_new_sentence = sentence != self.job.message
        if not is_new_sentence and (percent == self.job.percent or time.monotonic() - self._written_at < WRITE_EVERY_S):
            return
        self.job.percent, self.job.message = percent, sentence[:300]
        ours = Job.objects.filter(pk=self.job.pk, state=JobState.RUNNING)
        if not ours.update(percent=percent, message=self.job.message, heartbeat_at=timezone.now()):
            # It was ended, for instance as one whose worker is gone; the next checkpoint says so.
            return
        if is_new_sentence:
            JobLine.objects.create(job=self.job, text=sentence)
        announce(self.job)
        self._written_at = time.monotonic()

    def checkpoint(self) -> None:
        """Raise Stopped when somebody pressed Cancel, or when the job is not ours any more."""
        if time.monotonic() - self._asked_at < WRITE_EVERY_S:
            return
        self._asked_at = time.monotonic()
        state, cancel = Job.objects.values_list("state", "cancel_requested").get(pk=self.job.pk)
        if cancel or state != JobState.RUNNING:
            raise Stopped


def announce(job: Job, topic: str = "changed") -> None:
    """Tell open pages about the job and about its subject, whose row shows the progress."""
    if job.is_background:
        return
    publish(f"job:{job.uuid}", project_id=job.project_id, topic=topic)
    if job.subject:
        publish(job.subject, project_id=job.project_id)


class Heartbeat:
    """Says every few seconds that the worker still lives, also while a driver waits in one long call."""

    def __init__(self, job: Job) -> None:
        self._job_id = job.pk
        self._stop = threading.Event()
        self._every_s = max(0.5, settings.JOB_SILENCE_S / 4)
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat-{job.pk}", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _beat(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                close_old_connections()
                Job.objects.filter(pk=self._job_id, state=JobState.RUNNING).update(heartbeat_at=timezone.now())
            except Exception:  # noqa: S112 - the next beat tries again; the database may be busy
                continue
        connection.close()
