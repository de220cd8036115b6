"""What a person can do to a machine: the table from which buttons, bulk menu, API and rights tests are made."""

from __future__ import annotations

from typing import Literal

from kvweb.accounts.access import Person
from kvweb.accounts.actions import Action, Check
from providers.base import PowerState
from vms import services
from vms.choices import Presence
from vms.models import VirtualMachine

VmAction = Action[VirtualMachine]
Answer = Literal[True] | str


def _ready(vm: VirtualMachine) -> Answer:
    """The conditions that all actions share: nothing else is going on, the machine and its provider can be reached."""
    if vm.active_job is not None:
        return f"Wait until “{vm.active_job.doing or 'another job'}” is done."
    if vm.presence == Presence.WANTED:
        return "It was not created."
    if vm.presence == Presence.MISSING:
        return "The provider does not list this machine any more."
    if not vm.provider.is_enabled:
        return f"“{vm.provider.name}” is disabled."
    if not vm.provider.is_reachable:
        return f"“{vm.provider.name}” cannot be reached at the moment."
    return True


def _when_off(vm: VirtualMachine) -> Answer:
    ready = _ready(vm)
    if ready is not True:
        return ready
    if vm.is_paused:
        return "It is paused; resume it instead."
    return True if vm.is_off or vm.power == PowerState.UNKNOWN else "It is running already."


def _when_on(vm: VirtualMachine) -> Answer:
    ready = _ready(vm)
    if ready is not True:
        return ready
    return "It is off." if vm.is_off else True


def _when_running(vm: VirtualMachine) -> Answer:
    ready = _ready(vm)
    if ready is not True:
        return ready
    return True if vm.is_running else "It does not run."


def _when_paused(vm: VirtualMachine) -> Answer:
    ready = _ready(vm)
    if ready is not True:
        return ready
    return True if vm.is_paused else "It is not paused."


def _when_not_there(vm: VirtualMachine) -> Answer:
    if vm.active_job is not None:
        return "It is being worked on."
    return True if vm.presence in {Presence.WANTED, Presence.MISSING} else "The machine exists; delete it instead."


START = VmAction(
    name="start",
    label="Start",
    doing="Starting",
    icon="player-play",
    verb="vm.operate",
    needs=lambda vm: vm.can.power is not None,
    when=_when_off,
    run=services.start,
)
STOP = VmAction(
    name="stop",
    label="Shut down",
    doing="Stopping",
    icon="power",
    verb="vm.operate",
    needs=lambda vm: vm.can.power is not None,
    when=_when_on,
    run=services.stop,
    confirm="ask",
    question="The guest of “{name}” is asked to shut down. After a minute without an answer it is switched off.",
)
RESTART = VmAction(
    name="restart",
    label="Restart",
    doing="Restarting",
    icon="refresh",
    verb="vm.operate",
    needs=lambda vm: vm.can.power is not None,
    when=_when_running,
    run=services.restart,
    confirm="ask",
    question="The guest of “{name}” is asked to reboot.",
)
PAUSE = VmAction(
    name="pause",
    label="Pause",
    doing="Pausing",
    icon="player-pause",
    verb="vm.operate",
    needs=lambda vm: vm.can.power is not None and vm.can.power.pause,
    when=_when_running,
    run=services.pause,
)
RESUME = VmAction(
    name="resume",
    label="Resume",
    doing="Resuming",
    icon="player-track-next",
    verb="vm.operate",
    needs=lambda vm: vm.can.power is not None and vm.can.power.pause,
    when=_when_paused,
    run=services.resume,
)
RESET = VmAction(
    name="reset",
    label="Reset",
    doing="Resetting",
    icon="rotate-clockwise",
    verb="vm.operate",
    needs=lambda vm: vm.can.power is not None and vm.can.power.reset,
    when=_when_running,
    run=services.reset,
    confirm="ask",
    question="“{name}” is reset at once, as by its reset button. What the guest has not saved is lost.",
    is_destructive=True,
    in_bulk=False,
)
FORCE_STOP = VmAction(
    name="force-stop",
    label="Force off",
    doing="Stopping",
    icon="plug-connected-x",
    verb="vm.operate",
    needs=lambda vm: vm.can.power is not None,
    when=_when_on,
    run=services.force_stop,
    confirm="ask",
    question="“{name}” is switched off at once. What the guest has not saved is lost.",
    is_destructive=True,
)
DELETE = VmAction(
    name="delete",
    label="Delete",
    doing="Deleting",
    icon="trash",
    verb="vm.delete",
    when=_ready,
    run=services.delete,
    confirm="type",
    question="“{name}” and its own disks are deleted for good.",
    is_destructive=True,
)
DISMISS = VmAction(
    name="dismiss",
    label="Dismiss",
    doing="Dismissing",
    icon="x",
    verb="vm.delete",
    needs=lambda vm: vm.presence in {Presence.WANTED, Presence.MISSING},
    when=_when_not_there,
    run=services.dismiss,
    in_bulk=False,
)

#: In the order in which every page shows them.
ACTIONS: dict[str, VmAction] = {
    action.name: action for action in (START, STOP, RESTART, PAUSE, RESUME, RESET, FORCE_STOP, DELETE, DISMISS)
}


def offered(vm: VirtualMachine, user: Person) -> list[tuple[VmAction, Check]]:
    """The actions that a page shows for this machine and user, greyed ones with their reason."""
    checked = [(action, action.check(vm, user)) for action in ACTIONS.values()]
    return [(action, check) for action, check in checked if not check.is_hidden]
