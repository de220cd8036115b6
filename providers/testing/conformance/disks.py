"""Disks: attached, listed, grown, detached, gone; a volume that others use survives."""

from __future__ import annotations

from providers.base import Conflict, DiskRecord, DiskSpec, InvalidRequest, NotFound, PoolSpec, VmRecord, VolumeSpec
from providers.testing.checks import refused
from providers.testing.lab import Lab, only, present
from providers.testing.promises import promise


def disks_of(vm: VmRecord) -> dict[str, DiskRecord]:
    return {disk.external_id: disk for disk in vm.disks or () if disk.device == "disk"}


def attached(lab: Lab, vm: VmRecord) -> str:
    """Attach a fresh disk and answer its id."""
    before = disks_of(lab.driver.machines.get(vm.external_id))
    after = disks_of(present(lab.driver.disks).attach(vm.external_id, lab.harness.disk_spec()))
    return only(set(after) - set(before))


@promise(when=lambda can: can.disks)
def an_attached_disk_is_listed_until_it_is_detached(lab: Lab) -> None:
    vm = lab.vm()
    disk_id = attached(lab, vm)
    assert disks_of(lab.driver.machines.get(vm.external_id))[disk_id].size_gib == lab.harness.min_disk_gib
    assert disk_id not in disks_of(present(lab.driver.disks).detach(vm.external_id, disk_id, delete=True))
    assert disk_id not in disks_of(lab.driver.machines.get(vm.external_id))


@promise(when=lambda can: can.disks and can.disks.hot_plug and can.power)
def a_running_vm_takes_and_gives_a_disk(lab: Lab) -> None:
    # A guest must cooperate in giving a disk back, so without one only the taking is tried.
    vm = lab.vm(start=True)
    disk_id = attached(lab, vm)
    assert disk_id in disks_of(lab.driver.machines.get(vm.external_id))
    if lab.harness.boots:
        present(lab.driver.disks).detach(vm.external_id, disk_id, delete=True)
        assert disk_id not in disks_of(lab.driver.machines.get(vm.external_id))


@promise(when=lambda can: can.disks and can.volumes)
def detaching_keeps_the_volume_and_deleting_takes_it(lab: Lab) -> None:
    vm, disks, volumes = lab.vm(), present(lab.driver.disks), present(lab.driver.volumes)
    kept = attached(lab, vm)
    volume = disks_of(lab.driver.machines.get(vm.external_id))[kept].volume
    disks.detach(vm.external_id, kept)
    found = only(each for each in volumes.list() if volume in (each.external_id, each.path))
    assert vm.external_id not in found.used_by
    volumes.delete(found.external_id)
    gone = attached(lab, vm)
    volume = disks_of(lab.driver.machines.get(vm.external_id))[gone].volume
    disks.detach(vm.external_id, gone, delete=True)
    assert not [each for each in volumes.list() if volume in (each.external_id, each.path)]


@promise(when=lambda can: can.disks and can.disks.grow)
def a_disk_grows_and_never_shrinks(lab: Lab) -> None:
    vm, disks = lab.vm(), present(lab.driver.disks)
    disk_id, larger = attached(lab, vm), lab.harness.min_disk_gib + 1
    assert disks_of(disks.grow(vm.external_id, disk_id, larger))[disk_id].size_gib == larger
    with refused(InvalidRequest):
        disks.grow(vm.external_id, disk_id, lab.harness.min_disk_gib)
    assert disks_of(lab.driver.machines.get(vm.external_id))[disk_id].size_gib == larger


@promise(when=lambda can: can.disks)
def a_disk_that_is_not_there_is_not_found(lab: Lab) -> None:
    vm, disks = lab.vm(), present(lab.driver.disks)
    with refused(NotFound):
        disks.detach(vm.external_id, "no-such-disk")
    with refused(NotFound):
        disks.grow(vm.external_id, "no-such-disk", 100)


@promise(when=lambda can: can.disks)
def a_failed_attach_leaves_nothing(lab: Lab) -> None:
    vm = lab.vm()
    before = disks_of(lab.driver.machines.get(vm.external_id))
    with refused(InvalidRequest, NotFound):
        present(lab.driver.disks).attach(vm.external_id, lab.harness.disk_spec(bus="no-such-bus"))
    assert disks_of(lab.driver.machines.get(vm.external_id)).keys() == before.keys()
    lab.delete_vm(vm.external_id)
    remains = lab.leftovers()
    assert not remains, remains


@promise(when=lambda can: can.disks and can.disks.existing and can.volumes and can.volumes.create)
def an_existing_volume_can_be_attached(lab: Lab) -> None:
    vm, volumes = lab.vm(), present(lab.driver.volumes)
    volume = volumes.create(
        VolumeSpec(name=lab.name("volume"), size_gib=lab.harness.min_disk_gib, pool=lab.harness.pool)
    )
    lab.undo(lambda: volumes.delete(volume.external_id))
    after = present(lab.driver.disks).attach(vm.external_id, DiskSpec(volume=volume.external_id))
    assert [disk for disk in disks_of(after).values() if disk.volume in (volume.external_id, volume.path)]
    assert volumes.get(volume.external_id).used_by == (vm.external_id,)
    lab.delete_vm(vm.external_id)


