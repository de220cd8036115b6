"""What pools, volumes and networks have in common: a row per thing at a provider, its problem, and the job it is in."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import ClassVar, Protocol, TypeVar

from django.db import models
from django.utils import timezone

from kvweb.accounts.actions import Answer
from kvweb.jobs import selectors as jobs
from kvweb.ui.badges import Badge
from providers.base import Capabilities
from providers.models import Provider


class ActiveJob(Protocol):
    """What a row needs of its active job."""

    uuid: uuid.UUID
    doing: str
    percent: int
    message: str


class Resource(models.Model):
    """One thing at a provider that pages list and change.

    Without an `external_id` it is only wished for: a job is making it, or `problem` says why that failed.
    """

    #: What its subject begins with: "pool".
    sort: ClassVar[str] = ""
    #: Without a project it is there for everybody who may use its provider; otherwise it is nobody's.
    is_shared: ClassVar[bool] = False

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="%(class)ss")
    external_id = models.CharField(max_length=255, blank=True)
    name = models.CharField(max_length=255)
    missing_since = models.DateTimeField(null=True, blank=True)
    #: Why the last thing that somebody asked for did not happen; cleared by the next success or by hand.
    problem = models.CharField(max_length=500, blank=True)
    problem_job = models.UUIDField(null=True, blank=True)

    class Meta:
        abstract = True

    #: Set by `with_jobs`; None means "no active job" only after such a look.
    active_job: ActiveJob | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def subject(self) -> str:
        return f"{self.sort}:{self.uuid}"

    @classmethod
    def offers(cls, keys: Iterable[int]) -> dict[int, set[int]]:
        """Of rows that only some projects may use: their keys → those projects."""
        del keys
        return {}

    @property
    def can(self) -> Capabilities:
        return self.provider.can

    @property
    def is_wanted(self) -> bool:
        return not self.external_id

    @property
    def is_missing(self) -> bool:
        return self.missing_since is not None


def project_of(resource: Resource) -> int | None:
    """The project of a volume or an image; pools and networks are the portal's."""
    return getattr(resource, "project_id", None)


R = TypeVar("R", bound=Resource)


def with_jobs(resources: Iterable[R]) -> list[R]:
    """The same, each with its active job; one query."""
    listed = list(resources)
    active = jobs.active_for(one.subject for one in listed)
    for one in listed:
        one.active_job = active.get(one.subject)
    return listed


def ready(resource: Resource) -> Answer:
    """The conditions that all actions share: nothing else is going on, the thing and its provider can be reached."""
    if resource.active_job is not None:
        return f"Wait until “{resource.active_job.doing or 'another job'}” is done."
    if resource.is_wanted:
        return "It was not created."
    if resource.is_missing:
        return "The provider does not list it any more."
    if not resource.provider.is_enabled:
        return f"“{resource.provider.name}” is disabled."
    if not resource.provider.is_reachable:
        return f"“{resource.provider.name}” cannot be reached at the moment."
    return True


def gone_or_never_made(resource: Resource) -> Answer:
    """The condition for taking a row away that stands for nothing."""
    if resource.active_job is not None:
        return "It is being worked on."
    return True if resource.is_wanted or resource.is_missing else "It exists; delete it instead."


def trouble(resource: Resource) -> Badge | None:
    """The badge of what is more important than its own state: a job, a failure, or a provider that does not answer."""
    job = resource.active_job
    if job is not None:
        return Badge(job.doing or "Working", "blue", "loader-2", is_busy=True, percent=job.percent, note=job.message)
    if resource.is_wanted and not resource.problem:
        # A job about something else makes it: an image of a machine is that machine's job.
        return Badge("Being made", "blue", "loader-2", is_busy=True)
    if resource.is_wanted:
        return Badge("Not created", "red", "alert-triangle")
    if resource.is_missing:
        since = timezone.localtime(resource.missing_since)
        return Badge("Missing", "red", "help", note=f"not listed by the provider since {since:%H:%M, %-d %b}")
    if not resource.provider.is_enabled:
        return Badge("Provider disabled", "secondary", "ban")
    if not resource.provider.is_reachable:
        return Badge("Unreachable", "secondary", "cloud-off", note=f"“{resource.provider.name}” does not answer")
    return None
