"""The first tab: what the machine is, how to reach it, where it runs and whose it is."""

from __future__ import annotations

from typing import Any

from kvweb.accounts.access import allowed
from kvweb.accounts.models import User
from vms import looks, screenshots
from vms.models import VirtualMachine
from vms.tab import Tab


def _context(vm: VirtualMachine, user: User) -> dict[str, Any]:
    return {
        "may_change": allowed(user, "vm.change", vm),
        "may_assign": allowed(user, "vm.assign"),
        "ssh_command": looks.ssh_command(vm),
        "addresses": looks.address_facts(vm),
        "disk_count": looks.disk_count(vm),
        "sees_screen": screenshots.may_see(vm, user),
        "consoles": looks.console_links(vm, user),
    }


TAB = Tab(name="overview", label="Overview", context=_context)
