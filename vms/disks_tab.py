"""The tab of disks and drives."""

from __future__ import annotations

from vms.models import VirtualMachine
from vms.tab import Tab


def _count(vm: VirtualMachine) -> int | None:
    return len(vm.disks or []) or None


TAB = Tab(name="disks", label="Disks", count=_count)
