"""The watcher: hears what changes at providers, reads that one object again and applies it.

Two threads per provider: one is inside `driver.events.watch` and only queues, the other re-reads over a connection of
its own. When the connection is lost the provider is marked; when it is back everything is read anew and it is watched
again.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from dataclasses import dataclass, field, replace

from django.db import close_old_connections, connections
from django.utils import timezone

from kvweb.portal.inventory import start_sync
from providers.base import Driver, EventTopic, NotFound, ProviderError, ProviderEvent, Transient
from providers.models import Provider
from providers.pool import connect, note_failure, note_success
from vms import inventory as vms
from vms.console import serial_services

logger = logging.getLogger(__name__)

#: Changes that come within this time are read together.
GATHER_S = 0.02
#: From so many changed machines on, one bulk list is cheaper than reading each.
BULK_FROM = 20
BACK_OFF_S = (1.0, 2.0, 4.0, 8.0, 15.0)


@dataclass
class Watch:
    """The watching of one provider."""

    provider: Provider
    stop: threading.Event = field(default_factory=threading.Event)
    heard: queue.SimpleQueue[ProviderEvent | None] = field(default_factory=queue.SimpleQueue)
    thread: threading.Thread | None = None

    def start(self) -> None:
        self.thread = threading.Thread(target=self._run, name=f"watch-{self.provider.name}", daemon=True)
        self.thread.start()

    def end(self) -> None:
        self.stop.set()

    @property
    def is_alive(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def _run(self) -> None:
        """Connect, watch, and again, until told to stop."""
        failures = 0
        while not self.stop.is_set():
            started = time.monotonic()
            try:
                self._watch_once()
                failures = 0
            except ProviderError as exc:
                if isinstance(exc, Transient) or failures == 0:
                    note_failure(self.provider, exc)
            except Exception:
                logger.exception("Watching %s failed", self.provider.name)
            finally:
                self._mark(watched=False)
            if time.monotonic() - started > 60:
                failures = 0
            self.stop.wait(BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)])
            failures += 1
        connections.close_all()

    def _watch_once(self) -> None:
        with connect(self.provider) as driver:
            if driver.events is None:
                self.stop.wait(30)
                return
            note_success(self.provider)
            reader = threading.Thread(target=self._read, name=f"read-{self.provider.name}", daemon=True)
            reader.start()
            try:
                self._mark(watched=True)
                start_sync(self.provider, everything=True)
                driver.events.watch(self.heard.put, self.stop)
            finally:
                self.heard.put(None)
                reader.join(timeout=10)

    def _mark(self, *, watched: bool) -> None:
        close_old_connections()
        Provider.objects.filter(pk=self.provider.pk).update(is_watched=watched)

    def _read(self) -> None:
        """Apply what was heard; ends with the None that `_watch_once` puts last."""
        try:
            with connect(self.provider) as driver:
                while (event := self.heard.get()) is not None:
                    gathered = {(event.topic, event.external_id): event}
                    time.sleep(GATHER_S)
                    while not self.heard.empty():
                        more = self.heard.get()
                        if more is None:
                            return
                        known = gathered.get((more.topic, more.external_id))
                        both = more.restarted or (known is not None and known.restarted)
                        gathered[more.topic, more.external_id] = replace(more, restarted=both)
                    close_old_connections()
                    self._apply(driver, list(gathered.values()))
        except ProviderError as exc:
            logger.info("Reading changes of %s ended: %s", self.provider.name, exc.detail or exc.reason)
        except Exception:
            logger.exception("Reading changes of %s failed", self.provider.name)
        finally:
            connections.close_all()

    def _apply(self, driver: Driver, events: list[ProviderEvent]) -> None:
        machines = [event for event in events if event.topic is EventTopic.VM]
        if len(machines) < len(events):
            start_sync(self.provider, everything=True)
        if len(machines) >= BULK_FROM:
            for event in machines:
                if event.restarted:
                    serial_services.note_restart(self.provider, event.external_id)
            asked_at = timezone.now()
            vms.apply(self.provider, driver.machines.list(), is_complete=True, asked_at=asked_at)
            Provider.objects.filter(pk=self.provider.pk).update(seen_at=asked_at)
            return
        for event in machines:
            if event.restarted:
                serial_services.note_restart(self.provider, event.external_id)
            if event.gone:
                vms.forget(self.provider, event.external_id)
                continue
            asked_at = timezone.now()
            try:
                record = driver.machines.get(event.external_id)
            except NotFound:
                vms.forget(self.provider, event.external_id)
            else:
                vms.apply(self.provider, [record], asked_at=asked_at)


class Watcher:
    """Keeps one Watch per enabled provider; a changed config starts it anew."""

    def __init__(self) -> None:
        self._watches: dict[int, tuple[tuple[object, ...], Watch]] = {}

    def look(self) -> None:
        """Compare with the providers' rows once."""
        wanted = {
            provider.pk: ((str(provider.config), provider.sealed), provider)
            for provider in Provider.objects.filter(is_enabled=True)
            if provider.can.events is not None
        }
        for pk, (fingerprint, watch) in list(self._watches.items()):
            if pk not in wanted or wanted[pk][0] != fingerprint:
                watch.end()
                # The old one says at its end that nobody listens: only then may the new one say the contrary.
                if not watch.is_alive:
                    del self._watches[pk]
        for pk, (fingerprint, provider) in wanted.items():
            if pk not in self._watches:
                watch = Watch(provider)
                self._watches[pk] = (fingerprint, watch)
                watch.start()

    def run(self, stop: threading.Event, every_s: float = 2.0) -> None:
        while not stop.is_set():
            close_old_connections()
            try:
                self.look()
            except Exception:
                logger.exception("Looking for providers to watch failed")
            stop.wait(every_s)
        for _, watch in self._watches.values():
            watch.end()
        for _, watch in self._watches.values():
            if watch.thread is not None:
                watch.thread.join(timeout=3)
