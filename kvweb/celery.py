"""The Celery app: one queue per kind that the registry knows, and one for the portal's own work."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import beat_init, celeryd_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kvweb.settings")

app = Celery("kvweb")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["kvweb.jobs"])

#: Of processes that nobody waits for, in seconds: a line that was cut for a moment's silence costs them more than time.
PATIENCE_S = 30


@celeryd_init.connect
@beat_init.connect
def be_patient(**context: object) -> None:
    del context
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, "socket_timeout": PATIENCE_S}
