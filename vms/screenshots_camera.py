"""Takes the pictures of screens: one thread per provider whose machines somebody looks at, and none while nobody does.

It lives in the watcher's process. A host that hangs holds up its own thread only; a host is kept busy with pictures for
a fifth of its time at most, however many machines are looked at.
"""

from __future__ import annotations

import logging
import threading
import time
from uuid import UUID

from django.db import close_old_connections, connections

from providers.base import Conflict, Driver, NotFound, NotSupported, ProviderError
from providers.models import Provider
from providers.pool import connect
from vms import screenshots
from vms.models import VirtualMachine

logger = logging.getLogger(__name__)

MOST_SHARE = 0.2
#: A thread that nobody needs lets go of its connection.
REST_S = 60.0
#: A machine whose picture could not be taken is left alone for so long.
AFTER_FAILURE_S = 30.0
BACK_OFF_S = 15.0
SWEEP_S = 60.0


class Camera:
    """The pictures of one provider."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.stop = threading.Event()
        self._not_before: dict[UUID, float] = {}
        self._thread = threading.Thread(target=self._run, name=f"screens-{provider.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            with connect(self.provider) as driver:
                self._take_while_looked_at(driver)
        except ProviderError as exc:
            logger.info("Pictures of screens of %s: %s", self.provider.name, exc.detail or exc.reason)
            # What is wrong with the provider, the watcher says. Here it is only tried again later.
            self.stop.wait(BACK_OFF_S)
        except Exception:
            logger.exception("Taking pictures of screens of %s failed", self.provider.name)
            self.stop.wait(BACK_OFF_S)
        finally:
            connections.close_all()

    def _take_while_looked_at(self, driver: Driver) -> None:
        needed_at = time.monotonic()
        while not self.stop.is_set() and time.monotonic() - needed_at < REST_S:
            close_old_connections()
            wanted = screenshots.looked_at(self.provider.uuid)
            if wanted:
                needed_at = time.monotonic()
            vm = self.next_of(wanted)
            began = time.monotonic()
            if vm is not None:
                self.take(driver, vm)
            took = time.monotonic() - began
            self.stop.wait(max(took / MOST_SHARE - took, 0.05 if vm is not None else 1.0))

    def next_of(self, wanted: dict[UUID, float]) -> VirtualMachine | None:
        """The machine whose picture has been due for longest; None when all are fresh enough."""
        now, clock = time.time(), time.monotonic()
        due: list[tuple[float, UUID]] = []
        for uuid, age_s in wanted.items():
            age = now - (screenshots.taken_at(uuid) or 0.0)
            if age >= age_s and clock >= self._not_before.get(uuid, 0.0):
                # One that is looked at alone comes before the many of a list.
                due.append((age / age_s, uuid))
        due.sort(reverse=True)
        for _, uuid in due:
            vm = VirtualMachine.objects.select_related("provider").filter(uuid=uuid, provider=self.provider).first()
            if vm is not None and screenshots.may_have(vm):
                return vm
            screenshots.drop(uuid)
            self._not_before[uuid] = clock + AFTER_FAILURE_S
        return None

    def take(self, driver: Driver, vm: VirtualMachine) -> None:
        """One picture; a machine that has none now is left alone for a while. Raises ProviderError for the rest."""
        try:
            if driver.consoles is None:
                raise NotSupported
            screenshots.keep(vm.uuid, driver.consoles.screenshot(vm.external_id))
        except (Conflict, NotFound, NotSupported, screenshots.NoPicture) as exc:
            logger.info("There is no picture of the screen of %s: %s", vm.name, exc)
            screenshots.drop(vm.uuid)
            self._not_before[vm.uuid] = time.monotonic() + AFTER_FAILURE_S
        else:
            self._not_before.pop(vm.uuid, None)


class Cameras:
    """Keeps one Camera per provider with machines that somebody looks at."""

    def __init__(self) -> None:
        self._cameras: dict[int, tuple[tuple[object, ...], Camera]] = {}
        self._swept_at = 0.0

    def look(self) -> None:
        """Compare with the providers' rows and with who looks, once."""
        for provider in Provider.objects.filter(is_enabled=True):
            features = provider.can.consoles
            fingerprint = (str(provider.config), provider.sealed)
            known = self._cameras.get(provider.pk)
            if known is not None and known[0] != fingerprint:
                known[1].stop.set()
            if known is not None and not known[1].is_alive:
                del self._cameras[provider.pk]
                known = None
            can_picture = features is not None and features.screenshot
            if known is None and can_picture and screenshots.looked_at(provider.uuid):
                camera = Camera(provider)
                self._cameras[provider.pk] = (fingerprint, camera)
                camera.start()
        if time.monotonic() - self._swept_at > SWEEP_S:
            self._swept_at = time.monotonic()
            screenshots.sweep()

    def run(self, stop: threading.Event, every_s: float = 1.0) -> None:
        while not stop.is_set():
            close_old_connections()
            try:
                self.look()
            except Exception:
                logger.exception("Looking for screens to picture failed")
            stop.wait(every_s)
        cameras = [camera for _, camera in self._cameras.values()]
        for camera in cameras:
            camera.stop.set()
        for camera in cameras:
            camera.join(3)
        connections.close_all()
