"""Reading pools and images: those of providers that the user may see."""

from __future__ import annotations

from django.db.models import QuerySet

from providers.models import Provider
from storage.models import Image, Pool


def usable_images(provider: Provider) -> QuerySet[Image]:
    return provider.images.filter(missing_since=None)


def usable_pools(provider: Provider) -> QuerySet[Pool]:
    return provider.pools.filter(missing_since=None, is_active=True)
