"""The Celery app: one queue per kind that the registry knows, and one for the portal's own work."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kvweb.settings")

app = Celery("kvweb")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["kvweb.jobs"])
