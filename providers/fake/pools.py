"""Storage pools of a simulated cloud."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import AlreadyExists, Conflict, EventTopic, InvalidRequest, PoolRecord, Pools, PoolSpec
from providers.fake.cloud import Part
from providers.fake.records import pool_record
from providers.fake.state import Image, Pool, Vm, Volume

TYPES = frozenset({"dir", "logical", "zfs"})


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
        with self.cloud.writing("pools.create") as tx:
            if tx.named(Pool, spec.name) is not None:
                raise AlreadyExists(f"There is a pool “{spec.name}” already.", field="name")
            path = spec.path or f"/fake/{spec.name}"
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
