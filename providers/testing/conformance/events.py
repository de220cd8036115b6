"""Events: whoever watches hears of every change to a VM, and stops when told."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from providers.base import Driver, EventTopic, ProviderEvent
from providers.testing.lab import Lab, present
from providers.testing.promises import promise

STOP_S = 2.0
SETTLE_S = 0.3


@contextmanager
def watching(lab: Lab) -> Iterator[list[ProviderEvent]]:
    """What a second connection hears during the block; the block starts when it listens."""
    heard: list[ProviderEvent] = []
    failed: list[BaseException] = []
    stop = threading.Event()
    driver: Driver = lab.harness.open()

    def watch() -> None:
        try:
            present(driver.events).watch(heard.append, stop)
        except BaseException as exc:
            failed.append(exc)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    # There is no sign that a watcher is listening; what happens before is not promised to be heard.
    time.sleep(SETTLE_S)
    try:
        yield heard
    finally:
        stop.set()
        thread.join(STOP_S)
        is_over = not thread.is_alive()
        driver.close()
    assert is_over, f"The watcher did not stop within {STOP_S:g} s."
    assert not failed, f"The watcher failed: {failed[0]!r}"


def wait_for(lab: Lab, heard: list[ProviderEvent], external_id: str, what: str, *, gone: bool = False) -> None:
    def look() -> bool:
        news = [each for each in heard if each.topic is EventTopic.VM and each.external_id == external_id]
        return any(each.gone for each in news) if gone else bool(news)

    lab.harness.wait_until(look, f"an event after {what}", timeout_s=lab.harness.event_s)


@promise(when=lambda can: can.events)
def a_vm_is_announced_when_it_comes_and_when_it_goes(lab: Lab) -> None:
    with watching(lab) as heard:
        vm = lab.vm()
        wait_for(lab, heard, vm.external_id, "create")
        lab.delete_vm(vm.external_id)
        wait_for(lab, heard, vm.external_id, "delete", gone=True)


@promise(when=lambda can: can.events and can.power)
def starting_and_stopping_are_announced(lab: Lab) -> None:
    vm, power = lab.vm(), present(lab.driver.power)
    with watching(lab) as heard:
        power.start(vm.external_id)
        wait_for(lab, heard, vm.external_id, "start")
        lab.running(vm)
        heard.clear()
        power.stop(vm.external_id, force=True)
        wait_for(lab, heard, vm.external_id, "stop")


@promise(when=lambda can: can.events and can.events.restarts and can.power and can.power.reset)
def a_guest_that_begins_anew_is_announced_as_such(lab: Lab) -> None:
    vm, power = lab.vm(start=True), present(lab.driver.power)
    with watching(lab) as heard:
        power.restart(vm.external_id, force=True)
        lab.harness.wait_until(
            lambda: any(each.restarted and each.external_id == vm.external_id for each in heard),
            "an event after a reset",
            timeout_s=lab.harness.event_s,
        )
        heard.clear()
        power.stop(vm.external_id, force=True)
        wait_for(lab, heard, vm.external_id, "stop")
        assert not any(each.restarted for each in heard)


@promise(when=lambda can: can.events)
def a_watcher_stops_when_told(lab: Lab) -> None:
    begin = time.monotonic()
    with watching(lab):
        pass
    assert time.monotonic() - begin < SETTLE_S + STOP_S
