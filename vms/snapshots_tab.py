"""The tab of snapshots."""

from __future__ import annotations

from typing import Any

from kvweb.accounts.models import User
from vms import looks
from vms.models import VirtualMachine
from vms.tab import Tab


def _context(vm: VirtualMachine, user: User) -> dict[str, Any]:
    del user
    return {"snapshots": looks.snapshots(vm), "can_snapshot": vm.can.snapshots is not None}


def _count(vm: VirtualMachine) -> int | None:
    return len(vm.snapshots or []) or None


TAB = Tab(name="snapshots", label="Snapshots", context=_context, count=_count)
