"""What a person can change of a machine itself: offered in the tab of settings."""

from __future__ import annotations

from kvweb.accounts.actions import Answer, after
from vms import setting_forms, setting_services
from vms.conditions import VmAction, ready, when_running
from vms.models import VirtualMachine


@after(when_running)
def _when_waiting(vm: VirtualMachine) -> Answer:
    return True if vm.pending else "Nothing waits for a restart."


RESIZE = VmAction(
    name="resize",
    label="Change the size",
    title="Change the size of “{name}”",
    doing="Changing the size",
    done="The size is changed.",
    icon="adjustments",
    verb="vm.change",
    needs=lambda vm: vm.can.reshape is not None and (vm.can.reshape.vcpus or vm.can.reshape.memory),
    when=ready,
    run=setting_services.resize,
    form=setting_forms.ResizeForm,
    in_bulk=False,
    place="settings",
)
CHANGE_FLAVOR = VmAction(
    name="change-flavor",
    label="Change the size",
    title="Another size for “{name}”",
    doing="Changing the size",
    done="The size is changed.",
    icon="adjustments",
    verb="vm.change",
    needs=lambda vm: vm.can.reshape is not None and vm.can.reshape.flavor and not vm.can.machines.own_size,
    when=ready,
    run=setting_services.change_flavor,
    form=setting_forms.FlavorForm,
    in_bulk=False,
    place="settings",
)
CHANGE_OPTIONS = VmAction(
    name="change-options",
    label="Change",
    doing="Changing settings",
    done="The settings are changed.",
    icon="pencil",
    verb="vm.change",
    needs=lambda vm: vm.can.reshape is not None and vm.can.reshape.options,
    when=ready,
    run=setting_services.set_options,
    form=setting_forms.OptionsForm,
    in_bulk=False,
    place="settings",
)
SET_AUTOSTART = VmAction(
    name="set-autostart",
    label="Change",
    title="“{name}” and its host",
    doing="Changing settings",
    done="The settings are changed.",
    icon="pencil",
    verb="vm.change",
    needs=lambda vm: vm.can.reshape is not None and vm.can.reshape.autostart,
    when=ready,
    run=setting_services.set_autostart,
    form=setting_forms.AutostartForm,
    in_bulk=False,
    place="settings",
)
SHOW_SCREEN = VmAction(
    name="show-screen",
    label="Change",
    title="Pictures of the screen of “{name}”",
    doing="Changing settings",
    done="The setting is changed.",
    icon="pencil",
    verb="vm.change",
    needs=lambda vm: vm.can.consoles is not None and vm.can.consoles.screenshot,
    run=setting_services.show_screen,
    form=setting_forms.ShowScreenForm,
    in_bulk=False,
    place="settings",
)
PROTECT = VmAction(
    name="protect",
    label="Change",
    title="Protect “{name}” from deletion",
    doing="Changing settings",
    done="The setting is changed.",
    icon="pencil",
    verb="vm.change",
    run=setting_services.protect,
    form=setting_forms.ProtectForm,
    in_bulk=False,
    place="settings",
)
APPLY_PENDING = VmAction(
    name="apply-pending",
    label="Restart now",
    doing="Restarting",
    icon="refresh",
    verb="vm.operate",
    needs=lambda vm: vm.can.power is not None and bool(vm.pending),
    when=_when_waiting,
    run=setting_services.apply_pending,
    confirm="ask",
    question="“{name}” is shut down and started again. After a minute without an answer it is switched off.",
    in_bulk=False,
    place="settings",
)

ACTIONS = (RESIZE, CHANGE_FLAVOR, CHANGE_OPTIONS, SET_AUTOSTART, SHOW_SCREEN, PROTECT, APPLY_PENDING)
