"""What services of pools, volumes and networks share: a job with its audit entry, and rows that are taken away."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from kvweb.accounts.models import User
from kvweb.audit.services import record
from kvweb.events.services import publish_many
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job
from providers.resource_news import news_of
from providers.resources import Resource, project_of


def start_job(
    resource: Resource,
    kind: str,
    *,
    verb: str,
    doing: str,
    user: User | None = None,
    params: dict[str, Any] | None = None,
    details: dict[str, Any] | None = None,
    form: dict[str, Any] | None = None,
) -> Job:
    """One transaction: the audit entry and the job; a second press while one is active returns that one.

    `details` is what the audit entry tells (the params where nothing is said), `form` what a person typed, for trying
    again.
    """
    with transaction.atomic():
        job = jobs.start(
            kind,
            title=f"{verb} “{resource.name}”",
            subject=resource.subject,
            subject_name=resource.name,
            doing=doing,
            place=resource.provider.place,
            project_id=project_of(resource),
            user=user,
            params=params,
            form=form,
        )
        record(
            kind,
            subject=resource.subject,
            subject_name=resource.name,
            actor=user,
            project_id=project_of(resource),
            details=params if details is None else details,
        )
    return job


@transaction.atomic
def dismiss(resource: Resource, *, user: User | None = None) -> None:
    """Take a row away that stands for nothing; if the provider lists the thing again, it is found again."""
    subject, project_id = resource.subject, project_of(resource)
    record(f"{resource.sort}.dismiss", subject=subject, subject_name=resource.name, actor=user, project_id=project_id)
    publish_many(news_of([resource], "gone"))
    resource.delete()


@transaction.atomic
def dismiss_problem(resource: Resource, *, user: User | None = None) -> None:
    """Take away the note of what failed; the thing itself stays as it is."""
    resource.problem, resource.problem_job = "", None
    resource.save(update_fields=["problem", "problem_job"])
    record(
        f"{resource.sort}.dismiss_problem",
        subject=resource.subject,
        subject_name=resource.name,
        actor=user,
        project_id=project_of(resource),
    )
    publish_many(news_of([resource]))
