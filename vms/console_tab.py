"""The tab of consoles: what can be opened, or why nothing can."""

from __future__ import annotations

from typing import Any

from kvweb.accounts.models import User
from vms import looks, screenshots, session_looks
from vms.models import VirtualMachine
from vms.tab import Tab


def _context(vm: VirtualMachine, user: User) -> dict[str, Any]:
    return {
        "consoles": looks.console_links(vm, user),
        "viewer": looks.viewer_address(vm, user),
        "sees_screen": screenshots.may_see(vm, user),
        "reason": looks.why_no_console(vm, user),
        "start": next((button for button in looks.buttons(vm, user) if button.name in {"start", "resume"}), None),
        **session_looks.tab_context(vm, user),
    }


def _news(vm: VirtualMachine) -> str:
    return f"vm-consoles:{vm.uuid}"


TAB = Tab(name="console", label="Console", live=_news, context=_context)
