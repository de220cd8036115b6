"""Events: Hetzner tells none, but the latest actions of all servers can be asked for in one request.

What is changed without an action, names and labels, is seen by the next sync of the portal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from providers.base import Events, EventTopic, ProviderEvent
from providers.hcloud.api import PAGE, Json
from providers.hcloud.part import Part


class HcloudEvents(Part, Events):
    def watch(self, report: Callable[[ProviderEvent], None], stop: threading.Event) -> None:
        """One request every `watch_s` seconds, out of 3600 that a project has in an hour."""
        seen: dict[int, str] | None = None
        while True:
            latest: list[Json] = self.api.get("/servers/actions", sort="id:desc", page=1, per_page=PAGE)["actions"]
            if seen is not None:
                for event in _news(seen, latest):
                    report(event)
            seen = {action["id"]: action["status"] for action in latest}
            if stop.wait(self.api.config.watch_s):
                return


def _news(seen: dict[int, str], latest: list[Json]) -> Iterator[ProviderEvent]:
    """The oldest first: actions that are new, or came to their end."""
    fresh = [action for action in reversed(latest) if seen.get(action["id"]) != action["status"]]
    if seen and latest and len(latest) == PAGE and not seen.keys() & {action["id"] for action in latest}:
        # More happened than one page holds.
        yield ProviderEvent(topic=EventTopic.RESYNC)
    for action in fresh:
        is_gone = action["command"] == "delete_server" and action["status"] == "success"
        for resource in action["resources"]:
            if resource["type"] == "server":
                yield ProviderEvent(
                    topic=EventTopic.VM, external_id=str(resource["id"]), gone=is_gone, hint=action["command"]
                )
