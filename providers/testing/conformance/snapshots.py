"""Snapshots: listed with time and parent, restored in truth, deleted once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from providers.base import AlreadyExists, Conflict, InvalidRequest, NotFound, PowerState
from providers.testing.checks import refused
from providers.testing.lab import Lab, only, present
from providers.testing.promises import promise


@promise(when=lambda can: can.snapshots)
def a_snapshot_is_listed_with_its_time(lab: Lab) -> None:
    vm, snapshots = lab.vm(), present(lab.driver.snapshots)
    assert list(snapshots.list(vm.external_id)) == []
    made = snapshots.create(vm.external_id, "first", description="Before <this> & that")
    found = lab.snapshot_called(vm.external_id, "first")
    assert (made.name, found.name) == ("first", "first")
    assert found.created_at is not None
    assert found.created_at.tzinfo is not None
    # Clocks of two machines differ; time zones mistaken for each other differ by half an hour and more.
    assert abs(datetime.now(UTC) - found.created_at) < timedelta(minutes=20)
    assert found.is_current


@promise(when=lambda can: can.snapshots)
def the_vm_tells_its_snapshots(lab: Lab) -> None:
    vm = lab.vm()
    present(lab.driver.snapshots).create(vm.external_id, "first")
    told = lab.driver.machines.get(vm.external_id).snapshots
    assert told is None or [snapshot.name for snapshot in told] == ["first"]


@promise(when=lambda can: can.snapshots)
def a_taken_snapshot_name_is_refused(lab: Lab) -> None:
    vm, snapshots = lab.vm(), present(lab.driver.snapshots)
    snapshots.create(vm.external_id, "first")
    with refused(AlreadyExists):
        snapshots.create(vm.external_id, "first")
    only(snapshots.list(vm.external_id))


@promise(when=lambda can: can.snapshots)
def a_second_snapshot_knows_its_parent(lab: Lab) -> None:
    vm, snapshots = lab.vm(), present(lab.driver.snapshots)
    snapshots.create(vm.external_id, "first")
    snapshots.create(vm.external_id, "second")
    assert lab.snapshot_called(vm.external_id, "first").parent is None
    assert lab.snapshot_called(vm.external_id, "second").parent == "first"
    assert only(each for each in snapshots.list(vm.external_id) if each.is_current).name == "second"


@promise(when=lambda can: can.snapshots and can.snapshots.tree)
def snapshots_branch_after_going_back(lab: Lab) -> None:
    vm, snapshots = lab.vm(), present(lab.driver.snapshots)
    for name in ("root", "left"):
        snapshots.create(vm.external_id, name)
    snapshots.revert(vm.external_id, "root")
    snapshots.create(vm.external_id, "right")
    assert lab.snapshot_called(vm.external_id, "right").parent == "root"
    snapshots.delete(vm.external_id, "root")
    assert {each.name for each in snapshots.list(vm.external_id)} == {"left", "right"}


@promise(when=lambda can: can.snapshots)
def a_deleted_snapshot_is_gone_and_not_found_again(lab: Lab) -> None:
    vm, snapshots = lab.vm(), present(lab.driver.snapshots)
    snapshots.create(vm.external_id, "first")
    snapshots.delete(vm.external_id, "first")
    assert list(snapshots.list(vm.external_id)) == []
    with refused(NotFound):
        snapshots.delete(vm.external_id, "first")
    with refused(NotFound):
        snapshots.revert(vm.external_id, "first")


@promise(when=lambda can: can.snapshots and can.power)
def going_back_to_a_stopped_moment_stops_the_vm(lab: Lab) -> None:
    vm, snapshots = lab.vm(), present(lab.driver.snapshots)
    snapshots.create(vm.external_id, "stopped")
    present(lab.driver.power).start(vm.external_id)
    lab.running(vm)
    assert snapshots.revert(vm.external_id, "stopped").power is PowerState.STOPPED
    assert lab.driver.machines.get(vm.external_id).power is PowerState.STOPPED


@promise(when=lambda can: can.snapshots and can.power and can.snapshots.while_running and can.snapshots.memory)
def going_back_to_a_running_moment_runs_the_vm(lab: Lab) -> None:
    vm, snapshots = lab.vm(start=True), present(lab.driver.snapshots)
    made = snapshots.create(vm.external_id, "running", memory=True)
    assert made.has_memory
    present(lab.driver.power).stop(vm.external_id, force=True)
    snapshots.revert(vm.external_id, "running")
    lab.running(vm)


@promise(when=lambda can: can.snapshots, given=lambda harness: harness.mark_disk and harness.read_mark)
def going_back_restores_what_was_on_the_disk(lab: Lab) -> None:
    vm, snapshots = lab.vm(), present(lab.driver.snapshots)
    mark, read = present(lab.harness.mark_disk), present(lab.harness.read_mark)
    mark(lab.driver, vm, "before")
    snapshots.create(vm.external_id, "then")
    mark(lab.driver, vm, "after")
    assert "after" in read(lab.driver, vm)
    snapshots.revert(vm.external_id, "then")
    assert "before" in read(lab.driver, vm)
    assert "after" not in read(lab.driver, vm)


@promise(when=lambda can: can.snapshots and can.snapshots.external)
def an_external_snapshot_is_one_among_the_others(lab: Lab) -> None:
    vm, snapshots = lab.vm(), present(lab.driver.snapshots)
    made = snapshots.create(vm.external_id, "outside", external=True)
    assert made.is_external
    assert not made.has_memory
    snapshots.create(vm.external_id, "after")
    assert lab.snapshot_called(vm.external_id, "after").parent == "outside"
    snapshots.delete(vm.external_id, "after")
    snapshots.revert(vm.external_id, "outside")
    assert lab.snapshot_called(vm.external_id, "outside").is_current
    snapshots.delete(vm.external_id, "outside")
    assert list(snapshots.list(vm.external_id)) == []


@promise(when=lambda can: can.snapshots and can.snapshots.external and can.snapshots.memory)
def an_external_snapshot_with_memory_is_refused(lab: Lab) -> None:
    vm, snapshots = lab.vm(), present(lab.driver.snapshots)
    with refused(InvalidRequest):
        snapshots.create(vm.external_id, "both", external=True, memory=True)
    assert list(snapshots.list(vm.external_id)) == []


@promise(when=lambda can: can.snapshots and can.snapshots.memory)
def a_stopped_vm_has_no_memory_to_keep(lab: Lab) -> None:
    vm, snapshots = lab.vm(), present(lab.driver.snapshots)
    with refused(Conflict):
        snapshots.create(vm.external_id, "memory", memory=True)
    assert list(snapshots.list(vm.external_id)) == []


@promise(when=lambda can: can.snapshots, given=lambda harness: harness.mark_disk and harness.read_mark)
def deleting_one_leaves_the_disk_and_the_others_as_they_are(lab: Lab) -> None:
    vm, snapshots = lab.vm(), present(lab.driver.snapshots)
    mark, read = present(lab.harness.mark_disk), present(lab.harness.read_mark)
    external = present(lab.can.snapshots).external
    for name in ("one", "two"):
        mark(lab.driver, lab.driver.machines.get(vm.external_id), f"<{name}>")
        snapshots.create(vm.external_id, name, external=external)
    mark(lab.driver, lab.driver.machines.get(vm.external_id), "<now>")
    snapshots.delete(vm.external_id, "one")
    assert "<now>" in read(lab.driver, vm)
    snapshots.revert(vm.external_id, "two")
    assert "<two>" in read(lab.driver, vm)
    assert "<now>" not in read(lab.driver, vm)


@promise(when=lambda can: can.snapshots)
def snapshots_of_a_stranger_are_not_found(lab: Lab) -> None:
    vm, snapshots = lab.vm(), present(lab.driver.snapshots)
    lab.driver.machines.delete(vm.external_id)
    with refused(NotFound):
        snapshots.list(vm.external_id)
    with refused(NotFound):
        snapshots.create(vm.external_id, "late")
