"""publish(subject, …): a row now, and the news to open pages when the transaction is through."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from kvweb.events.bus import line
from kvweb.events.models import Event

logger = logging.getLogger(__name__)

#: Redis channel of a project's news; administrators listen to all of them.
CHANNEL = "kvweb:news:{project}"
ADMINISTRATORS = "0"
EVERYBODY = "everybody"


@dataclass(frozen=True, slots=True)
class News:
    """ "This object changed": `subject` is "vm:<uuid>", `topic` is "changed", "created", "gone" or "health"."""

    subject: str
    project_id: int | None
    topic: str = "changed"
    is_shared: bool = False
    """For everybody who is signed in; pages then show what each of them may see."""


def publish(subject: str, *, project_id: int | None, topic: str = "changed") -> None:
    """Tell open pages that one object changed; call it inside the transaction of the change."""
    publish_many([News(subject, project_id, topic)])


def publish_many(news: Iterable[News]) -> None:
    """The same for many objects with one insert, as a full sync needs it."""
    rows = Event.objects.bulk_create(
        Event(subject=item.subject, topic=item.topic, project_id=item.project_id, is_shared=item.is_shared)
        for item in news
    )
    if rows:
        transaction.on_commit(lambda: _announce(rows), robust=True)


def _announce(rows: list[Event]) -> None:
    """Losing this message is harmless: pages catch up from the rows when they ask again."""
    try:
        with line() as redis:
            pipe = redis.pipeline(transaction=False)
            for row in rows:
                channel = CHANNEL.format(project=EVERYBODY if row.is_shared else row.project_id or ADMINISTRATORS)
                pipe.publish(channel, json.dumps({"id": row.pk, "subject": row.subject, "topic": row.topic}))
            pipe.execute()
    except Exception as exc:
        logger.log(_level(), "Open pages were not told of %d changes: %s", len(rows), exc)


_warned_at = 0.0


def _level() -> int:
    """One warning a minute is enough to know; an hour without Redis must not fill the log."""
    global _warned_at  # noqa: PLW0603 - a process-wide memory is what is meant
    if time.monotonic() - _warned_at < 60:
        return logging.DEBUG
    _warned_at = time.monotonic()
    return logging.WARNING


def sweep(older_than: timedelta = timedelta(days=1)) -> int:
    """Delete old rows; returns how many."""
    count, _ = Event.objects.filter(at__lt=timezone.now() - older_than).delete()
    return count
