"""Migration: a VM is at one provider or at the other, never at both or at none."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from providers.base import (
    AlreadyExists,
    Cancelled,
    Capabilities,
    Conflict,
    Driver,
    InvalidRequest,
    NotFound,
    PowerState,
    ProviderError,
    VmRecord,
)
from providers.testing.checks import Recorder, refused
from providers.testing.harness import Harness
from providers.testing.lab import Lab, present
from providers.testing.promises import promise


def has_second(harness: Harness) -> object:
    return harness.second


def moves_stopped(can: Capabilities) -> object:
    return can.migration and can.migration.offline


def moves_running(can: Capabilities) -> object:
    return can.migration and can.migration.live and can.power


@contextmanager
def other(lab: Lab) -> Iterator[Driver]:
    """The second provider; what the lab's VMs left there is deleted."""
    with lab.harness.open(lab.harness.second) as there:
        try:
            yield there
        finally:
            for record in there.machines.list():
                if lab.suffix in record.name:
                    with suppress(ProviderError):
                        there.machines.delete(record.external_id, with_snapshots=True)


def moved(lab: Lab, vm: VmRecord, there: Driver) -> VmRecord:
    copies = present(lab.can.migration).copy_storage
    return present(lab.driver.migration).migrate(vm.external_id, there, copy_storage=copies)


def names_at(driver: Driver) -> set[str]:
    return {record.name for record in driver.machines.list()}


@promise(when=moves_stopped, given=has_second)
def a_stopped_vm_moves(lab: Lab) -> None:
    vm = lab.vm(portal_uuid=str(uuid.uuid4()))
    with other(lab) as there:
        record = moved(lab, vm, there)
        found = there.machines.get(record.external_id)
        assert (found.name, found.portal_uuid, found.power) == (vm.name, vm.portal_uuid, PowerState.STOPPED)
        assert (found.vcpus, found.memory_mib) == (vm.vcpus, vm.memory_mib)
        assert [nic.mac for nic in found.nics or ()] == [nic.mac for nic in vm.nics or ()]
        assert len(found.disks or ()) == len(vm.disks or ())
        with refused(NotFound):
            lab.driver.machines.get(vm.external_id)
        assert vm.name not in names_at(lab.driver)


@promise(when=moves_running, given=has_second)
def a_running_vm_goes_on_running_there(lab: Lab) -> None:
    vm = lab.vm(start=True)
    with other(lab) as there:
        record = moved(lab, vm, there)
        assert there.machines.get(record.external_id).power is PowerState.RUNNING
        assert vm.name not in names_at(lab.driver)


@promise(when=moves_running, given=has_second)
def a_running_vm_is_not_moved_as_if_it_were_stopped(lab: Lab) -> None:
    vm = lab.vm(start=True)
    with other(lab) as there, refused(Conflict):
        present(lab.driver.migration).migrate(vm.external_id, there, live=False)
    assert lab.driver.machines.get(vm.external_id).power is PowerState.RUNNING


@promise(when=lambda can: can.migration)
def a_vm_does_not_move_to_where_it_is(lab: Lab) -> None:
    vm = lab.vm()
    with refused(InvalidRequest):
        present(lab.driver.migration).migrate(vm.external_id, lab.driver)
    lab.driver.machines.get(vm.external_id)


@promise(when=moves_stopped, given=has_second)
def a_name_that_is_taken_there_is_refused(lab: Lab) -> None:
    vm = lab.vm()
    with other(lab) as there:
        # Without disks: the images of the first provider are not the second's.
        there.machines.create(lab.harness.vm_spec(vm.name, disks=()))
        with refused(AlreadyExists):
            moved(lab, vm, there)
        assert vm.name in names_at(lab.driver)


@promise(when=moves_stopped, given=has_second)
def a_cancelled_move_changes_nothing(lab: Lab) -> None:
    vm = lab.vm()
    copies = present(lab.can.migration).copy_storage
    with other(lab) as there:
        try:
            present(lab.driver.migration).migrate(
                vm.external_id, there, copy_storage=copies, progress=Recorder(stop_at=1)
            )
        except Cancelled:
            assert vm.name not in names_at(there)
            assert vm.name in names_at(lab.driver)
        else:
            raise AssertionError("It was asked to stop, and went on.")


@promise(when=lambda can: can.migration, given=has_second)
def what_is_not_here_does_not_move(lab: Lab) -> None:
    vm = lab.vm()
    lab.driver.machines.delete(vm.external_id)
    with other(lab) as there, refused(NotFound):
        moved(lab, vm, there)


@promise(when=moves_stopped, given=has_second)
def a_vm_that_has_moved_stays_there_when_what_is_left_is_discarded(lab: Lab) -> None:
    vm = lab.vm()
    with other(lab) as there:
        record = moved(lab, vm, there)
        migration = present(lab.driver.migration)
        assert not migration.is_under_way(vm.external_id)
        assert migration.discard(vm.external_id, there) is False
        assert there.machines.get(record.external_id).name == vm.name


@promise(when=lambda can: can.migration, given=has_second)
def nothing_of_a_vm_that_never_moved_is_discarded(lab: Lab) -> None:
    vm = lab.vm()
    with other(lab) as there:
        assert present(lab.driver.migration).discard(vm.external_id, there) is False
    lab.driver.machines.get(vm.external_id)
