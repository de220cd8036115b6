"""Drivers that break one promise each about disks, volumes, pools and images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from providers.base import (
    QUIET,
    DiskSpec,
    ImageRecord,
    ImageSpec,
    NotFound,
    PoolRecord,
    Progress,
    VmRecord,
    VolumeRecord,
)
from providers.fake.driver import FakeDriver
from providers.fake.state import Pool, Vm, Volume
from providers.testing import present
from tests.providers.bending import bend

T = TypeVar("T")


def shrinks_disks(driver: FakeDriver) -> None:
    honest = present(driver.volumes).get

    def grow(external_id: str, size_gib: int) -> Any:
        with driver.cloud.store.writing() as tx:
            volume = tx.get(Volume, external_id)
            volume.size_gib = float(size_gib)
            tx.put(volume)
        return honest(external_id)

    bend(driver.volumes, grow=grow)


def gives_away_what_is_taken(driver: FakeDriver) -> None:
    disks = present(driver.disks)
    honest = disks.attach

    def attach(external_id: str, disk: DiskSpec, progress: Progress = QUIET) -> VmRecord:
        if disk.volume and not disk.shareable:
            with driver.cloud.store.writing() as tx:
                for vm in tx.all(Vm):
                    vm.disks = [each for each in vm.disks if each.volume != disk.volume]
                    tx.put(vm)
        return honest(external_id, disk, progress)

    bend(disks, attach=attach)


def forgets_the_cache(driver: FakeDriver) -> None:
    disks = present(driver.disks)
    honest = disks.attach

    def attach(external_id: str, disk: DiskSpec, progress: Progress = QUIET) -> VmRecord:
        return honest(external_id, disk.model_copy(update={"cache": ""}), progress)

    bend(disks, attach=attach)


def copies_with_an_overlay(driver: FakeDriver) -> None:
    volumes = present(driver.volumes)
    honest = volumes.clone

    def clone(external_id: str, name: str, *, pool: str = "", progress: Progress = QUIET) -> VolumeRecord:
        return replace(honest(external_id, name, pool=pool, progress=progress), backing=external_id)

    bend(volumes, clone=clone)


def writes_at_the_beginning(driver: FakeDriver) -> None:
    volumes = present(driver.volumes)
    honest = volumes.upload

    def upload(
        external_id: str,
        read: Callable[[int], bytes],
        *,
        offset: int = 0,
        length: int,
        progress: Progress = QUIET,
    ) -> VolumeRecord:
        del offset
        return honest(external_id, read, length=length, progress=progress)

    bend(volumes, upload=upload)


def switches_pools_off_under_vms(driver: FakeDriver) -> None:
    def update(external_id: str, *, active: bool | None = None, autostart: bool | None = None) -> PoolRecord:
        with driver.cloud.store.writing() as tx:
            pool = tx.get(Pool, external_id)
            pool.is_active = pool.is_active if active is None else active
            pool.autostart = pool.autostart if autostart is None else autostart
            tx.put(pool)
        return next(each for each in present(driver.pools).list() if each.external_id == external_id)

    bend(driver.pools, update=update)


def tears_volumes_out_of_vms(driver: FakeDriver) -> None:
    def delete(external_id: str) -> None:
        present(driver.volumes).get(external_id)

    bend(driver.volumes, delete=delete)


def lists_half_images(driver: FakeDriver) -> None:
    """What was begun is told as if it were there."""
    images = present(driver.images)
    honest = images.list

    def listed() -> Sequence[ImageRecord]:
        begun = [ImageRecord(external_id=one.key, name=one.name) for one in images.unfinished()]
        return [*honest(), *begun]

    bend(images, list=listed)


def believes_every_checksum(driver: FakeDriver) -> None:
    images = present(driver.images)
    honest = images.finish

    def finish(key: str, spec: ImageSpec, progress: Progress = QUIET) -> ImageRecord:
        return honest(key, spec.model_copy(update={"checksum": ""}), progress)

    bend(images, finish=finish)


def discards_only_once(driver: FakeDriver) -> None:
    """An image that is not there is a failure to it, so nobody can be sure that it is gone."""
    images = present(driver.images)
    honest = images.discard

    def discard(key: str) -> None:
        if key not in {one.key for one in images.unfinished()}:
            raise NotFound
        honest(key)

    bend(images, discard=discard)


def lets_anybody_begin_again(driver: FakeDriver) -> None:
    images = present(driver.images)
    honest = images.begin

    def begin(spec: ImageSpec, stored_bytes: int) -> str:
        for one in images.unfinished():
            if one.name == spec.name:
                images.discard(one.key)
        return honest(spec, stored_bytes)

    bend(images, begin=begin)
