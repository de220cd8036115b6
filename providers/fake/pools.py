"""Storage pools of a simulated cloud."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import (
    POOL_SHAPES,
    AlreadyExists,
    Conflict,
    EventTopic,
    InvalidRequest,
    PoolRecord,
    Pools,
    PoolSpec,
    check_pool_source,
)
from providers.fake.cloud import Part
from providers.fake.records import pool_record
from providers.fake.state import Image, Pool, Vm, Volume
from providers.fake.store import Transaction

TYPES = frozenset(POOL_SHAPES)


class FakePools(Part, Pools):
    def list(self) -> Sequence[PoolRecord]:
        with self.cloud.reading("pools.list") as tx:
            volumes, images = tx.all(Volume), tx.all(Image)
            return [pool_record(pool, volumes, images) for pool in tx.all(Pool)]

    def create(self, spec: PoolSpec) -> PoolRecord:
        if spec.type not in TYPES:
            raise InvalidRequest(
                f"There is no pool type “{spec.type}”; known are {', '.join(sorted(TYPES))}.", field="type"
            )
        device = f"/dev/{spec.source['name']}" if spec.type in {"logical", "zfs"} and "name" in spec.source else ""
        path = spec.path or device or f"/fake/{spec.name}"
        check_pool_source(spec.model_copy(update={"path": path}))
        with self.cloud.writing("pools.create") as tx:
            if tx.named(Pool, spec.name) is not None:
                raise AlreadyExists(f"There is a pool “{spec.name}” already.", field="name")
            if any(pool.path == path for pool in tx.all(Pool)):
                raise AlreadyExists(f"Another pool is at {path}.", field="path")
            pool = Pool(
                id=f"pool-{tx.next_number('pool')}",
                name=spec.name,
                type=spec.type,
                path=path,
                capacity_gib=self.cloud.config.storage_gib,
            )
            tx.put(pool)
            tx.note(EventTopic.POOL, pool.id, "created")
            return pool_record(pool, [], [])

    def update(self, external_id: str, *, active: bool | None = None, autostart: bool | None = None) -> PoolRecord:
        with self.cloud.writing("pools.update") as tx:
            pool = tx.get(Pool, external_id)
            if active is False and pool.is_active:
                self._refuse_running(tx, pool)
            pool.is_active = pool.is_active if active is None else active
            pool.autostart = pool.autostart if autostart is None else autostart
            tx.put(pool)
            tx.note(EventTopic.POOL, pool.id, "updated")
            return pool_record(pool, tx.all(Volume), tx.all(Image))

    def refresh(self, external_id: str) -> PoolRecord:
        with self.cloud.writing("pools.refresh") as tx:
            pool = tx.get(Pool, external_id)
            if not pool.is_active:
                raise Conflict(f"The storage pool “{pool.name}” is switched off.")
            tx.note(EventTopic.POOL, pool.id, "refreshed")
            return pool_record(pool, tx.all(Volume), tx.all(Image))

    @staticmethod
    def _refuse_running(tx: Transaction, pool: Pool) -> None:
        inside = {volume.id for volume in tx.all(Volume) if volume.pool == pool.id}
        inside |= {image.id for image in tx.all(Image) if image.pool == pool.id}
        for vm in tx.all(Vm):
            vm.settle(tx.now)
            if not vm.is_stopped and any((disk.volume or disk.image) in inside for disk in vm.disks):
                raise Conflict(f"The running VM “{vm.name}” has disks in it.")

    def delete(self, external_id: str, *, with_volumes: bool = False) -> None:
        with self.cloud.writing("pools.delete") as tx:
            pool = tx.get(Pool, external_id)
            volumes = [volume for volume in tx.all(Volume) if volume.pool == pool.id]
            images = [image for image in tx.all(Image) if image.pool == pool.id]
            inside = {thing.id for thing in (*volumes, *images)}
            used = {disk.volume or disk.image for vm in tx.all(Vm) for disk in vm.disks}
            used |= {volume.backing for volume in tx.all(Volume) if volume.id not in inside}
            if used & inside:
                raise Conflict(f"VMs use what is in the pool “{pool.name}”.")
            if inside and not with_volumes:
                raise Conflict(f"The pool “{pool.name}” is not empty.")
            for thing in (*volumes, *images, pool):
                tx.drop(thing)
            tx.note(EventTopic.POOL, pool.id, "deleted", gone=True)
