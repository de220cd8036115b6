"""How consoles look in lists: one badge for what the person at it can do."""

from __future__ import annotations

from typing import Any

from kvweb.accounts.access import allowed
from kvweb.accounts.models import User
from kvweb.ui.badges import Badge, badge_of
from providers.base import ConsoleKind
from vms import looks
from vms.console.session_selectors import open_at
from vms.models import ConsoleSession, VirtualMachine

LABELS = {"vnc": "Screen", "serial": "Serial console", "spice": "Viewer on a computer"}


@badge_of.register
def session_badge(session: ConsoleSession) -> Badge:
    """| closed | taken back | a viewer of one's own | types | shown |, from the left."""
    if not session.is_open:
        return Badge("Closed", "secondary", "plug-connected-x")
    if session.grant is not None and session.grant.revoked_at is not None:
        return Badge("Closing", "blue", "loader-2", is_busy=True)
    if session.kind == ConsoleKind.SPICE:
        return Badge("Has a viewer open", "green", "device-desktop-share")
    if session.drives and session.kind == ConsoleKind.SERIAL:
        return Badge("Types", "green", "keyboard")
    if session.drives:
        return Badge("Has the keyboard", "green", "keyboard")
    return Badge("Watches", "blue", "eye")


def tab_context(vm: VirtualMachine, user: User) -> dict[str, Any]:
    """What the tab of consoles shows below the consoles: who is there now, guests, the serial log."""
    may_console = allowed(user, "vm.console", vm)
    return {
        "open_consoles": open_at(vm)[:20] if may_console else [],
        "may_console": may_console,
        "may_share": allowed(user, "vm.share", vm),
        "has_serial": vm.has_console(ConsoleKind.SERIAL),
        "keeps_output": vm.can.consoles is not None and vm.can.consoles.output,
        "log_act": next(iter(looks.buttons_of(vm, user, "console").values()), None),
    }
