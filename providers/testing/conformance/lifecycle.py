"""Lifecycle: a created VM is listed and is what was asked for, a deleted one is gone, a failed one never was."""

from __future__ import annotations

import uuid

from providers.base import AlreadyExists, Conflict, DiskDevice, InvalidRequest, NicSpec, NotFound, PowerState
from providers.testing.checks import refused
from providers.testing.lab import Lab, only, present, vm_with_a_volume
from providers.testing.promises import promise

AWKWARD = ("a&b<c>", 'it\'s "quoted"', "grüße", "two words", "-dash", "dot.ted")


@promise()
def a_created_vm_is_listed_and_found(lab: Lab) -> None:
    vm = lab.vm()
    listed = only(each for each in lab.driver.machines.list() if each.name == lab.name())
    assert listed.external_id == vm.external_id
    assert lab.driver.machines.get(vm.external_id).name == vm.name
    assert lab.driver.machines.find(vm.name).external_id == vm.external_id


@promise()
def a_created_vm_is_what_was_asked_for(lab: Lab) -> None:
    wanted = lab.harness.vm_spec(lab.name())
    lab.vm()
    vm = lab.driver.machines.find(lab.name())
    assert vm.name == wanted.name
    assert vm.power is PowerState.STOPPED
    if lab.can.machines.own_size and not wanted.flavor:
        assert (vm.vcpus, vm.memory_mib) == (wanted.vcpus, wanted.memory_mib)
    disks = [disk for disk in vm.disks or () if disk.device == "disk"]
    assert len(disks) == len(wanted.disks)
    for disk, wish in zip(disks, wanted.disks, strict=True):
        assert disk.size_gib >= (wish.size_gib or 0)
    assert [nic.network for nic in vm.nics or ()] == [nic.network for nic in wanted.nics]
    assert all(nic.mac for nic in vm.nics or ())


@promise()
def list_and_get_agree(lab: Lab) -> None:
    vm = lab.vm()
    listed = only(each for each in lab.driver.machines.list() if each.external_id == vm.external_id)
    read = lab.driver.machines.get(vm.external_id)
    for field in ("name", "power", "vcpus", "memory_mib", "portal_uuid"):
        assert getattr(listed, field) == getattr(read, field), field


@promise(when=lambda can: can.machines.description)
def its_description_is_kept(lab: Lab) -> None:
    vm = lab.vm(description="Two words & <signs>")
    assert lab.driver.machines.get(vm.external_id).description == "Two words & <signs>"


@promise(when=lambda can: can.power)
def a_vm_created_to_run_runs(lab: Lab) -> None:
    assert lab.vm(start=True).power is PowerState.RUNNING


@promise()
def its_creation_time_knows_its_zone(lab: Lab) -> None:
    created_at = lab.driver.machines.get(lab.vm().external_id).created_at
    assert created_at is None or created_at.tzinfo is not None


@promise()
def a_taken_name_is_refused(lab: Lab) -> None:
    vm = lab.vm()
    with refused(AlreadyExists):
        lab.driver.machines.create(lab.harness.vm_spec(vm.name))
    assert only(each for each in lab.driver.machines.list() if each.name == vm.name).external_id == vm.external_id


@promise()
def a_job_that_runs_twice_makes_one_vm(lab: Lab) -> None:
    portal_uuid = str(uuid.uuid4())
    vm = lab.vm(portal_uuid=portal_uuid)
    assert vm.portal_uuid == portal_uuid
    again = lab.driver.machines.create(lab.harness.vm_spec(vm.name, portal_uuid=portal_uuid))
    assert again.external_id == vm.external_id
    assert only(each for each in lab.driver.machines.list() if each.portal_uuid == portal_uuid).name == vm.name


@promise()
def a_deleted_vm_is_gone(lab: Lab) -> None:
    vm = lab.vm()
    lab.driver.machines.delete(vm.external_id)
    assert vm.external_id not in {each.external_id for each in lab.driver.machines.list()}
    with refused(NotFound):
        lab.driver.machines.get(vm.external_id)
    with refused(NotFound):
        lab.driver.machines.find(vm.name)


@promise()
def deleting_twice_is_not_found(lab: Lab) -> None:
    vm = lab.vm()
    lab.driver.machines.delete(vm.external_id)
    with refused(NotFound):
        lab.driver.machines.delete(vm.external_id)


@promise(when=lambda can: can.power)
def a_running_vm_can_be_deleted(lab: Lab) -> None:
    vm = lab.vm(start=True)
    lab.driver.machines.delete(vm.external_id)
    assert vm.external_id not in {each.external_id for each in lab.driver.machines.list()}


@promise()
def awkward_names_are_kept_exactly_or_refused(lab: Lab) -> None:
    for awkward in AWKWARD:
        name = f"{lab.name('odd')}{awkward}"[:63]
        try:
            vm = lab.driver.machines.create(lab.harness.vm_spec(name))
        except InvalidRequest:
            continue
        lab.undo(lambda vm=vm: lab.delete_vm(vm.external_id))  # type: ignore[misc]
        assert lab.driver.machines.get(vm.external_id).name == name


