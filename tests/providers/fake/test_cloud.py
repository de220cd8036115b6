"""The simulated cloud keeps time, limits and credentials, and is one cloud to every process that opens it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from providers.base import (
    AlreadyExists,
    AuthenticationFailed,
    Cancelled,
    Conflict,
    DiskSpec,
    EventTopic,
    InvalidRequest,
    NetworkSpec,
    NicSpec,
    OutOfCapacity,
    PowerState,
    ProviderEvent,
    StaticLease,
    Unreachable,
    VmSpec,
)
from providers.fake.config import FakeConfig
from providers.fake.driver import FakeDriver
from providers.fake.seed import fill
from providers.testing.checks import Recorder
from tests.providers.fake.props import cloud, make, spec


def test_two_new_clouds_are_equal() -> None:
    with cloud() as one, cloud() as other:
        first, second = make(one), make(other)
        assert (first.external_id, first.nics, first.disks) == (second.external_id, second.nics, second.disks)


def test_a_cloud_without_demonstration_has_only_its_catalogue() -> None:
    with cloud(demo=False) as driver:
        assert list(driver.machines.list()) == []
        assert driver.images is not None
        assert driver.images.list()


# -- time ---------------------------------------------------------------------------------------------------------


class Clock:
    """Time that passes when told."""

    def __init__(self, driver: FakeDriver) -> None:
        self.now = time.time()
        driver.cloud.store.clock = lambda: self.now


def test_starting_takes_its_time_and_nobody_waits_for_it() -> None:
    with cloud(start_s=30, lease_s=20) as driver:
        clock = Clock(driver)
        vm = make(driver)
        assert vm.power is PowerState.STARTING
        clock.now += 31
        vm = driver.machines.get(vm.external_id)
        assert (vm.power, vm.addresses) == (PowerState.RUNNING, ())
        clock.now += 20
        vm = driver.machines.get(vm.external_id)
        assert vm.addresses
        assert vm.nics is not None
        assert vm.nics[0].addresses_source == "lease"


def test_a_guest_that_ignores_the_request_is_switched_off_after_the_timeout() -> None:
    with cloud(stop_s=0.1) as driver:
        assert driver.power is not None
        deaf, good = make(driver, "deaf", options={"ignores_shutdown": True}), make(driver, "good")
        begin = time.monotonic()
        assert driver.power.stop(deaf.external_id, timeout_s=0.4).power is PowerState.STOPPED
        assert time.monotonic() - begin >= 0.4
        begin = time.monotonic()
        assert driver.power.stop(good.external_id, timeout_s=60).power is PowerState.STOPPED
        assert time.monotonic() - begin < 30


def test_a_cancelled_stop_leaves_a_deaf_guest_running() -> None:
    with cloud() as driver:
        assert driver.power is not None
        vm = make(driver, options={"ignores_shutdown": True})
        with pytest.raises(Cancelled):
            driver.power.stop(vm.external_id, timeout_s=5, progress=Recorder(stop_at=2))
        assert driver.machines.get(vm.external_id).power is PowerState.RUNNING


def test_a_creation_is_seen_by_others_only_when_it_is_complete() -> None:
    with cloud() as driver:

        class Curious(Recorder):
            """Looks from outside at every step but the last."""

            def report(self, percent: int, sentence: str) -> None:
                super().report(percent, sentence)
                if 5 < percent < 100:
                    assert "box" not in {vm.name for vm in driver.machines.list()}
                    with pytest.raises(AlreadyExists):
                        make(driver)

        curious = Curious()
        driver.machines.create(spec(), curious)
        assert len(curious.percents) >= 5
        assert driver.machines.find("box").name == "box"


def test_a_creation_tells_a_handful_of_steps() -> None:
    with cloud() as driver:
        recorder = Recorder()
        driver.machines.create(spec(), recorder)
        assert recorder.percents[-1] == 100
        assert len(recorder.sentences) >= 5


# -- limits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "wish"),
    [
        ({"cpus": 4}, {"vcpus": 8}),
        ({"memory_mib": 1024}, {"memory_mib": 2048}),
        ({"storage_gib": 10}, {"disks": (DiskSpec(image="image-1", size_gib=20),)}),
        ({"storage_gib": 10}, {"disks": (DiskSpec(size_gib=6, thin=False), DiskSpec(size_gib=6, thin=False))}),
    ],
)
def test_a_cloud_that_is_too_small_says_so_and_keeps_nothing(limits: dict[str, int], wish: dict[str, Any]) -> None:
    with cloud(demo=False, **limits) as driver:
        assert driver.volumes is not None
        with pytest.raises(OutOfCapacity):
            make(driver, **wish)
        assert list(driver.machines.list()) == []
        assert list(driver.volumes.list()) == []


def test_a_stopped_vm_takes_no_memory_until_it_starts() -> None:
    with cloud(demo=False, memory_mib=1024) as driver:
        assert driver.power is not None
        make(driver, "first", memory_mib=1024)
        second = make(driver, "second", memory_mib=512, start=False)
        with pytest.raises(OutOfCapacity):
            driver.power.start(second.external_id)


def test_a_network_runs_out_of_addresses() -> None:
    with cloud(demo=False) as driver:
        assert driver.networks is not None
        small = driver.networks.create(NetworkSpec(name="small", cidr="198.51.100.0/28"))
        nics = (NicSpec(network=small.external_id),)
        for number in range(5):
            make(driver, f"vm{number}", nics=nics)
        with pytest.raises(OutOfCapacity):
            make(driver, "late", nics=nics)
        driver.machines.delete(driver.machines.find("vm0").external_id)
        make(driver, "late", nics=nics)


def test_a_fixed_address_is_given_once() -> None:
    with cloud() as driver:
        nics = (NicSpec(network="net-1", address="192.168.122.200/24"),)
        vm = make(driver, nics=nics)
        assert vm.addresses == ("192.168.122.200",)
        with pytest.raises(AlreadyExists):
            make(driver, "other", nics=nics)


def test_a_kept_address_is_given_to_its_card_alone() -> None:
    with cloud(demo=False) as driver:
        assert driver.networks is not None
        small = driver.networks.create(NetworkSpec(name="small", cidr="198.51.100.0/28"))
        mac, key = "52:54:00:aa:00:01", small.external_id
        driver.networks.reserve(key, StaticLease(mac=mac, address="198.51.100.10"))
        first = make(driver, "first", nics=(NicSpec(network=key),))
        assert first.addresses == ("198.51.100.11",)
        owner = make(driver, "owner", nics=(NicSpec(network=key, mac=mac),))
        assert owner.addresses == ("198.51.100.10",)
        rows = {row.mac: (row.address, row.is_static, row.hostname) for row in driver.networks.leases(key)}
        assert rows[mac] == ("198.51.100.10", True, "owner")
        driver.networks.reserve(key, StaticLease(mac=mac, address="198.51.100.12"))
        assert driver.machines.get(owner.external_id).addresses == ("198.51.100.12",)


def test_nothing_is_plugged_into_a_network_that_is_switched_off() -> None:
    with cloud(demo=False) as driver:
        assert driver.networks is not None
        assert driver.nics is not None
        vm = make(driver, nics=(), start=False)
        driver.networks.set_active("net-1", False)
        with pytest.raises(Conflict):
            driver.nics.add(vm.external_id, NicSpec(network="net-1"))
        with pytest.raises(Conflict):
            make(driver, "other")


def test_a_base_is_kept_as_long_as_something_lies_over_it() -> None:
    with cloud() as driver:
        assert driver.clones is not None
        assert driver.volumes is not None
        vm = make(driver, start=False)
        driver.clones.clone(vm.external_id, "copy")
        assert vm.disks is not None
        base = vm.disks[0].volume
        driver.machines.delete(vm.external_id)
        with pytest.raises(Conflict):
            driver.volumes.delete(base)
        driver.machines.delete(driver.machines.find("copy").external_id)
        driver.volumes.delete(base)


# -- credentials and settings -------------------------------------------------------------------------------------


def test_the_first_credentials_are_the_clouds(tmp_path: Path) -> None:
    path = str(tmp_path / "cloud")
    cloud(path=path, username="alice", password="right").close()
    with pytest.raises(AuthenticationFailed):
        cloud(path=path, username="alice", password="wrong")
    with cloud(path=path, username="alice", password="right") as driver:
        assert "right" not in repr(driver.config)
        assert b"right" not in (tmp_path / "cloud").read_bytes()


def test_a_file_that_cannot_be_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        cloud(path=str(tmp_path))


def test_a_closed_cloud_is_unreachable() -> None:
    driver = cloud()
    driver.close()
    with pytest.raises(Unreachable):
        driver.machines.list()


def test_facets_can_be_hidden() -> None:
    with cloud(without=("snapshots", "events")) as driver:
        assert driver.snapshots is None
        assert driver.probe().snapshots is None
        assert driver.probe().power is not None
    with pytest.raises(InvalidRequest):
        cloud(without=("machines",))


def test_every_setting_tells_what_it_is() -> None:
    for name, field in FakeConfig.model_fields.items():
        assert field.title, name
        assert field.description, name


# -- several processes --------------------------------------------------------------------------------------------

START = """
import sys
from providers.fake.config import FakeConfig
from providers.fake.driver import FakeDriver
with FakeDriver(FakeConfig(path=sys.argv[1], start_s=0, lease_s=0)) as driver:
    driver.power.start(driver.machines.find("box").external_id)
