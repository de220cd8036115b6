"""Power: every operation may be repeated, answers with the new state, and refuses what the state does not allow."""

from __future__ import annotations

from providers.base import Conflict, NotFound, PowerState
from providers.testing.checks import refused
from providers.testing.lab import Lab, present
from providers.testing.promises import promise

UP = (PowerState.RUNNING, PowerState.STARTING)


@promise(when=lambda can: can.power)
def starting_a_stopped_vm_runs_it(lab: Lab) -> None:
    vm = lab.vm()
    assert present(lab.driver.power).start(vm.external_id).power in UP
    lab.running(vm)


@promise(when=lambda can: can.power)
def starting_twice_is_fine(lab: Lab) -> None:
    vm = lab.vm(start=True)
    assert present(lab.driver.power).start(vm.external_id).power is PowerState.RUNNING


@promise(when=lambda can: can.power)
def pulling_the_plug_stops_it(lab: Lab) -> None:
    vm = lab.vm(start=True)
    assert present(lab.driver.power).stop(vm.external_id, force=True).power is PowerState.STOPPED
    assert lab.driver.machines.get(vm.external_id).power is PowerState.STOPPED


@promise(when=lambda can: can.power)
def stopping_twice_is_fine(lab: Lab) -> None:
    vm, power = lab.vm(), present(lab.driver.power)
    assert power.stop(vm.external_id, force=True).power is PowerState.STOPPED
    assert power.stop(vm.external_id).power is PowerState.STOPPED


@promise(when=lambda can: can.power and can.power.soft_stop, given=lambda harness: harness.boots)
def a_guest_shuts_down_when_asked(lab: Lab) -> None:
    vm = lab.vm(start=True)
    stopped = present(lab.driver.power).stop(vm.external_id, timeout_s=lab.harness.timeout_s)
    assert stopped.power is PowerState.STOPPED


@promise(when=lambda can: can.power and can.power.soft_stop)
def a_guest_that_does_not_listen_is_switched_off(lab: Lab) -> None:
    vm = lab.vm(start=True)
    assert present(lab.driver.power).stop(vm.external_id, timeout_s=0.5).power is PowerState.STOPPED


@promise(when=lambda can: can.power)
def restarting_a_stopped_vm_is_a_conflict(lab: Lab) -> None:
    vm, power = lab.vm(), present(lab.driver.power)
    with refused(Conflict):
        power.restart(vm.external_id)
    with refused(Conflict):
        power.restart(vm.external_id, force=True)
    assert lab.driver.machines.get(vm.external_id).power is PowerState.STOPPED


@promise(when=lambda can: can.power and can.power.reset)
def a_reset_vm_runs_again(lab: Lab) -> None:
    vm = lab.vm(start=True)
    assert present(lab.driver.power).restart(vm.external_id, force=True).power in UP
    lab.running(vm)


@promise(when=lambda can: can.power and can.power.pause)
def a_paused_vm_goes_on(lab: Lab) -> None:
    vm, power = lab.vm(start=True), present(lab.driver.power)
    assert power.pause(vm.external_id).power is PowerState.PAUSED
    assert lab.driver.machines.get(vm.external_id).power is PowerState.PAUSED
    assert power.resume(vm.external_id).power is PowerState.RUNNING


@promise(when=lambda can: can.power and can.power.pause)
def pausing_and_resuming_need_the_right_state(lab: Lab) -> None:
    vm, power = lab.vm(), present(lab.driver.power)
    with refused(Conflict):
        power.pause(vm.external_id)
    with refused(Conflict):
        power.resume(vm.external_id)


@promise(when=lambda can: can.power)
def nothing_can_be_done_with_a_stranger(lab: Lab) -> None:
    vm, power = lab.vm(), present(lab.driver.power)
    lab.driver.machines.delete(vm.external_id)
    for operation in (power.start, power.stop, power.restart):
        with refused(NotFound):
            operation(vm.external_id)
