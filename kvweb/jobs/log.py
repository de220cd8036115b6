"""Log lines written while a job runs become rows of that job, so that its page shows what happened."""

from __future__ import annotations

import logging
from contextvars import ContextVar

current_job: ContextVar[int | None] = ContextVar("kvweb_current_job", default=None)
#: Loggers whose lines are for people who watch a job; everything else stays in the process's log.
SHOWN = ("kvweb", "vms", "storage", "networking", "providers")


class JobHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        job_id = current_job.get()
        if job_id is None or record.exc_info or record.name.split(".", 1)[0] not in SHOWN:
            return
        if getattr(record, "private", False):
            return
        from kvweb.jobs.models import JobLine

        try:
            JobLine.objects.create(job_id=job_id, level=record.levelname.lower(), text=record.getMessage()[:2000])
        except Exception:
            self.handleError(record)
