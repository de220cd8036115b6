"""Reshape: size, name and notes change as the answer says; what needs a stopped VM is a conflict, not a silence."""

from __future__ import annotations

from providers.base import AlreadyExists, CloudInit, Conflict, DiskDevice, InvalidRequest, NotFound
from providers.testing.checks import refused
from providers.testing.lab import Lab, present
from providers.testing.promises import promise


@promise(when=lambda can: can.reshape and can.reshape.vcpus)
def vcpus_change(lab: Lab) -> None:
    vm = lab.vm()
    assert present(lab.driver.reshape).set_vcpus(vm.external_id, 2).vcpus == 2
    assert lab.driver.machines.get(vm.external_id).vcpus == 2


@promise(when=lambda can: can.reshape and can.reshape.memory)
def memory_changes(lab: Lab) -> None:
    vm = lab.vm()
    wanted = (vm.memory_mib or 64) + 64
    assert present(lab.driver.reshape).set_memory(vm.external_id, wanted).memory_mib == wanted
    assert lab.driver.machines.get(vm.external_id).memory_mib == wanted


@promise(when=lambda can: can.reshape and can.reshape.vcpus and can.power)
def a_running_vm_changes_or_says_stop_first(lab: Lab) -> None:
    vm, reshape = lab.vm(start=True), present(lab.driver.reshape)
    try:
        changed = reshape.set_vcpus(vm.external_id, 2)
    except Conflict:
        return
    assert changed.vcpus == 2 or changed.pending, "It was neither done, nor refused, nor kept for the next start."


@promise(when=lambda can: can.reshape and can.reshape.options and can.reshape.vcpus and can.power)
def what_waits_for_the_next_start_is_told_and_comes(lab: Lab) -> None:
    vm, reshape, power = lab.vm(start=True), present(lab.driver.reshape), present(lab.driver.power)
    changed = reshape.set_vcpus(vm.external_id, 3)
    if changed.vcpus == 3:
        assert not changed.pending, "It was done and is told as waiting."
        return
    assert changed.vcpus == vm.vcpus, "The record shows what the running VM does not have."
    assert changed.pending, "Nobody is told that it waits."
    power.stop(vm.external_id, force=True)
    stopped = lab.driver.machines.get(vm.external_id)
    assert (stopped.vcpus, stopped.pending) == (3, ()) or stopped.pending
    power.start(vm.external_id)
    started = lab.driver.machines.get(vm.external_id)
    assert (started.vcpus, started.pending) == (3, ())


@promise(when=lambda can: can.reshape and can.reshape.options)
def options_are_told_and_an_unknown_one_is_refused(lab: Lab) -> None:
    vm, reshape = lab.vm(), present(lab.driver.reshape)
    told = reshape.options(vm.external_id)
    assert told.live == told.pending, "A VM that is off has nothing waiting."
    changed = reshape.set_options(vm.external_id, dict(told.pending))
    assert reshape.options(vm.external_id) == told, "Setting what is set changed something."
    assert changed.pending == ()
    with refused(InvalidRequest):
        reshape.set_options(vm.external_id, {"no_such_option": 1})


@promise(when=lambda can: can.reshape and can.reshape.flavor and can.flavors)
def the_flavor_changes(lab: Lab) -> None:
    vm, reshape = lab.vm(), present(lab.driver.reshape)
    flavor = min(present(lab.driver.flavors).list(), key=lambda each: each.memory_mib)
    changed = reshape.set_flavor(vm.external_id, flavor.external_id)
    assert (changed.vcpus, changed.memory_mib) == (flavor.vcpus, flavor.memory_mib)
    with refused(NotFound):
        reshape.set_flavor(vm.external_id, "no-such-flavor")


@promise(when=lambda can: can.reshape and can.reshape.rename)
def a_renamed_vm_has_only_its_new_name(lab: Lab) -> None:
    vm, name = lab.vm(), lab.name("renamed")
    renamed = present(lab.driver.reshape).rename(vm.external_id, name)
    assert renamed.name == name
    names = [each.name for each in lab.driver.machines.list()]
    assert name in names
    assert vm.name not in names


@promise(when=lambda can: can.reshape and can.reshape.rename)
def renaming_to_a_taken_name_is_refused(lab: Lab) -> None:
    first, second = lab.vm("first"), lab.vm("second")
    with refused(AlreadyExists):
        present(lab.driver.reshape).rename(first.external_id, second.name)
    assert lab.driver.machines.get(first.external_id).name == first.name


@promise(when=lambda can: can.reshape and can.reshape.description)
def the_description_changes(lab: Lab) -> None:
    vm = lab.vm()
    present(lab.driver.reshape).set_description(vm.external_id, "Other <words> & “signs”")
    assert lab.driver.machines.get(vm.external_id).description == "Other <words> & “signs”"


@promise(when=lambda can: can.reshape and can.reshape.autostart)
def starting_with_the_host_is_switched_on_and_off(lab: Lab) -> None:
    vm, reshape = lab.vm(), present(lab.driver.reshape)
    for wanted in (True, False):
        assert reshape.set_autostart(vm.external_id, wanted).autostart is wanted
        assert lab.driver.machines.get(vm.external_id).autostart is wanted


@promise(when=lambda can: can.reshape and can.reshape.metadata)
def metadata_is_set_and_removed(lab: Lab) -> None:
    vm, reshape = lab.vm(), present(lab.driver.reshape)
    reshape.set_metadata(vm.external_id, "plan", "a & <b>")
    assert lab.driver.machines.get(vm.external_id).metadata.get("plan") == "a & <b>"
    reshape.set_metadata(vm.external_id, "plan", None)
    assert "plan" not in lab.driver.machines.get(vm.external_id).metadata


@promise(when=lambda can: can.reshape and can.reshape.metadata)
def metadata_given_at_creation_is_kept(lab: Lab) -> None:
    vm = lab.vm(metadata={"plan": "shop"})
    assert lab.driver.machines.get(vm.external_id).metadata.get("plan") == "shop"


@promise(when=lambda can: can.reshape and can.reshape.description)
def a_stranger_cannot_be_changed(lab: Lab) -> None:
    vm = lab.vm()
    lab.driver.machines.delete(vm.external_id)
    with refused(NotFound):
        present(lab.driver.reshape).set_description(vm.external_id, "too late")


@promise(when=lambda can: can.reshape and can.reshape.remove_cloud_init and can.machines.cloud_init)
def first_boot_data_is_taken_away_once_and_the_disks_stay(lab: Lab) -> None:
    vm, reshape = lab.vm(cloud_init=CloudInit(user_data="#cloud-config\n")), present(lab.driver.reshape)
    disks = [disk for disk in vm.disks or () if disk.device is DiskDevice.DISK]
    for _ in range(2):
        left = reshape.remove_cloud_init(vm.external_id)
        assert list(left.disks or ()) == disks, "The seed is still there, or a disk went with it."
