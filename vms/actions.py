"""What a person can do to a machine: the table from which buttons, bulk menu, API and rights tests are made."""

from __future__ import annotations

from kvweb.accounts.access import Person
from kvweb.accounts.actions import Check
from vms import (
    clone_actions,
    clone_forms,
    disk_actions,
    migration_actions,
    nic_actions,
    services,
    session_actions,
    setting_actions,
    snapshot_actions,
)
from vms.choices import Presence
from vms.conditions import VmAction, when_not_there, when_off, when_on, when_paused, when_running, when_unprotected
from vms.models import VirtualMachine

START = VmAction(
    name="start",
    label="Start",
    doing="Starting",
    icon="player-play",
    verb="vm.operate",
    needs=lambda vm: vm.can.power is not None,
    when=when_off,
    run=services.start,
)
STOP = VmAction(
    name="stop",
    label="Shut down",
    doing="Stopping",
    icon="power",
    verb="vm.operate",
    needs=lambda vm: vm.can.power is not None,
    when=when_on,
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
    when=when_running,
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
    when=when_running,
    run=services.pause,
)
RESUME = VmAction(
    name="resume",
    label="Resume",
    doing="Resuming",
    icon="player-track-next",
    verb="vm.operate",
    needs=lambda vm: vm.can.power is not None and vm.can.power.pause,
    when=when_paused,
    run=services.resume,
)
RESET = VmAction(
    name="reset",
    label="Reset",
    doing="Resetting",
    icon="rotate-clockwise",
    verb="vm.operate",
    needs=lambda vm: vm.can.power is not None and vm.can.power.reset,
    when=when_running,
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
    when=when_on,
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
    when=when_unprotected,
    run=services.delete,
    confirm="type",
    question="“{name}” and its own disks are deleted for good.",
    is_destructive=True,
    form=clone_forms.DeleteForm,
)
DISMISS = VmAction(
    name="dismiss",
    label="Dismiss",
    doing="Dismissing",
    icon="x",
    verb="vm.delete",
    needs=lambda vm: vm.presence in {Presence.WANTED, Presence.MISSING},
    when=when_not_there,
    run=services.dismiss,
    in_bulk=False,
)

#: In the order in which every page shows them.
ACTIONS: dict[str, VmAction] = {
    action.name: action
    for action in (
        START,
        STOP,
        RESTART,
        PAUSE,
        RESUME,
        RESET,
        FORCE_STOP,
        *disk_actions.ACTIONS,
        *nic_actions.ACTIONS,
        *snapshot_actions.ACTIONS,
        *setting_actions.ACTIONS,
        *session_actions.ACTIONS,
        *clone_actions.ACTIONS,
        *migration_actions.ACTIONS,
        DELETE,
        DISMISS,
    )
}


def offered(vm: VirtualMachine, user: Person, place: str = "menu") -> list[tuple[VmAction, Check]]:
    """The actions that a page shows for this machine and user in that place, greyed ones with their reason."""
    checked = [(action, action.check(vm, user)) for action in ACTIONS.values() if action.place == place]
    return [(action, check) for action, check in checked if not check.is_hidden]
