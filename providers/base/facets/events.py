"""Events: the provider says what changed, instead of being asked."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from providers.base.records import ProviderEvent


class Events(ABC):
    @abstractmethod
    def watch(self, report: Callable[[ProviderEvent], None], stop: threading.Event) -> None:
        """Call `report` for each change until `stop` is set; returns within a second of that.

        `report` is called from one thread and must be quick. Raises Unreachable when the connection is lost: the caller
        opens a new driver, syncs everything and watches again.
        """