@promise(given=lambda harness: harness.minimal.disks)
def a_vanished_image_is_named_and_nothing_is_made(lab: Lab) -> None:
    disks = (lab.harness.minimal.disks[0].model_copy(update={"image": "no-such-image"}),)
    with refused(NotFound, InvalidRequest):
        lab.driver.machines.create(lab.harness.vm_spec(lab.name(), disks=disks))


@promise()
def a_vanished_network_is_named_and_nothing_is_made(lab: Lab) -> None:
    nics = (*lab.harness.minimal.nics, NicSpec(network="no-such-network"))
    with refused(NotFound, InvalidRequest):
        lab.driver.machines.create(lab.harness.vm_spec(lab.name(), nics=nics))


@promise()
def an_unknown_option_is_refused(lab: Lab) -> None:
    options = {**lab.harness.minimal.options, "no_such_option": 1}
    with refused(InvalidRequest):
        lab.driver.machines.create(lab.harness.vm_spec(lab.name(), options=options))


@promise(given=lambda harness: harness.image)
def deleting_a_vm_keeps_its_image(lab: Lab) -> None:
    vm = lab.vm(disks=(lab.harness.disk_spec(size_gib=None, image=lab.harness.image),))
    lab.driver.machines.delete(vm.external_id)
    if lab.driver.images is not None:
        assert lab.harness.image in {image.external_id for image in lab.driver.images.list()}


@promise(when=lambda can: can.machines.keep_disks and can.volumes, given=lambda harness: harness.minimal.disks)
def deleting_a_vm_can_keep_its_disks(lab: Lab) -> None:
    volumes = present(lab.driver.volumes)
    vm = vm_with_a_volume(lab)
    kept = {volume.external_id for volume in volumes.list() if vm.external_id in volume.used_by}
    assert kept, "No volume says that this VM uses it."
    lab.driver.machines.delete(vm.external_id, keep_disks=True)
    assert kept <= {volume.external_id for volume in volumes.list()}
    for external_id in kept:
        volumes.delete(external_id)


@promise(when=lambda can: can.snapshots)
def a_vm_with_snapshots_is_deleted_only_when_told(lab: Lab) -> None:
    vm = lab.vm()
    present(lab.driver.snapshots).create(vm.external_id, "first")
    with refused(Conflict):
        lab.driver.machines.delete(vm.external_id)
    lab.driver.machines.delete(vm.external_id, with_snapshots=True)
    assert vm.external_id not in {each.external_id for each in lab.driver.machines.list()}


@promise(when=lambda can: can.machines.zones)
def a_vm_lies_in_the_zone_that_was_asked_for(lab: Lab) -> None:
    for zone in list(lab.can.machines.zones)[:2]:
        assert lab.vm(f"vm-{zone}", zone=zone).zone == zone
    with refused(NotFound, InvalidRequest):
        lab.driver.machines.create(lab.harness.vm_spec(lab.name("odd"), zone="no-such-zone"))


@promise(when=lambda can: can.machines.several_disks)
def a_vm_can_have_several_disks(lab: Lab) -> None:
    first = lab.harness.disk_spec() if lab.can.machines.create_empty else lab.harness.minimal.disks[0]
    vm = lab.vm(disks=(first, lab.harness.disk_spec()))
    assert len({disk.external_id for disk in vm.disks or () if disk.device == "disk"}) == 2


@promise(when=lambda can: can.machines.several_nics, given=lambda harness: harness.network)
def a_vm_can_have_several_cards(lab: Lab) -> None:
    # Some clouds let a VM into each network once.
    second = lab.harness.other_network or lab.harness.network
    vm = lab.vm(nics=(NicSpec(network=lab.harness.network), NicSpec(network=second)))
    assert len({nic.mac for nic in vm.nics or ()}) == 2


@promise(when=lambda can: can.machines.create_from_iso, given=lambda harness: harness.iso)
def a_vm_can_boot_from_an_iso(lab: Lab) -> None:
    vm = lab.vm(disks=(lab.harness.disk_spec(),), iso=lab.harness.iso)
    only(disk for disk in vm.disks or () if disk.device is DiskDevice.CDROM)


@promise(when=lambda can: can.machines.create_empty)
def a_vm_can_start_with_an_empty_disk(lab: Lab) -> None:
    vm = lab.vm(disks=(lab.harness.disk_spec(),))
    assert only(disk for disk in vm.disks or () if disk.device == "disk").size_gib == lab.harness.min_disk_gib


@promise(when=lambda can: can.machines.full_copy and can.volumes, given=lambda harness: harness.image)
def a_full_copy_needs_its_image_no_more(lab: Lab) -> None:
    vm = lab.vm(disks=(lab.harness.disk_spec(size_gib=None, image=lab.harness.image, thin=False),))
    volumes = present(lab.driver.volumes).list()
    assert not only(volume for volume in volumes if vm.external_id in volume.used_by).backing


@promise(when=lambda can: can.machines.firmwares)
def each_firmware_can_be_had(lab: Lab) -> None:
    for firmware in sorted(lab.can.machines.firmwares):
        lab.vm(firmware, firmware=firmware)
    with refused(InvalidRequest):
        lab.driver.machines.create(lab.harness.vm_spec(lab.name("odd"), firmware="punched-cards"))