"""


def test_another_process_sees_and_changes_the_same_cloud(tmp_path: Path) -> None:
    path = str(tmp_path / "cloud")
    with cloud(path=path) as driver:
        vm, heard, stop = make(driver, start=False), list[ProviderEvent](), threading.Event()
        assert driver.events is not None
        watcher = threading.Thread(target=driver.events.watch, args=(heard.append, stop))
        watcher.start()
        time.sleep(0.15)
        subprocess.run([sys.executable, "-c", START, path], check=True, timeout=30)
        assert driver.machines.get(vm.external_id).power is PowerState.RUNNING
        end = time.monotonic() + 10
        while vm.external_id not in {event.external_id for event in heard}:
            assert time.monotonic() < end
            time.sleep(0.02)
        stop.set()
        watcher.join(5)
        assert {event.topic for event in heard if event.external_id == vm.external_id} == {EventTopic.VM}


def test_many_threads_make_vms_at_once_without_a_collision(tmp_path: Path) -> None:
    path = str(tmp_path / "cloud")
    failed: list[BaseException] = []

    def work(worker: int) -> None:
        try:
            with cloud(path=path) as driver:
                for number in range(5):
                    make(driver, f"vm-{worker}-{number}")
        except BaseException as exc:
            failed.append(exc)

    cloud(path=path).close()
    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    with cloud(path=path) as driver:
        made = [vm for vm in driver.machines.list() if vm.name.startswith("vm-")]
        assert len(made) == 20
        assert len({nic.mac for vm in made for nic in vm.nics or ()}) == 20
        assert len({address for vm in made for address in vm.addresses}) == 20


def test_the_news_of_a_start_come_in_order_and_at_their_time() -> None:
    with cloud(start_s=30, lease_s=20) as driver:
        clock, stop = Clock(driver), threading.Event()
        heard: list[str] = []
        assert driver.events is not None
        watcher = threading.Thread(target=driver.events.watch, args=(lambda event: heard.append(event.hint), stop))
        watcher.start()
        time.sleep(0.15)

        def wait_for(*hints: str) -> None:
            end = time.monotonic() + 10
            while [hint for hint in heard if hint in ("created", "started", "addresses")] != list(hints):
                assert time.monotonic() < end, heard
                time.sleep(0.02)

        make(driver)
        wait_for("created")
        time.sleep(0.25)
        wait_for("created")
        clock.now += 31
        wait_for("created", "started")
        clock.now += 20
        wait_for("created", "started", "addresses")
        stop.set()
        watcher.join(5)
        assert not watcher.is_alive()


# -- size ---------------------------------------------------------------------------------------------------------


def test_a_crowd_is_listed_in_one_call() -> None:
    with cloud(demo=False) as driver:
        with driver.cloud.store.writing() as tx:
            fill(tx, 1000)
        before = driver.cloud.calls
        begin = time.monotonic()
        vms = driver.machines.list()
        assert (len(vms), driver.cloud.calls - before) == (1000, 1)
        assert time.monotonic() - begin < 10
        assert len({vm.nics[0].mac for vm in vms if vm.nics}) == 1000


def test_a_wrong_configuration_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        FakeDriver(object())  # type: ignore[arg-type]
    with cloud() as driver, pytest.raises(InvalidRequest):
        driver.machines.create(VmSpec(name="a/b"))
