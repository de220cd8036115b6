"""The platform that the apps stand on, and the portal that stands on all of them."""

from kvweb.celery import app as celery_app

__all__ = ["celery_app"]
