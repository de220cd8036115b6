"""Power: start, stop, restart, pause, resume."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from providers.base import QUIET, Conflict, Power, PowerState, Progress, ProviderEvent, VmRecord
from providers.kvm import starting
from providers.kvm.errors import has_code, vendor_calls
from providers.kvm.machines import KvmMachines
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.part import Part
from providers.kvm.records import power_of

#: A guest that is still booting does not hear the power button, so it is pressed again.
_PRESS_AGAIN_S = 10.0
#: How long a guest may take to go down for a restart.
RESTART_S = 60.0


class KvmPower(Part, Power):
    def start(self, external_id: str, progress: Progress = QUIET) -> VmRecord:
        with vendor_calls():
            domain = self.domain(external_id)
            power = _power(domain)
            if power is PowerState.SUSPENDED and domain.isActive():
                domain.pMWakeup(0)
            elif not domain.isActive():
                progress.report(10, "Starting")
                _unless_already(lambda: starting.start(domain), lambda: bool(domain.isActive()))
            return self._record(domain)

    def stop(
        self, external_id: str, *, force: bool = False, timeout_s: float = 60.0, progress: Progress = QUIET
    ) -> VmRecord:
        with vendor_calls():
            domain = self.domain(external_id)
            if not domain.isActive():
                return self._record(domain)
            # One without a definition is gone when it is off; then this is the last that is known of it.
            last = None if domain.isPersistent() else self._record(domain)
            if force or not self._shut_down(domain, timeout_s, progress):
                progress.report(90, "Pulling the plug")
                _unless_already(domain.destroy, lambda: not domain.isActive())
            if last is not None:
                return replace(last, power=PowerState.STOPPED, raw_state="shutoff", consoles=frozenset())
            return self._record(domain)

    def restart(self, external_id: str, *, force: bool = False, progress: Progress = QUIET) -> VmRecord:
        with vendor_calls():
            domain = self.domain(external_id)
            if not domain.isActive():
                raise Conflict("It does not run; start it instead.")
            if force:
                progress.report(10, "Restarting")
                domain.reset(0)
            elif _power(domain) is PowerState.PAUSED:
                raise Conflict("It is paused; resume it first.")
            elif not self._rebooted(domain, progress):
                raise Conflict(
                    f"The guest was asked to restart and did not within {RESTART_S:g} s. Reset it, or look inside."
                )
            elif not domain.isActive():
                raise Conflict("It switched itself off instead of restarting; start it.")
            return self._record(domain)

    def pause(self, external_id: str) -> VmRecord:
        with vendor_calls():
            domain = self.domain(external_id)
            if _power(domain) is not PowerState.RUNNING:
                raise Conflict("Only a running VM can be paused.")
            domain.suspend()
            return self._record(domain)

    def resume(self, external_id: str) -> VmRecord:
        with vendor_calls():
            domain = self.domain(external_id)
            if _power(domain) is not PowerState.PAUSED:
                raise Conflict("Only a paused VM can be resumed.")
            domain.resume()
            return self._record(domain)

    def _shut_down(self, domain: Any, timeout_s: float, progress: Progress) -> bool:
        """Press the power button and wait; whether the guest went down in time."""
        if timeout_s <= 0:
            return False
        if _power(domain) is PowerState.PAUSED:
            # A frozen guest hears nothing.
            domain.resume()
        return self._pressed_until(
            lambda _: not domain.isActive(),
            domain,
            domain.shutdown,
            timeout_s=timeout_s,
            progress=progress,
            sentence="Waiting for the guest to shut down",
        )

    def _rebooted(self, domain: Any, progress: Progress) -> bool:
        """Ask the guest to restart and wait; whether it did, as libvirt's event says.

        QEMU runs on, so nothing else tells. A process without events can only ask.
        """
        if not self.connection.has_events:
            domain.reboot(0)
            progress.report(90, "The guest was asked to restart; whether it does cannot be seen from here")
            return True
        return self._pressed_until(
            lambda news: news.restarted or not domain.isActive(),
            domain,
            lambda: domain.reboot(0),
            timeout_s=RESTART_S,
            progress=progress,
            sentence="Waiting for the guest to restart",
        )

    def _pressed_until(
        self,
        is_done: Callable[[_News], bool],
        domain: Any,
        press: Callable[[], object],
        *,
        timeout_s: float,
        progress: Progress,
        sentence: str,
    ) -> bool:
        news = _News(domain.UUIDString())
        unsubscribe = self.connection.subscribe(news)
        begun = time.monotonic()
        pressed = float("-inf")
        try:
            while (now := time.monotonic()) - begun < timeout_s:
                if is_done(news):
                    return True
                progress.checkpoint()
                if now - pressed >= _PRESS_AGAIN_S:
                    pressed = now
                    _unless_already(press, lambda: True)
                progress.report(min(89, int((now - begun) * 90 / timeout_s)), sentence)
                news.wait(min(1.0, timeout_s - (now - begun)))
            return is_done(news)
        finally:
            unsubscribe()

    def _record(self, domain: Any) -> VmRecord:
        return KvmMachines(self.connection, self.config).record(domain)


class _News:
    """Wakes a waiting thread when something happened to one VM."""

    def __init__(self, uuid: str) -> None:
        self._uuid = uuid
        self._happened = threading.Event()
        self.restarted = False

    def changed(self, event: ProviderEvent) -> None:
        if event.external_id == self._uuid:
            self.restarted = self.restarted or event.restarted
            self._happened.set()

    def closed(self, reason: str) -> None:
        del reason
        self._happened.set()

    def wait(self, timeout_s: float) -> None:
        self._happened.wait(max(0.01, timeout_s))
        self._happened.clear()


def _power(domain: Any) -> PowerState:
    return power_of(*domain.state())[0]


def _unless_already(call: Callable[[], object], is_so: Callable[[], bool]) -> None:
    """Call it; that the VM is in the wanted state by now is fine. The same code says that a network of it is off."""
    try:
        call()
    except LibvirtError as exc:
        if not has_code(exc, libvirt.VIR_ERR_OPERATION_INVALID) or not is_so():
            raise
