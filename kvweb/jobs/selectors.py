"""Reading jobs: always from `visible_to(user)`."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q, QuerySet

from kvweb.accounts.access import Person, within
from kvweb.jobs.models import ACTIVE, Job


def visible_to(user: Person) -> QuerySet[Job]:
    """Jobs of the user's projects, and those they started themselves; the portal's own work is for administrators."""
    visible = within(user, "job.view")
    if user.is_authenticated and not user.is_superuser:
        visible |= Q(user=user)
    return Job.objects.filter(visible).select_related("user", "project")


def for_list(user: Person, *, state: str = "", text: str = "") -> QuerySet[Job]:
    """The jobs page: newest first, without the portal's own routine."""
    jobs = visible_to(user).filter(is_background=False)
    if state == "active":
        jobs = jobs.filter(state__in=ACTIVE)
    elif state:
        jobs = jobs.filter(state=state)
    if text:
        jobs = jobs.filter(Q(title__icontains=text) | Q(reason__icontains=text) | Q(user__username__icontains=text))
    return jobs


def active_for(subjects: Iterable[str]) -> dict[str, Job]:
    """subject → its active exclusive job, in one query."""
    return {
        job.subject: job for job in Job.objects.filter(subject__in=list(subjects), state__in=ACTIVE, exclusive=True)
    }


def history_of(subject: str) -> QuerySet[Job]:
    return Job.objects.filter(subject=subject, is_background=False).select_related("user")
