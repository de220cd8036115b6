"""Events of a simulated cloud: every write leaves a change, and watchers read the new ones ten times a second."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from typing import NamedTuple

from providers.base import Events, EventTopic, ProviderEvent
from providers.fake.cloud import Cloud, Part

INTERVAL_S = 0.1
#: How the change is called that is no change of the VM's own state.
RESTARTED = "restarted"


class Change(NamedTuple):
    """A row of the list of changes; ordered by the moment at which it is to be told."""

    due: float
    seq: int
    topic: str
    external_id: str
    gone: int
    hint: str


class FakeEvents(Part, Events):
    def watch(self, report: Callable[[ProviderEvent], None], stop: threading.Event) -> None:
        """Each look is one vendor call, so the fault place is "events.watch"."""
        waiting: list[Change] = []
        with self.cloud.reading("events.watch") as tx:
            last = int(tx.db.execute("SELECT coalesce(max(seq), 0) FROM changes").fetchone()[0])
            # What was written before and is still to come (a VM that is starting) is news as well.
            rows = tx.db.execute("SELECT due, seq, topic, id, gone, hint FROM changes WHERE due > ?", (tx.now,))
            waiting.extend(Change(*row) for row in rows)
        heapq.heapify(waiting)
        while not stop.wait(INTERVAL_S):
            for change in new_changes(self.cloud, last):
                heapq.heappush(waiting, change)
                last = max(last, change.seq)
            now = self.cloud.store.clock()
            while waiting and waiting[0].due <= now:
                change = heapq.heappop(waiting)
                report(
                    ProviderEvent(
                        topic=EventTopic(change.topic),
                        external_id=change.external_id,
                        gone=bool(change.gone),
                        restarted=change.hint == RESTARTED,
                        hint=change.hint,
                    )
                )


def new_changes(cloud: Cloud, after: int) -> list[Change]:
    """What was written since; in the order of writing."""
    with cloud.reading("events.watch") as tx:
        rows = tx.db.execute(
            "SELECT due, seq, topic, id, gone, hint FROM changes WHERE seq > ? ORDER BY seq", (after,)
        ).fetchall()
    return [Change(*row) for row in rows]
