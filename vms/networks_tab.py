"""The tab of network cards."""

from __future__ import annotations

from typing import Any

from kvweb.accounts.models import User
from vms import looks
from vms.models import VirtualMachine
from vms.tab import Tab


def _context(vm: VirtualMachine, user: User) -> dict[str, Any]:
    del user
    return {"nics": looks.nics(vm)}


def _count(vm: VirtualMachine) -> int | None:
    return len(vm.nics or []) or None


TAB = Tab(name="networks", label="Networks", context=_context, count=_count)
