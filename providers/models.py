"""A configured connection: config in the clear, secrets sealed, and what was last heard of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from functools import cached_property

from django.db import models
from django.utils import timezone

from kvweb.jobs.places import Place
from providers.base import Capabilities


class Health(models.TextChoices):
    UNKNOWN = "unknown", "Not checked yet"
    OK = "ok", "Connected"
    FAILED = "failed", "Not reachable"


class Provider(models.Model):
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=30)
    name = models.CharField(max_length=80, unique=True)
    config = models.JSONField(default=dict, blank=True)
    #: The config's secret fields as one sealed text; see providers.secrets.
    sealed = models.TextField(blank=True, default="")
    capabilities = models.JSONField(default=dict, blank=True)
    is_enabled = models.BooleanField(default=True)
    #: None of the projects named: every project may use it.
    projects = models.ManyToManyField("accounts.Project", blank=True, related_name="providers")
    max_parallel = models.PositiveSmallIntegerField(default=4)

    health = models.CharField(max_length=20, choices=Health.choices, default=Health.UNKNOWN)
    health_reason = models.CharField(max_length=500, blank=True)
    health_code = models.CharField(max_length=40, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    #: When all machines were last read: "state as of".
    seen_at = models.DateTimeField(null=True, blank=True)
    #: When networks, pools and images were last read too.
    inventory_at = models.DateTimeField(null=True, blank=True)
    unreachable_since = models.DateTimeField(null=True, blank=True)
    #: Since when it has answered without a break.
    reachable_since = models.DateTimeField(null=True, blank=True)
    #: How long its latest sync took, and how long its quickest answer, when everything was last read.
    sync_ms = models.PositiveIntegerField(null=True, blank=True)
    latency_ms = models.FloatField(null=True, blank=True)
    #: Whether the watcher hears events now; without them the inventory is asked for more often.
    is_watched = models.BooleanField(default=False)
    host = models.JSONField(default=dict, blank=True)
    #: When the host's facts were last told.
    host_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def open_to(cls, keys: Iterable[int]) -> dict[int, set[int]]:
        """Of providers that only some projects may use: their keys → those projects."""
        found: dict[int, set[int]] = {}
        for key, project in cls.projects.through.objects.filter(provider__in=keys).values_list("provider", "project"):
            found.setdefault(key, set()).add(project)
        return found

    @property
    def subject(self) -> str:
        return f"provider:{self.uuid}"

    @property
    def place(self) -> Place:
        """Where jobs with this provider are done: the queue of its kind, and not too many at once."""
        return Place(self.subject, f"provider.{self.kind}", self.max_parallel)

    @cached_property
    def can(self) -> Capabilities:
        """What the provider was probed to be able to do; reads the row, makes no call."""
        return Capabilities.from_json(self.capabilities)

    @property
    def is_reachable(self) -> bool:
        return self.is_enabled and self.health != Health.FAILED

    @property
    def is_stale(self) -> bool:
        """Whether what we show may be out of date: nothing heard for longer than any pace of asking."""
        if self.health == Health.FAILED or self.seen_at is None:
            return True
        return (timezone.now() - self.seen_at).total_seconds() > 300
