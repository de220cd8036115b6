"""Moving between simulated clouds: what they share, what they lack, and a run that died."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.base import Conflict, DiskSpec, InvalidRequest, NicSpec, PoolSpec, ProviderError, VmRecord, VmSpec
from providers.fake.config import FakeConfig
from providers.fake.driver import FakeDriver
from providers.testing import present


def cloud(path: Path) -> FakeDriver:
    return FakeDriver(FakeConfig(path=str(path), demo=False, start_s=0, stop_s=0, create_s=0, lease_s=0))


@pytest.fixture
def one(tmp_path: Path) -> Iterator[FakeDriver]:
    with cloud(tmp_path / "one") as driver:
        yield driver


@pytest.fixture
def two(tmp_path: Path) -> Iterator[FakeDriver]:
    with cloud(tmp_path / "two") as driver:
        yield driver


def box(driver: FakeDriver, pool: str) -> VmRecord:
    network = present(driver.networks).list()[0].external_id
    return driver.machines.create(
        VmSpec(
            name="box",
            portal_uuid="p-1",
            start=False,
            disks=(DiskSpec(size_gib=1, pool=pool),),
            nics=(NicSpec(network=network),),
        )
    )


def first_pool(driver: FakeDriver) -> str:
    return present(driver.pools).list()[0].external_id


def test_a_pool_of_the_same_place_is_shared_and_another_must_be_copied(one: FakeDriver, two: FakeDriver) -> None:
    there = present(one.migration).migrate(box(one, first_pool(one)).external_id, two)
    two.machines.delete(there.external_id)
    mine = present(one.pools).create(PoolSpec(name="mine", type="dir", path="/fake/mine"))
    vm = box(one, mine.external_id)
    with pytest.raises(Conflict, match="copy the disks"):
        present(one.migration).migrate(vm.external_id, two)
    moved = present(one.migration).migrate(vm.external_id, two, copy_storage=True)
    assert [disk.pool for disk in moved.disks or ()] == [first_pool(two)]


def test_a_run_that_died_before_the_end_is_finished(one: FakeDriver, two: FakeDriver) -> None:
    vm = box(one, first_pool(one))
    one.cloud.set_fault("migration.migrate:end", kind="crash")
    with pytest.raises(ProviderError):
        present(one.migration).migrate(vm.external_id, two, copy_storage=True)
    assert [each.name for each in one.machines.list()] == [each.name for each in two.machines.list()] == ["box"]
    moved = present(one.migration).migrate(vm.external_id, two, copy_storage=True)
    assert not one.machines.list()
    assert [each.external_id for each in two.machines.list()] == [moved.external_id]


def test_snapshots_and_the_same_cloud_stop_a_move(one: FakeDriver, two: FakeDriver, tmp_path: Path) -> None:
    vm = box(one, first_pool(one))
    with cloud(tmp_path / "one") as same, pytest.raises(InvalidRequest):
        present(one.migration).migrate(vm.external_id, same)
    present(one.snapshots).create(vm.external_id, "then")
    with pytest.raises(Conflict, match="snapshots"):
        present(one.migration).migrate(vm.external_id, two)


def test_a_run_that_died_before_the_end_can_be_taken_back(one: FakeDriver, two: FakeDriver) -> None:
    vm = box(one, first_pool(one))
    one.cloud.set_fault("migration.migrate:end", kind="crash")
    with pytest.raises(ProviderError):
        present(one.migration).migrate(vm.external_id, two, copy_storage=True)
    assert present(one.migration).discard(vm.external_id, two) is True
    assert not two.machines.list()
    assert [each.external_id for each in one.machines.list()] == [vm.external_id]
    assert present(one.migration).discard(vm.external_id, two) is False
