"""The one way facts about volumes enter the database.

Volumes are many – each machine has some – so they are read when somebody looks at them and seldom otherwise, and a
reading that tells nothing new costs two queries and no write.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from kvweb.events.services import News, publish_many
from providers.base import VolumeRecord
from providers.inventory import Outcome, reconcile
from providers.machines import machines_at
from providers.models import Provider
from storage.models import Image, Pool, Volume

MEDIUM = "iso"


def apply(provider: Provider, records: Sequence[VolumeRecord], *, is_complete: bool = False) -> Outcome[Volume]:
    """Write what differs and tell open pages; with `is_complete` volumes that were not told are missing or forgotten.

    What is an image has its own row and page, so it is passed over; and so are media for drives, such as the seeds that
    machines are told their first words with. A volume that belongs to nobody yet becomes its
    machine's project's as soon as a machine of that project alone has it.
    """
    images = set(Image.objects.filter(provider=provider).values_list("external_id", flat=True))
    pools = dict(Pool.objects.filter(provider=provider).values_list("external_id", "pk"))
    kept = [record for record in records if record.external_id not in images and record.format != MEDIUM]
    with transaction.atomic():
        outcome = reconcile(
            Volume.objects.filter(provider=provider).exclude(external_id=""),
            kept,
            key=lambda record: record.external_id,
            values=lambda record: _values(record, pools),
            make=lambda record: Volume(provider=provider, external_id=record.external_id, **_values(record, pools)),
            is_complete=is_complete,
        )
        owned = _hand_to_projects(provider, [*outcome.created, *outcome.changed])
        # What went with its machine, or belonged to nobody, is nobody's loss: its row goes too.
        gone = Volume.objects.filter(pk__in=[row.pk for row in outcome.missing])
        gone.filter(Q(project=None) | Q(is_used=True)).delete()
        if is_complete:
            Pool.objects.filter(provider=provider).update(volumes_at=timezone.now())
        publish_many(_news(outcome, owned))
    return outcome


def forget(provider: Provider, external_ids: Iterable[str]) -> None:
    """They were deleted with something else, such as their pool."""
    gone = Volume.objects.filter(provider=provider, external_id__in=list(external_ids))
    publish_many([News(row.subject, row.project_id, "gone") for row in gone])
    gone.delete()


def _values(record: VolumeRecord, pools: dict[str, int]) -> dict[str, Any]:
    return {
        "name": record.name[:255],
        "pool_id": pools.get(record.pool),
        "format": record.format[:20],
        "size_gib": round(record.size_gib, 4),
        "allocation_gib": round(record.allocation_gib, 3),
        "path": record.path[:500],
        "backing": record.backing[:500],
        "used_by": sorted(record.used_by),
        "is_used": bool(record.used_by),
    }


def _hand_to_projects(provider: Provider, rows: Iterable[Volume]) -> set[int]:
    """Give volumes without an owner to the project of the machines that have them; returns the rows' keys."""
    free = [row for row in rows if row.project_id is None and row.used_by]
    names = {name for row in free for name in row.used_by}
    owners = {one.external_id: one.project_id for one in machines_at([provider.pk], external_ids=names)}
    handed: set[int] = set()
    for row in free:
        projects = {owners.get(name) for name in row.used_by}
        project_id = projects.pop() if len(projects) == 1 else None
        if project_id is not None:
            Volume.objects.filter(pk=row.pk, project=None).update(project_id=project_id)
            row.project_id = project_id
            handed.add(row.pk)
    return handed


def _news(outcome: Outcome[Volume], handed: set[int]) -> list[News]:
    return [
        *(News(row.subject, row.project_id, "created") for row in outcome.created),
        *(News(row.subject, row.project_id, "created" if row.pk in handed else "changed") for row in outcome.changed),
        *(News(row.subject, row.project_id, "gone") for row in outcome.missing),
    ]
