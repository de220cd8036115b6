"""What a person can do to an open console, to a guest link, and to what is kept of a serial line."""

from __future__ import annotations

from dataclasses import replace

from kvweb.accounts.actions import Action, Answer
from providers.base import CARRIED_CONSOLES, ConsoleKind
from vms import guest_forms
from vms.conditions import VmAction, ready
from vms.console import guest_links, serial_services, sessions
from vms.models import ConsoleSession, GuestLink, VirtualMachine


def _when_open(session: ConsoleSession) -> Answer:
    return True if session.is_open else "It is closed already."


def _when_valid(link: GuestLink) -> Answer:
    return True if link.is_valid else "It does not work any more."


def _has_serial(vm: VirtualMachine) -> bool:
    return vm.has_console(ConsoleKind.SERIAL)


def keeps_output(vm: VirtualMachine) -> bool:
    """Whether the provider itself keeps what the serial line says."""
    return vm.can.consoles is not None and vm.can.consoles.output


CLOSE = Action[ConsoleSession](
    name="close",
    label="Close",
    doing="Closing",
    icon="plug-connected-x",
    verb="console.manage",
    when=_when_open,
    run=sessions.close,
)
#: One's own console, from another page.
CLOSE_OWN = replace(CLOSE, name="close-own", verb="vm.console")
INVITE = VmAction(
    name="invite-guest",
    label="Let a guest in",
    doing="Making a link",
    icon="user-plus",
    verb="vm.share",
    needs=lambda vm: any(vm.has_console(kind) for kind in CARRIED_CONSOLES),
    run=guest_links.create,
    form=guest_forms.InviteForm,
    in_bulk=False,
    place="guests",
)
REVOKE = Action[GuestLink](
    name="revoke",
    label="Take back",
    doing="Taking back",
    icon="ban",
    verb="vm.share",
    when=_when_valid,
    run=guest_links.revoke,
)
KEEP_LOG = VmAction(
    name="keep-serial-log",
    label="Keep the log always",
    doing="Keeping the log",
    icon="device-floppy",
    verb="vm.share",
    needs=lambda vm: _has_serial(vm) and not vm.keeps_serial_log,
    run=serial_services.keep_log,
    in_bulk=False,
    place="console",
)
DROP_LOG = VmAction(
    name="drop-serial-log",
    label="Keep it only while somebody watches",
    doing="Changing the log",
    icon="device-floppy",
    verb="vm.share",
    needs=lambda vm: _has_serial(vm) and vm.keeps_serial_log,
    run=serial_services.drop_log,
    in_bulk=False,
    place="console",
)
READ_OUTPUT = VmAction(
    name="read-output",
    label="Read console output",
    doing="Reading console output",
    icon="refresh",
    verb="vm.console",
    needs=keeps_output,
    when=ready,
    run=serial_services.read_output,
    in_bulk=False,
    place="output",
)

#: Those of them that are done to a machine by its usual buttons.
ACTIONS = (KEEP_LOG, DROP_LOG, READ_OUTPUT)
