"""A job is one run of long work, with progress, log and end; it outlives Redis and the worker."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone


class JobState(models.TextChoices):
    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Done"
    #: Ended by a reason for people: the provider refused, the worker went away.
    FAILED = "failed", "Failed"
    #: Ended by an error that nobody foresaw; the log has the traceback under the job's reference.
    ERRORED = "errored", "Failed unexpectedly"
    CANCELLED = "cancelled", "Cancelled"


ACTIVE = (JobState.QUEUED, JobState.RUNNING)
ENDED = (JobState.SUCCEEDED, JobState.FAILED, JobState.ERRORED, JobState.CANCELLED)


class Job(models.Model):
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    #: Name of the handler: "vm.create".
    kind = models.CharField(max_length=60)
    #: What it says on pages: "Create “web-1”".
    title = models.CharField(max_length=300)
    queue = models.CharField(max_length=60, default="system")
    #: Where it is done, "provider:<uuid>", and how many may be done there at once; 0 is any number.
    place = models.CharField(max_length=80, blank=True)
    place_limit = models.PositiveSmallIntegerField(default=0)
    #: A worker came for it when its place was full; whoever leaves the place sends the next one.
    turned_away = models.BooleanField(default=False)
    #: "vm:<uuid>"; one active exclusive job per subject.
    subject = models.CharField(max_length=80, blank=True)
    subject_name = models.CharField(max_length=255, blank=True)
    exclusive = models.BooleanField(default=True)
    #: Words a row shows while it is active: "Starting".
    doing = models.CharField(max_length=60, blank=True)
    #: None: the portal's own work, seen by administrators.
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, null=True, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    #: Work that only the portal wanted (sync): kept out of people's lists.
    is_background = models.BooleanField(default=False)

    state = models.CharField(max_length=20, choices=JobState.choices, default=JobState.QUEUED)
    percent = models.PositiveSmallIntegerField(default=0)
    message = models.CharField(max_length=300, blank=True)
    params = models.JSONField(default=dict, blank=True)
    #: What the person typed, for "try again with the same form"; free of secrets.
    form = models.JSONField(default=dict, blank=True)
    result = models.JSONField(default=dict, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    code = models.CharField(max_length=40, blank=True)
    #: Field of the form that the reason is about.
    field = models.CharField(max_length=60, blank=True)
    attempt = models.PositiveSmallIntegerField(default=0)
    cancel_requested = models.BooleanField(default=False)
    retry_of = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="retries")

    created_at = models.DateTimeField(auto_now_add=True)
    not_before = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["subject"],
                condition=models.Q(state__in=["queued", "running"], exclusive=True) & ~models.Q(subject=""),
                name="one_active_exclusive_job_per_subject",
            )
        ]
        indexes = [
            models.Index(fields=["state", "heartbeat_at"], name="job_by_state"),
            models.Index(fields=["subject", "-id"], name="job_by_subject"),
            models.Index(fields=["project", "-id"], name="job_by_project"),
            models.Index(
                fields=["place", "state"],
                condition=models.Q(state__in=["queued", "running"]) & ~models.Q(place=""),
                name="job_by_place",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.state})"

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def has_failed(self) -> bool:
        return self.state in {JobState.FAILED, JobState.ERRORED}

    @property
    def reference(self) -> str:
        """What a person quotes to an administrator; found in the log."""
        return self.uuid.hex[:8]

    @property
    def duration(self) -> timedelta | None:
        if self.started_at is None:
            return None
        return (self.ended_at or timezone.now()) - self.started_at


class JobLine(models.Model):
    """One line of a job's log."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="lines")
    at = models.DateTimeField(default=timezone.now)
    level = models.CharField(max_length=10, default="info")
    text = models.TextField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.text
