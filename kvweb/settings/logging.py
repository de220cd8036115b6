"""Logging: one line an event on standard error, with the job that was running; jobs keep their own lines as rows."""

from __future__ import annotations

from typing import Any

from kvweb.settings.env import choice

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line"},
        "job": {"class": "kvweb.jobs.log.JobHandler", "level": "INFO"},
    },
    "root": {
        "handlers": ["stderr", "job"],
        "level": choice("KVWEB_LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO"),
    },
    "loggers": {
        "django.request": {"level": "ERROR"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "uvicorn.access": {"level": "WARNING"},
    },
}
