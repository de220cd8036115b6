"""The registry of handlers: a resource app says `@handler("vm.start")` and jobs finds it by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kvweb.jobs.models import Job
from kvweb.jobs.outcomes import Failed
from kvweb.jobs.progress import Reporter

Work = Callable[[Job, Reporter], dict[str, Any] | None]
Ending = Callable[[Job], None]


@dataclass(frozen=True, slots=True)
class Handler:
    kind: str
    work: Work
    retries: int
    limit_s: int
    on_failure: Ending | None
    """Called after a job of this kind failed, was cancelled or lost its worker: puts the subject's row right."""


_handlers: dict[str, Handler] = {}


def handler(
    kind: str, *, retries: int = 0, limit_s: int = 300, on_failure: Ending | None = None
) -> Callable[[Work], Work]:
    """Register the function as the work of jobs called `kind`.

    It is given the job and a reporter, may return a JSON-safe result, and ends early by raising Failed or TryLater. It
    must be able to run twice without harm. Only TryLater is retried, at most `retries` times.
    """

    def register(work: Work) -> Work:
        if kind in _handlers:
            raise ValueError(f"There are two handlers for {kind}.")
        _handlers[kind] = Handler(kind, work, retries, limit_s, on_failure)
        return work

    return register


def find(kind: str) -> Handler:
    """The handler of this kind; LookupError when no app has registered one."""
    try:
        return _handlers[kind]
    except KeyError:
        raise LookupError(f"No handler is registered for jobs of kind “{kind}”.") from None


def handler_of(job: Job) -> Handler:
    """The handler of a job that was written down; one of a kind that another version of the portal had just fails."""
    return _handlers.get(job.kind) or Handler(job.kind, _nobody, retries=0, limit_s=60, on_failure=None)


def _nobody(job: Job, reporter: Reporter) -> None:
    del job, reporter
    raise Failed("This version of the portal does not know how to do this.", "unknown_kind")
