"""Fetching what is shown only while somebody looks: one thread per provider that is looked at, and none otherwise.

The threads live in the watcher's process. A host that hangs holds up its own thread only, and each is at work for a set
share of its time at most, however many machines are looked at.
"""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar
from uuid import UUID

from django.db import close_old_connections, connections

from providers.base import Capabilities, Driver, ProviderError
from providers.models import Provider
from providers.pool import connect
from vms.models import VirtualMachine

logger = logging.getLogger(__name__)

#: A thread that nobody needs lets go of its connection.
REST_S = 60.0
BACK_OFF_S = 15.0

#: What is known of who looks: machine → whatever the onlooker keeps with it.
Wanted = dict[UUID, float]


class Onlooker(ABC):
    """What is fetched of one provider's machines."""

    #: For the thread's name and the log.
    what: ClassVar[str]
    #: Of its time it keeps the provider busy for so much.
    most_share: ClassVar[float] = 0.2

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.stop = threading.Event()
        self.not_before: dict[UUID, float] = {}
        self._thread = threading.Thread(target=self._run, name=f"{self.what}-{provider.name}", daemon=True)

    @staticmethod
    @abstractmethod
    def is_offered(can: Capabilities) -> bool:
        """Whether a provider has it at all."""

    @staticmethod
    @abstractmethod
    def wanted(provider: Provider) -> Wanted:
        """Machines that somebody looks at, with how many seconds old what is known of them may be."""

    @abstractmethod
    def next_of(self, wanted: Wanted) -> VirtualMachine | None:
        """The machine whose turn it is; None when all is fresh enough."""

    @abstractmethod
    def take(self, driver: Driver, vm: VirtualMachine) -> None:
        """Fetch it of one machine. Raises ProviderError for what is not that machine's own fault."""

    def start(self) -> None:
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def leave_alone(self, uuid: UUID, for_s: float) -> None:
        self.not_before[uuid] = time.monotonic() + for_s

    def is_due(self, uuid: UUID) -> bool:
        return time.monotonic() >= self.not_before.get(uuid, 0.0)

    def _run(self) -> None:
        try:
            with connect(self.provider) as driver:
                self._take_while_looked_at(driver)
        except ProviderError as exc:
            logger.info("Fetching %s of %s: %s", self.what, self.provider.name, exc.detail or exc.reason)
            # What is wrong with the provider, the watcher says. Here it is only tried again later.
            self.stop.wait(BACK_OFF_S)
        except Exception:
            logger.exception("Fetching %s of %s failed", self.what, self.provider.name)
            self.stop.wait(BACK_OFF_S)
        finally:
            connections.close_all()

    def _take_while_looked_at(self, driver: Driver) -> None:
        needed_at = time.monotonic()
        while not self.stop.is_set() and time.monotonic() - needed_at < REST_S:
            close_old_connections()
            wanted = self.wanted(self.provider)
            if wanted:
                needed_at = time.monotonic()
            vm = self.next_of(wanted)
            began = time.monotonic()
            if vm is not None:
                self.take(driver, vm)
            took = time.monotonic() - began
            self.stop.wait(max(took / self.most_share - took, 0.05 if vm is not None else 1.0))


T = TypeVar("T", bound=Onlooker)


class Onlookers(Generic[T]):
    """Keeps one onlooker per provider with machines that somebody looks at."""

    def __init__(self, kind: type[T], *, sweep: Callable[[], object] | None = None, sweep_s: float = 60.0) -> None:
        self._kind = kind
        self._sweep, self._sweep_s, self._swept_at = sweep, sweep_s, 0.0
        self._known: dict[int, tuple[tuple[object, ...], T]] = {}

    def look(self) -> None:
        """Compare with the providers' rows and with who looks, once."""
        for provider in Provider.objects.filter(is_enabled=True):
            fingerprint = (str(provider.config), provider.sealed)
            known = self._known.get(provider.pk)
            if known is not None and known[0] != fingerprint:
                known[1].stop.set()
            if known is not None and not known[1].is_alive:
                del self._known[provider.pk]
                known = None
            if known is None and self._kind.is_offered(provider.can) and self._kind.wanted(provider):
                onlooker = self._kind(provider)
                self._known[provider.pk] = (fingerprint, onlooker)
                onlooker.start()
        if self._sweep is not None and time.monotonic() - self._swept_at > self._sweep_s:
            self._swept_at = time.monotonic()
            self._sweep()

    def run(self, stop: threading.Event, every_s: float = 1.0) -> None:
        while not stop.is_set():
            close_old_connections()
            try:
                self.look()
            except Exception:
                logger.exception("Looking for who looks at %s failed", self._kind.what)
            stop.wait(every_s)
        onlookers = [onlooker for _, onlooker in self._known.values()]
        for onlooker in onlookers:
            onlooker.stop.set()
        for onlooker in onlookers:
            onlooker.join(3)
        connections.close_all()
