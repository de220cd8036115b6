"""Events: libvirt says what changed, instead of being asked."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from providers.base import Events, NotSupported, ProviderEvent, Unreachable
from providers.kvm.errors import vendor_calls
from providers.kvm.part import Part

#: How often a silent line is asked whether it still stands. A daemon that ends says so at once, by closing its socket.
_ASK_EVERY_S = 2.0
_LOOK_EVERY_S = 0.25


class KvmEvents(Part, Events):
    def watch(self, report: Callable[[ProviderEvent], None], stop: threading.Event) -> None:
        """Report changes of VMs, networks and pools, a few milliseconds after they happened.

        A lost connection is noticed at once, a daemon that hangs within the keepalive (12 s). Raises NotSupported in a
        process that was forked after it had talked to libvirt.
        """
        if not self.connection.has_events:
            raise NotSupported("This process cannot receive events; start it anew instead of forking it.")
        news = _News()
        with vendor_calls():
            unsubscribe = self.connection.subscribe(news)
        try:
            asked = time.monotonic()
            while not stop.is_set():
                try:
                    report(news.queue.get(timeout=_LOOK_EVERY_S))
                    continue
                except queue.Empty:
                    pass
                if news.lost or not self.connection.is_alive:
                    raise Unreachable("The connection to the hypervisor is lost.", news.lost)
                if time.monotonic() - asked > _ASK_EVERY_S:
                    asked = time.monotonic()
                    with vendor_calls():
                        self.raw.getLibVersion()
        finally:
            unsubscribe()


class _News:
    """Takes events from libvirt's thread, which must not wait."""

    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[ProviderEvent] = queue.SimpleQueue()
        self.lost = ""

    def changed(self, event: ProviderEvent) -> None:
        self.queue.put(event)

    def closed(self, reason: str) -> None:
        self.lost = reason
