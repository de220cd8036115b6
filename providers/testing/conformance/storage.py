"""Pools and volumes: made, listed, grown, deleted once, and never while something uses them."""

from __future__ import annotations

from providers.base import (
    AlreadyExists,
    Conflict,
    InvalidRequest,
    NotFound,
    PoolRecord,
    PoolSpec,
    VolumeRecord,
    VolumeSpec,
)
from providers.testing.checks import Recorder, refused
from providers.testing.lab import Lab, only, present, vm_with_a_volume
from providers.testing.promises import promise


def made_volume(lab: Lab, label: str = "volume", pool: str = "") -> VolumeRecord:
    volumes = present(lab.driver.volumes)
    spec = VolumeSpec(name=lab.name(label), size_gib=lab.harness.min_disk_gib, pool=pool or lab.harness.pool)
    volume = volumes.create(spec)
    lab.undo(lambda: volumes.delete(volume.external_id))
    return volume


def made_pool(lab: Lab) -> PoolRecord:
    pools, name = present(lab.driver.pools), lab.name("pool")
    path = present(lab.harness.pool_path)(name)
    pool = pools.create(PoolSpec(name=name, path=path))
    lab.undo(lambda: pools.delete(pool.external_id, with_volumes=True))
    return pool


@promise(when=lambda can: can.pools)
def pools_tell_their_room(lab: Lab) -> None:
    pools = present(lab.driver.pools).list()
    assert len({pool.external_id for pool in pools}) == len(pools)
    for pool in pools:
        if pool.is_active:
            assert 0 <= pool.allocation_gib <= pool.capacity_gib
            assert 0 <= pool.available_gib <= pool.capacity_gib


@promise(when=lambda can: can.pools and can.pools.create, given=lambda harness: harness.pool_path)
def a_pool_is_made_listed_and_deleted(lab: Lab) -> None:
    pools, pool = present(lab.driver.pools), made_pool(lab)
    assert only(each for each in pools.list() if each.external_id == pool.external_id).name == lab.name("pool")
    with refused(AlreadyExists):
        pools.create(PoolSpec(name=pool.name, path=present(lab.harness.pool_path)(pool.name)))
    pools.delete(pool.external_id)
    assert pool.external_id not in {each.external_id for each in pools.list()}
    with refused(NotFound):
        pools.delete(pool.external_id)


@promise(
    when=lambda can: can.pools and can.pools.create and can.volumes and can.volumes.create,
    given=lambda harness: harness.pool_path,
)
def a_pool_with_volumes_is_deleted_only_when_told(lab: Lab) -> None:
    pools, pool = present(lab.driver.pools), made_pool(lab)
    made_volume(lab, pool=pool.external_id)
    with refused(Conflict):
        pools.delete(pool.external_id)
    pools.delete(pool.external_id, with_volumes=True)
    assert pool.external_id not in {each.external_id for each in pools.list()}


@promise(when=lambda can: can.volumes and can.volumes.create)
def a_volume_is_made_listed_and_deleted(lab: Lab) -> None:
    volumes, volume = present(lab.driver.volumes), made_volume(lab)
    assert volume.size_gib == lab.harness.min_disk_gib
    listed = only(each for each in volumes.list(lab.harness.pool) if each.external_id == volume.external_id)
    assert (listed.name, listed.size_gib, listed.used_by) == (volume.name, volume.size_gib, ())
    assert volumes.get(volume.external_id).name == volume.name
    volumes.delete(volume.external_id)
    assert volume.external_id not in {each.external_id for each in volumes.list()}
    with refused(NotFound):
        volumes.delete(volume.external_id)
    with refused(NotFound):
        volumes.get(volume.external_id)


@promise(when=lambda can: can.volumes and can.volumes.create)
def a_taken_volume_name_is_refused(lab: Lab) -> None:
    volume = made_volume(lab)
    with refused(AlreadyExists):
        present(lab.driver.volumes).create(VolumeSpec(name=volume.name, size_gib=1, pool=volume.pool))


@promise(when=lambda can: can.volumes and can.volumes.create and can.volumes.grow)
def a_volume_grows_and_never_shrinks(lab: Lab) -> None:
    volumes, volume = present(lab.driver.volumes), made_volume(lab)
    larger = lab.harness.min_disk_gib + 1
    assert volumes.grow(volume.external_id, larger).size_gib == larger
    with refused(InvalidRequest):
        volumes.grow(volume.external_id, lab.harness.min_disk_gib)
    assert volumes.get(volume.external_id).size_gib == larger


@promise(when=lambda can: can.volumes, given=lambda harness: harness.minimal.disks)
def the_disk_of_a_vm_is_not_deleted_under_it(lab: Lab) -> None:
    vm, volumes = vm_with_a_volume(lab), present(lab.driver.volumes)
    used = [volume for volume in volumes.list() if vm.external_id in volume.used_by]
    assert used, "No volume says that this VM uses it."
    for volume in used:
        with refused(Conflict):
            volumes.delete(volume.external_id)
        assert volumes.get(volume.external_id).used_by == (vm.external_id,)


