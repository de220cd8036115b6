"""Celery and Redis: the broker, the queues, and what makes a lost worker harmless."""

from __future__ import annotations

from kombu import Exchange, Queue

from kvweb.settings.env import text
from providers.registry import plugins

#: "unix:///…/redis.sock" or "redis://…"; `make up` starts a private one and says where.
REDIS_URL = text("KVWEB_REDIS_URL", "redis://127.0.0.1:6379/0")

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
#: One queue per kind, so that a cloud that hangs cannot hold up the others; "system" is the portal's own work.
CELERY_TASK_DEFAULT_QUEUE = "system"
#: Each with a routing key of its own: Celery would bind them all to one key, and every queue would get every message.
CELERY_TASK_QUEUES = [
    Queue(name, Exchange("kvweb"), routing_key=name)
    for name in ("system", *(f"provider.{kind}" for kind in sorted(plugins())))
]
CELERY_TASK_DEFAULT_EXCHANGE = "kvweb"
CELERY_TASK_DEFAULT_ROUTING_KEY = "system"
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # Only ids travel; a message that nobody finished is given out again, and the claim makes the second one harmless.
    "visibility_timeout": 3600,
    # Somebody's click waits while a job is handed over: without Redis that must fail at once, and soon when Redis is
    # silent. The job's row waits, and is handed over later. Workers have more patience, see kvweb.celery.
    "socket_timeout": 1,
    "socket_connect_timeout": 1,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.05,
    "interval_max": 0.1,
}
CELERY_BEAT_SCHEDULE = {
    "reap-lost-jobs": {"task": "kvweb.jobs.reap", "schedule": 15.0, "options": {"expires": 14}},
    "sync-inventory": {"task": "kvweb.jobs.tick", "schedule": 5.0, "options": {"expires": 4}},
    "sweep-old-rows": {"task": "kvweb.jobs.sweep", "schedule": 3600.0, "options": {"expires": 3000}},
}