@promise(when=lambda can: can.disks and can.disks.existing and can.disks.shared and can.volumes and can.volumes.create)
def a_volume_of_two_vms_survives_the_end_of_one(lab: Lab) -> None:
    first, second, volumes = lab.vm("first"), lab.vm("second"), present(lab.driver.volumes)
    # A shared volume must be raw where the format matters: two writers would ruin any other.
    spec = VolumeSpec(
        name=lab.name("shared"), size_gib=lab.harness.min_disk_gib, pool=lab.harness.pool, format=raw_format(lab)
    )
    volume = volumes.create(spec)
    lab.undo(lambda: volumes.delete(volume.external_id))
    for vm in (first, second):
        present(lab.driver.disks).attach(vm.external_id, DiskSpec(volume=volume.external_id, shareable=True))
    lab.delete_vm(first.external_id)
    assert volumes.get(volume.external_id).used_by == (second.external_id,)
    lab.delete_vm(second.external_id)


@promise(when=lambda can: can.disks and can.disks.iso, given=lambda harness: harness.iso)
def an_iso_is_inserted_and_ejected(lab: Lab) -> None:
    vm, disks = lab.vm(), present(lab.driver.disks)

    def media(record: VmRecord) -> list[str]:
        return [disk.volume for disk in record.disks or () if disk.device == "cdrom" and disk.volume]

    before = media(lab.driver.machines.get(vm.external_id))
    inserted = media(disks.set_iso(vm.external_id, lab.harness.iso))
    assert len(inserted) == len(before) + 1
    assert len(media(disks.set_iso(vm.external_id, None))) == len(before)
    with refused(NotFound, InvalidRequest):
        disks.set_iso(vm.external_id, "no-such-iso")


@promise(when=lambda can: can.disks and can.disks.existing and can.volumes and can.volumes.create)
def a_volume_of_one_vm_is_not_given_to_another(lab: Lab) -> None:
    first, second, disks = lab.vm("first"), lab.vm("second"), present(lab.driver.disks)
    disk_id = attached(lab, first)
    taken = disks_of(lab.driver.machines.get(first.external_id))[disk_id].volume
    before = disks_of(lab.driver.machines.get(second.external_id)).keys()
    with refused(Conflict):
        disks.attach(second.external_id, DiskSpec(volume=taken))
    assert disks_of(lab.driver.machines.get(second.external_id)).keys() == before


@promise(when=lambda can: can.disks and can.disks.shared and can.volumes and can.volumes.create)
def a_shared_disk_says_so_and_is_not_deleted_by_one(lab: Lab) -> None:
    first, second, disks = lab.vm("first"), lab.vm("second"), present(lab.driver.disks)
    volumes = present(lab.driver.volumes)
    volume = volumes.create(
        VolumeSpec(
            name=lab.name("shared"), size_gib=lab.harness.min_disk_gib, pool=lab.harness.pool, format=raw_format(lab)
        )
    )
    lab.undo(lambda: volumes.delete(volume.external_id))
    spec, places = DiskSpec(volume=volume.external_id, shareable=True), []
    for vm in (first, second):
        after = disks_of(disks.attach(vm.external_id, spec)).values()
        places.append(only(each for each in after if each.volume in (volume.external_id, volume.path)))
    assert all(place.shareable for place in places), "It is shared and does not say so."
    with refused(Conflict):
        disks.detach(first.external_id, places[0].external_id, delete=True)
    assert set(volumes.get(volume.external_id).used_by) == {first.external_id, second.external_id}
    lab.delete_vm(first.external_id)
    lab.delete_vm(second.external_id)


@promise(when=lambda can: can.disks and can.disks.caches)
def a_disk_keeps_the_cache_that_was_asked_for(lab: Lab) -> None:
    vm, disks = lab.vm(), present(lab.driver.disks)
    for cache in sorted(present(lab.can.disks).caches):
        before = disks_of(lab.driver.machines.get(vm.external_id))
        after = disks_of(disks.attach(vm.external_id, lab.harness.disk_spec(cache=cache)))
        disk_id = only(set(after) - set(before))
        assert after[disk_id].cache == cache
        disks.detach(vm.external_id, disk_id, delete=True)
    with refused(InvalidRequest):
        disks.attach(vm.external_id, lab.harness.disk_spec(cache="no-such-cache"))


def raw_format(lab: Lab) -> str:
    """The format of a volume that can be shared, where formats are told."""
    return "raw" if "raw" in present(lab.can.volumes).formats else ""


@promise(
    when=lambda can: can.disks and can.disks.move and can.pools and can.pools.create,
    given=lambda harness: harness.pool_path and harness.minimal.disks,
)
def a_disk_moves_to_another_pool_and_stays_the_same_disk(lab: Lab) -> None:
    vm, disks, pools = lab.vm(), present(lab.driver.disks), present(lab.driver.pools)
    name = lab.name("other")
    pool = pools.create(PoolSpec(name=name, path=present(lab.harness.pool_path)(name)))
    lab.undo(lambda: pools.delete(pool.external_id))
    first = next(iter(disks_of(vm).values()))
    attached(lab, vm)
    before = disks_of(lab.driver.machines.get(vm.external_id))
    after = disks_of(disks.move(vm.external_id, first.external_id, pool.external_id))
    moved = after[first.external_id]
    assert (moved.pool, moved.size_gib, moved.bus, moved.boot) == (
        pool.external_id,
        first.size_gib,
        first.bus,
        first.boot,
    )
    assert {key: disk for key, disk in after.items() if key != first.external_id} == {
        key: disk for key, disk in before.items() if key != first.external_id
    }, "Another disk moved too."
    # Again is no harm.
    assert disks_of(disks.move(vm.external_id, first.external_id, pool.external_id)) == after
    with refused(NotFound):
        disks.move(vm.external_id, first.external_id, "no-such-pool")
    if lab.can.power is not None:
        present(lab.driver.power).start(vm.external_id)
        with refused(Conflict):
            disks.move(vm.external_id, first.external_id, lab.harness.pool)
    # It goes with its VM, and leaves the pool empty.
    lab.delete_vm(vm.external_id)
    pools.delete(pool.external_id)
