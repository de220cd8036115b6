"""Clones: a second VM with an identity of its own; exports: an image that outlives its VM."""

from __future__ import annotations

import uuid

from providers.base import AlreadyExists, Cancelled, Conflict, NotFound, NotSupported, PowerState, VmRecord
from providers.testing.checks import Recorder, refused
from providers.testing.lab import Lab, only, present
from providers.testing.promises import promise


def cloned(lab: Lab, vm: VmRecord, *, full: bool, portal_uuid: str = "") -> VmRecord:
    clone = present(lab.driver.clones).clone(vm.external_id, lab.name("clone"), full=full, portal_uuid=portal_uuid)
    lab.undo(lambda: lab.delete_vm(clone.external_id))
    return lab.driver.machines.get(clone.external_id)


def refuse_likeness(vm: VmRecord, clone: VmRecord) -> None:
    assert clone.external_id != vm.external_id
    assert clone.portal_uuid != vm.portal_uuid or not vm.portal_uuid
    assert not {nic.mac for nic in clone.nics or ()} & {nic.mac for nic in vm.nics or ()}, "They share a MAC."
    own, its = ({disk.volume for disk in each.disks or () if disk.device == "disk"} for each in (vm, clone))
    assert not own & its, "They share a disk."
    assert len(own) == len(its)


@promise(when=lambda can: can.clones and can.clones.full)
def a_full_clone_is_a_vm_of_its_own(lab: Lab) -> None:
    vm = lab.vm()
    clone = cloned(lab, vm, full=True)
    refuse_likeness(lab.driver.machines.get(vm.external_id), clone)
    assert (clone.vcpus, clone.memory_mib) == (vm.vcpus, vm.memory_mib)
    lab.delete_vm(vm.external_id)
    lab.driver.machines.get(clone.external_id)


@promise(when=lambda can: can.clones and can.clones.linked)
def a_linked_clone_is_a_vm_of_its_own(lab: Lab) -> None:
    vm = lab.vm()
    refuse_likeness(lab.driver.machines.get(vm.external_id), cloned(lab, vm, full=False))


@promise(when=lambda can: can.clones and (can.clones.full or can.clones.linked))
def a_clone_carries_the_uuid_it_was_given(lab: Lab) -> None:
    portal_uuid = str(uuid.uuid4())
    vm = lab.vm(portal_uuid=str(uuid.uuid4()))
    clone = cloned(lab, vm, full=present(lab.can.clones).full, portal_uuid=portal_uuid)
    assert clone.portal_uuid == portal_uuid


@promise(when=lambda can: can.clones and (can.clones.full or can.clones.linked))
def a_clone_that_is_asked_for_twice_is_made_once(lab: Lab) -> None:
    portal_uuid = str(uuid.uuid4())
    vm, full = lab.vm(), present(lab.can.clones).full
    first = cloned(lab, vm, full=full, portal_uuid=portal_uuid)
    again = present(lab.driver.clones).clone(vm.external_id, lab.name("clone"), full=full, portal_uuid=portal_uuid)
    assert again.external_id == first.external_id


@promise(when=lambda can: can.clones and (can.clones.full or can.clones.linked))
def a_cancelled_clone_leaves_nothing(lab: Lab) -> None:
    vm = lab.vm()
    try:
        present(lab.driver.clones).clone(
            vm.external_id, lab.name("clone"), full=present(lab.can.clones).full, progress=Recorder(stop_at=1)
        )
    except Cancelled:
        return
    raise AssertionError("It was asked to stop, and went on.")


@promise(
    when=lambda can: can.clones and (can.clones.full or can.clones.linked),
    given=lambda harness: harness.mark_disk and harness.read_mark,
)
def what_one_of_them_writes_the_other_does_not_read(lab: Lab) -> None:
    mark, read = present(lab.harness.mark_disk), present(lab.harness.read_mark)
    vm = lab.vm()
    mark(lab.driver, vm, "<common>")
    clone = cloned(lab, vm, full=not present(lab.can.clones).linked)
    assert "<common>" in read(lab.driver, clone)
    mark(lab.driver, clone, "<its>")
    mark(lab.driver, lab.driver.machines.get(vm.external_id), "<own>")
    assert "<own>" not in read(lab.driver, clone)
    assert "<its>" not in read(lab.driver, lab.driver.machines.get(vm.external_id))


@promise(when=lambda can: can.clones and (can.clones.full or can.clones.linked))
def cloning_to_a_taken_name_is_refused(lab: Lab) -> None:
    first, second = lab.vm("first"), lab.vm("second")
    with refused(AlreadyExists):
        present(lab.driver.clones).clone(first.external_id, second.name, full=present(lab.can.clones).full)


@promise(when=lambda can: can.clones and can.clones.export and can.images and can.images.delete)
def an_exported_image_outlives_its_vm(lab: Lab) -> None:
    vm, images = lab.vm(), present(lab.driver.images)
    image = present(lab.driver.clones).export(vm.external_id, lab.name("image"))
    lab.undo(lambda: images.delete(image.external_id))
    lab.delete_vm(vm.external_id)
    found = only(each for each in images.list() if each.external_id == image.external_id)
    assert found.name == image.name == lab.name("image")


@promise(when=lambda can: can.clones and can.clones.export and can.power)
def a_running_vm_is_not_exported(lab: Lab) -> None:
    vm = lab.vm(start=True)
    with refused(Conflict):
        present(lab.driver.clones).export(vm.external_id, lab.name("image"))


@promise(when=lambda can: can.clones and can.clones.template)
def a_vm_becomes_a_template_and_the_same_vm_again(lab: Lab) -> None:
    clones, images, machines = present(lab.driver.clones), present(lab.driver.images), lab.driver.machines
    vm = machines.get(lab.vm().external_id)
    image = clones.to_template(vm.external_id)
    assert (image.name, image.is_iso) == (vm.name, False)
    assert image.external_id in {each.external_id for each in images.list()}
    assert vm.name not in {each.name for each in machines.list()}
    with refused(NotFound):
        machines.get(vm.external_id)
    back = clones.to_vm(image.external_id)
    lab.undo(lambda: lab.delete_vm(back.external_id))
    assert (back.name, back.power, back.vcpus, back.memory_mib) == (
        vm.name,
        PowerState.STOPPED,
        vm.vcpus,
        vm.memory_mib,
    )
    assert back.portal_uuid == vm.portal_uuid
    assert [nic.mac for nic in back.nics or ()] == [nic.mac for nic in vm.nics or ()]
    assert [disk.size_gib for disk in back.disks or ()] == [disk.size_gib for disk in vm.disks or ()]
    assert vm.name in {each.name for each in machines.list()}
    assert image.name not in {each.name for each in images.list()}
    with refused(NotFound):
        clones.to_vm(image.external_id)


@promise(when=lambda can: can.clones and can.clones.template and can.power)
def a_running_vm_becomes_no_template(lab: Lab) -> None:
    vm = lab.running(present(lab.driver.power).start(lab.vm().external_id))
    with refused(Conflict):
        present(lab.driver.clones).to_template(vm.external_id)
    assert lab.driver.machines.get(vm.external_id).power is PowerState.RUNNING


@promise(when=lambda can: can.clones and not can.clones.template)
def templates_are_refused_where_they_were_not_probed(lab: Lab) -> None:
    vm = lab.vm()
    with refused(NotSupported):
        present(lab.driver.clones).to_template(vm.external_id)
    lab.driver.machines.get(vm.external_id)
