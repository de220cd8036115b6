"""One row per change of an object, kept for a day so that a page that lost the stream can catch up."""

from __future__ import annotations

from django.db import models


class Event(models.Model):
    #: "vm:<uuid>", "job:<uuid>", "provider:<uuid>".
    subject = models.CharField(max_length=80)
    topic = models.CharField(max_length=40)
    #: Who may hear of it; None means administrators only, unless it is shared.
    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, null=True, related_name="+")
    #: Everybody who is signed in may hear of it: it is about what no project owns.
    is_shared = models.BooleanField(default=False)
    at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.topic} {self.subject}"