@promise(when=lambda can: can.volumes and can.volumes.create and can.volumes.clone)
def a_copy_of_a_volume_stands_alone(lab: Lab) -> None:
    volumes, volume = present(lab.driver.volumes), made_volume(lab)
    recorder = Recorder()
    copy = volumes.clone(volume.external_id, lab.name("copy"), progress=recorder)
    lab.undo(lambda: volumes.delete(copy.external_id))
    assert (copy.name, copy.pool, copy.size_gib, copy.backing) == (lab.name("copy"), volume.pool, volume.size_gib, "")
    assert copy.external_id != volume.external_id
    assert recorder.percents == sorted(recorder.percents)
    with refused(AlreadyExists):
        volumes.clone(volume.external_id, lab.name("copy"))
    volumes.delete(volume.external_id)
    assert volumes.get(copy.external_id).size_gib == volume.size_gib
    with refused(NotFound):
        volumes.clone(volume.external_id, lab.name("late"))


@promise(when=lambda can: can.volumes and can.volumes.create and can.volumes.upload and can.volumes.download)
def bytes_of_a_volume_are_written_and_read_where_they_were_asked_for(lab: Lab) -> None:
    volumes = present(lab.driver.volumes)
    raw = "raw" if "raw" in present(lab.can.volumes).formats else ""
    volume = volumes.create(
        VolumeSpec(name=lab.name("bytes"), size_gib=lab.harness.min_disk_gib, pool=lab.harness.pool, format=raw)
    )
    lab.undo(lambda: volumes.delete(volume.external_id))
    content = bytes(range(256)) * 1000
    left = bytearray(content)

    def read(most: int) -> bytes:
        # Less than what is asked for, as a socket gives.
        piece = bytes(left[: min(most, 7777)])
        del left[: len(piece)]
        return piece

    volumes.upload(volume.external_id, read, offset=1000, length=len(content))
    got = bytearray()
    told = volumes.download(volume.external_id, got.extend, offset=1000, length=len(content))
    # A comparison left to assert is explained line by line when it fails, which takes minutes for so many bytes.
    as_written = bytes(got) == content
    assert as_written, "What is read is not what was written."
    assert told == len(content)
    got.clear()
    volumes.download(volume.external_id, got.extend, offset=1256, length=512)
    assert bytes(got) == content[256:768], "A part is not read from where it was asked for."
    with refused(InvalidRequest):
        volumes.upload(volume.external_id, lambda most: b"", length=10)


@promise(
    when=lambda can: can.volumes and can.volumes.upload and can.volumes.download and can.power,
    given=lambda harness: harness.minimal.disks,
)
def a_disk_is_not_written_under_its_vm_nor_read_while_it_runs(lab: Lab) -> None:
    vm, volumes = lab.vm(start=True), present(lab.driver.volumes)
    used = [volume for volume in volumes.list() if vm.external_id in volume.used_by]
    assert used, "No volume says that this VM uses it."
    for volume in used:
        with refused(Conflict):
            volumes.upload(volume.external_id, lambda most: bytes(512), length=512)
    for disk in lab.driver.machines.get(vm.external_id).disks or ():
        if disk.device == "disk" and not disk.read_only:
            with refused(Conflict):
                volumes.download(disk.volume, lambda piece: None, length=512)


@promise(when=lambda can: can.pools and can.pools.create and can.pools.update, given=lambda harness: harness.pool_path)
def a_pool_is_switched_off_and_on(lab: Lab) -> None:
    pools, pool = present(lab.driver.pools), made_pool(lab)
    assert pool.is_active
    off = pools.update(pool.external_id, active=False, autostart=False)
    assert (off.is_active, off.autostart) == (False, False)
    listed = only(each for each in pools.list() if each.external_id == pool.external_id)
    assert (listed.is_active, listed.autostart) == (False, False)
    if lab.can.volumes is not None and lab.can.volumes.create:
        with refused(Conflict):
            made_volume(lab, pool=pool.external_id)
    with refused(Conflict):
        pools.refresh(pool.external_id)
    on = pools.update(pool.external_id, active=True)
    assert (on.is_active, on.autostart) == (True, False), "What was not named was changed too."
    assert pools.refresh(pool.external_id).is_active
    for call in (pools.update, pools.refresh):
        with refused(NotFound):
            call("no-such-pool")


@promise(when=lambda can: can.pools and can.pools.create and can.pools.update and can.power and can.volumes)
def a_pool_is_not_switched_off_under_a_running_vm(lab: Lab) -> None:
    vm, pools = lab.vm(start=True), present(lab.driver.pools)
    used = {disk.pool for disk in lab.driver.machines.get(vm.external_id).disks or () if disk.pool}
    for pool in used:
        with refused(Conflict):
            pools.update(pool, active=False)
        assert only(each for each in pools.list() if each.external_id == pool).is_active
