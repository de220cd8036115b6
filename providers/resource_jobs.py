"""What handlers of pools, volumes and networks share: the row of a job, its problem, its identity once it is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.db import transaction

from kvweb.events.services import publish_many
from kvweb.jobs.models import Job, JobState
from kvweb.jobs.outcomes import Failed
from providers.resource_news import news_of
from providers.resources import Resource

R = TypeVar("R", bound=Resource)
F = TypeVar("F")


def resource_of(model: type[R], job: Job) -> R:
    """The row that the job is about; ends the job when it was taken away meanwhile."""
    row = model._default_manager.select_related("provider").filter(uuid=job.subject.partition(":")[2]).first()
    if row is None:
        raise Failed("It is not listed here any more.", "not_found")
    return row


def facet(found: F | None, noun: str) -> F:
    """The facet, or the end of the job where the provider has none."""
    if found is None:
        raise Failed(f"This provider does not let anybody change its {noun}.", "not_supported")
    return found


def note_problem(model: type[R]) -> Callable[[Job], None]:
    """After a failure the row says what did not happen; a cancelled creation takes its row away."""

    def note(job: Job) -> None:
        row = model._default_manager.filter(uuid=job.subject.partition(":")[2]).first()
        if row is None:
            return
        if job.state != JobState.CANCELLED:
            row.problem, row.problem_job = f"{job.title.split(' “')[0]} failed: {job.reason}"[:500], job.uuid
            row.save(update_fields=["problem", "problem_job"])
        elif row.is_wanted:
            publish_many(news_of([row], "gone"))
            row.delete()

    return note


def clear_problem(row: Resource) -> None:
    if row.problem:
        type(row)._default_manager.filter(pk=row.pk).update(problem="", problem_job=None)


@transaction.atomic
def take_identity(row: Resource, external_id: str) -> None:
    """The thing was made: its row gets its identity. A sync may have found it in the meantime and made a second row."""
    type(row)._default_manager.filter(provider=row.provider, external_id=external_id).exclude(pk=row.pk).delete()
    row.external_id = external_id
    type(row)._default_manager.filter(pk=row.pk).update(external_id=external_id, problem="", problem_job=None)


@transaction.atomic
def take_away(row: Resource) -> None:
    """The thing was deleted at its provider, and its row goes with it; jobs and audit entries stay as its history."""
    publish_many(news_of([row], "gone"))
    row.delete()
