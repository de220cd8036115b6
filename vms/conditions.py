"""When something can be done to a machine: conditions that its actions share, each True or the reason why not now."""

from __future__ import annotations

from kvweb.accounts.actions import Action, Answer, after
from providers.base import PowerState
from vms.choices import Presence
from vms.models import VirtualMachine

VmAction = Action[VirtualMachine]


def ready(vm: VirtualMachine) -> Answer:
    """The conditions that all actions share: nothing else is going on, the machine and its provider can be reached."""
    if vm.active_job is not None:
        return f"Wait until “{vm.active_job.doing or 'another job'}” is done."
    if vm.presence == Presence.WANTED:
        return "It was not created." if vm.problem else "It is being made."
    if vm.presence == Presence.MISSING:
        return "The provider does not list this machine any more."
    if not vm.provider.is_enabled:
        return f"“{vm.provider.name}” is disabled."
    if not vm.provider.is_reachable:
        return f"“{vm.provider.name}” cannot be reached at the moment."
    return True


@after(ready)
def when_unprotected(vm: VirtualMachine) -> Answer:
    return "It is protected from deletion; its settings take that back." if vm.is_protected else True


@after(ready)
def when_off(vm: VirtualMachine) -> Answer:
    if vm.is_paused:
        return "It is paused; resume it instead."
    return True if vm.is_off or vm.power == PowerState.UNKNOWN else "It is running already."


@after(ready)
def when_on(vm: VirtualMachine) -> Answer:
    return "It is off." if vm.is_off else True


@after(ready)
def when_running(vm: VirtualMachine) -> Answer:
    return True if vm.is_running else "It does not run."


@after(ready)
def when_paused(vm: VirtualMachine) -> Answer:
    return True if vm.is_paused else "It is not paused."


def when_not_there(vm: VirtualMachine) -> Answer:
    if vm.active_job is not None or vm.is_being_copied:
        return "It is being worked on."
    return True if vm.presence in {Presence.WANTED, Presence.MISSING} else "The machine exists; delete it instead."
