"""Faults happen where and as often as they were asked for, and a failed operation undoes its work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from providers.base import (
    AuthenticationFailed,
    Cancelled,
    Conflict,
    ImageSpec,
    InvalidRequest,
    NotFound,
    OutOfCapacity,
    ProviderError,
    RateLimited,
    TimedOut,
    Unreachable,
)
from providers.fake.driver import FakeDriver
from providers.fake.errors import VendorError
from providers.fake.faults import Fault, fault_in_name
from providers.testing.checks import Recorder
from tests.providers.fake.props import cloud, make, spec

ERRORS = {
    Fault.UNREACHABLE: Unreachable,
    Fault.RATE_LIMITED: RateLimited,
    Fault.AUTH: AuthenticationFailed,
    Fault.CONFLICT: Conflict,
    Fault.OUT_OF_CAPACITY: OutOfCapacity,
    Fault.CRASH: ProviderError,
    Fault.VANISH: NotFound,
    Fault.HANG: TimedOut,
}


@pytest.fixture
def driver() -> Iterator[FakeDriver]:
    with cloud() as opened:
        yield opened


def volumes(driver: FakeDriver) -> set[str]:
    assert driver.volumes is not None
    return {volume.name for volume in driver.volumes.list()}


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.SLOW])
@pytest.mark.parametrize("place", ["after-check", "after-disk", "after-nic", "before-start"])
def test_a_creation_that_fails_anywhere_leaves_nothing(driver: FakeDriver, fault: Fault, place: str) -> None:
    before = volumes(driver)
    driver.cloud.set_fault(f"machines.create:{place}", kind=fault)
    with pytest.raises(ERRORS[fault]):
        make(driver)
    assert volumes(driver) == before
    make(driver)


def test_a_fault_happens_as_often_as_asked(driver: FakeDriver) -> None:
    driver.cloud.set_fault("machines.list", kind="unreachable", times=2)
    for _ in range(2):
        with pytest.raises(Unreachable):
            driver.machines.list()
    driver.machines.list()
    driver.cloud.set_fault("*", kind="conflict", times=-1)
    for _ in range(3):
        with pytest.raises(Conflict):
            driver.machines.list()
    driver.cloud.clear_faults()
    driver.machines.list()


def test_slow_only_costs_time(driver: FakeDriver) -> None:
    driver.cloud.set_fault("machines.list", kind="slow")
    begin = time.monotonic()
    assert driver.machines.list()
    assert time.monotonic() - begin >= 0.05


def test_a_hang_can_be_cancelled() -> None:
    with cloud(hang_s=30) as driver:
        driver.cloud.set_fault("machines.create:after-disk", kind="hang")
        begin = time.monotonic()
        with pytest.raises(Cancelled):
            driver.machines.create(spec(), Recorder(stop_at=8))
        assert time.monotonic() - begin < 5
        assert "box" not in {vm.name for vm in driver.machines.list()}


def test_an_unknown_error_keeps_the_vendors_words_for_the_log(driver: FakeDriver) -> None:
    driver.cloud.set_fault("machines.list", kind="crash")
    with pytest.raises(ProviderError) as caught:
        driver.machines.list()
    assert isinstance(caught.value.__cause__, VendorError)
    assert "0xC0FFEE" in caught.value.detail
    assert "0xC0FFEE" not in caught.value.reason


def test_faults_come_from_the_settings() -> None:
    with cloud(faults={"power.start": "rate_limited"}) as driver:
        assert driver.power is not None
        vm = make(driver, start=False)
        with pytest.raises(RateLimited) as caught:
            driver.power.start(vm.external_id)
        assert caught.value.retry_after_s == 2.0
    with cloud(faults={"machines.list": "no-such-fault"}) as driver, pytest.raises(InvalidRequest):
        driver.machines.list()
    with pytest.raises(Unreachable):
        cloud(faults={"driver.open": "unreachable"})


def test_faults_belong_to_one_vm_by_its_metadata(driver: FakeDriver) -> None:
    assert driver.power is not None
    bad = make(driver, "bad", start=False, metadata={"fault:power.start": "out_of_capacity"})
    good = make(driver, "good", start=False)
    with pytest.raises(OutOfCapacity):
        driver.power.start(bad.external_id)
    driver.power.start(good.external_id)


def test_faults_come_from_a_name(driver: FakeDriver) -> None:
    before = volumes(driver)
    with pytest.raises(OutOfCapacity):
        make(driver, "web-fails-out-of-capacity")
    assert volumes(driver) == before
    assert fault_in_name("web-fails-often") is None
    make(driver, "web-fails-often")


def test_a_vm_that_vanishes_is_gone_with_its_disks(driver: FakeDriver) -> None:
    assert driver.power is not None
    before = volumes(driver)
    vm = make(driver, start=False)
    driver.cloud.set_fault("power.start", kind="vanish")
    with pytest.raises(NotFound):
        driver.power.start(vm.external_id)
    assert vm.external_id not in {each.external_id for each in driver.machines.list()}
    assert volumes(driver) == before


def test_a_fault_is_set_for_every_process_that_has_the_cloud_open(tmp_path: Path) -> None:
    path = str(tmp_path / "cloud")
    with cloud(path=path) as one, cloud(path=path) as other:
        one.cloud.set_fault("machines.list", kind="unreachable")
        with pytest.raises(Unreachable):
            other.machines.list()


@pytest.mark.parametrize("place", ["images.add:half", "clones.clone:half", "clones.export:half"])
def test_other_long_work_fails_half_way_without_a_trace(driver: FakeDriver, place: str) -> None:
    assert driver.images is not None
    assert driver.clones is not None
    vm = make(driver, start=False)
    before = (volumes(driver), len(driver.images.list()), len(driver.machines.list()))
    driver.cloud.set_fault(place, kind="out_of_capacity")
    images, clones = driver.images, driver.clones
    work: dict[str, Callable[[], object]] = {
        "images.add:half": lambda: images.add(ImageSpec(name="new", url="https://images.example.test/new.qcow2")),
        "clones.clone:half": lambda: clones.clone(vm.external_id, "copy", full=True),
        "clones.export:half": lambda: clones.export(vm.external_id, "copy"),
    }
    with pytest.raises(OutOfCapacity):
        work[place]()
    assert (volumes(driver), len(driver.images.list()), len(driver.machines.list())) == before
