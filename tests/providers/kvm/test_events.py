"""Changes are told as they happen, by whomever they were made."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from providers.base import EventTopic, NetworkMode, NetworkSpec, PoolSpec, ProviderEvent
from providers.kvm.driver import KvmDriver
from providers.kvm.testing import Backend
from tests.providers.kvm.conftest import MakeVm
from tests.providers.kvm.test_inventory import virsh

pytestmark = pytest.mark.live


class Heard:
    """What a watcher was told, with the moment."""

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[tuple[float, ProviderEvent]] = queue.SimpleQueue()

    def __call__(self, event: ProviderEvent) -> None:
        self.events.put((time.monotonic(), event))

    def of(self, external_id: str, hint: str = "") -> tuple[float, ProviderEvent]:
        """The next event about this object, with this word in its hint."""
        end = time.monotonic() + 5
        while True:
            moment, event = self.events.get(timeout=max(0.01, end - time.monotonic()))
            if event.external_id == external_id and hint in event.hint:
                return moment, event


@pytest.fixture
def heard(backend: Backend) -> Iterator[Heard]:
    ears, stop = Heard(), threading.Event()
    with KvmDriver(backend.config) as driver:
        assert driver.events is not None
        watcher = threading.Thread(target=driver.events.watch, args=(ears, stop))
        watcher.start()
        time.sleep(0.1)
        yield ears
        stop.set()
        watcher.join(5)


def test_a_vms_life_is_told(backend: Backend, make_vm: MakeVm, heard: Heard) -> None:
    vm = make_vm()
    acts: list[tuple[Callable[[], object], str]] = [
        (lambda: backend.driver.power.start(vm.external_id), "started"),
        (lambda: backend.driver.power.pause(vm.external_id), "suspended"),
        (lambda: backend.driver.power.resume(vm.external_id), "resumed"),
        (lambda: backend.driver.reshape.set_metadata(vm.external_id, "k", "v"), "metadata"),
        (lambda: backend.driver.power.stop(vm.external_id, force=True), "stopped"),
    ]
    for act, hint in acts:
        act()
        _, event = heard.of(vm.external_id, hint)
        assert event.topic is EventTopic.VM
        assert not event.gone
    backend.driver.machines.delete(vm.external_id)
    assert heard.of(vm.external_id, "undefined")[1].gone


def test_a_rename_is_no_end(backend: Backend, make_vm: MakeVm, heard: Heard) -> None:
    vm = make_vm()
    backend.driver.reshape.rename(vm.external_id, f"{vm.name}-2")
    assert not heard.of(vm.external_id, "undefined")[1].gone
    heard.of(vm.external_id, "defined")


def test_what_is_undefined_while_it_runs_is_gone_when_it_stops(backend: Backend, make_vm: MakeVm, heard: Heard) -> None:
    vm = make_vm(start=True)
    virsh("undefine", vm.external_id)
    assert not heard.of(vm.external_id, "undefined")[1].gone
    assert backend.driver.machines.get(vm.external_id).external_id == vm.external_id
    backend.driver.machines.delete(vm.external_id)


def test_networks_and_pools_are_told(backend: Backend, heard: Heard) -> None:
    name = f"{backend.name}-told"
    backend.driver.networks.create(NetworkSpec(name=name, mode=NetworkMode.ISOLATED))
    assert heard.of(name)[1].topic is EventTopic.NETWORK
    backend.driver.networks.delete(name)
    pool = backend.driver.pools.create(PoolSpec(name=name, path=str(backend.folder / "told")))
    while heard.of(name)[1].topic is not EventTopic.POOL:
        pass
    backend.driver.pools.delete(pool.external_id)


def test_reading_makes_no_news(backend: Backend, make_vm: MakeVm, heard: Heard) -> None:
    """Else a reader that reads at every event would never come to rest."""
    vm = make_vm()
    heard.of(vm.external_id)
    time.sleep(0.2)
    while not heard.events.empty():
        heard.events.get()
    backend.driver.machines.list()
    backend.driver.machines.get(vm.external_id)
    backend.driver.images.list()
    backend.driver.volumes.list()
    backend.driver.pools.list()
    backend.driver.networks.list()
    time.sleep(0.3)
    ours = []
    while not heard.events.empty():
        event = heard.events.get()[1]
        if event.external_id in {vm.external_id, backend.name}:
            ours.append(event)
    assert ours == []
