"""The tab of what happened to the machine."""

from __future__ import annotations

from typing import Any

from kvweb.accounts.models import User
from vms import history
from vms.models import VirtualMachine
from vms.tab import Tab


def _context(vm: VirtualMachine, user: User) -> dict[str, Any]:
    del user
    return {"entries": history.of(vm)}


TAB = Tab(name="history", label="History", context=_context)
