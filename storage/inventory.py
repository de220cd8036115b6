"""The one way facts about pools and images enter the database; volumes have a file of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction

from kvweb.events.services import publish_many
from providers.base import ImageRecord, PoolRecord
from providers.inventory import Outcome, reconcile
from providers.models import Provider
from providers.resource_news import news_of
from storage.models import Image, Pool


def _pool_values(record: PoolRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "type": record.type,
        "path": record.path[:500],
        "is_active": record.is_active,
        "autostart": record.autostart,
        "capacity_gib": round(record.capacity_gib, 2),
        "allocation_gib": round(record.allocation_gib, 2),
        "available_gib": round(record.available_gib, 2),
    }


@transaction.atomic
def apply_pools(provider: Provider, records: Iterable[PoolRecord], *, is_complete: bool = True) -> Outcome[Pool]:
    """Write what differs and tell open pages; with `is_complete` pools that were not told become missing."""
    outcome = reconcile(
        Pool.objects.filter(provider=provider).exclude(external_id=""),
        records,
        key=lambda record: record.external_id,
        values=_pool_values,
        make=lambda record: Pool(provider=provider, external_id=record.external_id, **_pool_values(record)),
        is_complete=is_complete,
    )
    publish_many([*news_of(outcome.created, "created"), *news_of((*outcome.changed, *outcome.missing))])
    return outcome


def _image_values(record: ImageRecord) -> dict[str, Any]:
    values: dict[str, Any] = {
        "name": record.name,
        "pool": record.pool,
        "format": record.format,
        "is_iso": record.is_iso,
        "size_gib": round(record.size_gib, 4),
        "stored_bytes": record.stored_bytes,
        "used_by": sorted(record.used_by),
    }
    # What the provider does not know is kept as people or the import said it.
    if record.os:
        values["os"] = record.os
    if record.default_user:
        values["default_user"] = record.default_user
    return values


def _finished(provider: Provider, records: Iterable[ImageRecord]) -> list[ImageRecord]:
    """Without what a job is just making: that job lists it, as its project's and not as everybody's."""
    listed = list(records)
    wanted = set(Image.objects.filter(provider=provider, external_id="", problem="").values_list("name", flat=True))
    if not wanted.intersection(record.name for record in listed):
        return listed
    known = set(Image.objects.filter(provider=provider).values_list("external_id", flat=True))
    return [record for record in listed if record.external_id in known or record.name not in wanted]


@transaction.atomic
def apply_images(provider: Provider, records: Iterable[ImageRecord], *, is_complete: bool = True) -> Outcome[Image]:
    """Write what differs and tell open pages; an image of a project is its members' news alone."""
    outcome = reconcile(
        Image.objects.filter(provider=provider).exclude(external_id=""),
        _finished(provider, records),
        key=lambda record: record.external_id,
        values=_image_values,
        make=lambda record: Image(provider=provider, external_id=record.external_id, **_image_values(record)),
        is_complete=is_complete,
    )
    publish_many([*news_of(outcome.created, "created"), *news_of((*outcome.changed, *outcome.missing))])
    return outcome
