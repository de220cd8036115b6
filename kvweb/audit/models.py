"""One row per thing done, kept for years; written by services only."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models


class AuditEntry(models.Model):
    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    #: Kept beside the link, so that the entry still says who when the account is gone.
    actor_name = models.CharField(max_length=150, blank=True)
    verb = models.CharField(max_length=60)
    #: "vm:<uuid>" – a word that can be indexed and read in a log.
    subject = models.CharField(max_length=80, db_index=True)
    subject_name = models.CharField(max_length=255, blank=True)
    project = models.ForeignKey("accounts.Project", on_delete=models.SET_NULL, null=True, related_name="+")
    details = models.JSONField(default=dict, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.actor_name} {self.verb} {self.subject}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.pk is not None:
            raise TypeError("An audit entry is never changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise TypeError("An audit entry is never deleted.")
