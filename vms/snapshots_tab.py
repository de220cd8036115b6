"""The tab of snapshots: the tree of them, where the machine stands in it, and what can be done with each."""

from __future__ import annotations

from typing import Any

from kvweb.accounts.models import User
from kvweb.ui.badges import Badge
from vms import looks
from vms.models import VirtualMachine
from vms.snapshot_tree import snapshots_of, tree
from vms.tab import Tab

CHANGES = {"vm.revert_to_snapshot": "Going back", "vm.delete_snapshot": "Deleting"}


def _busy(vm: VirtualMachine) -> dict[str, Badge]:
    """Name of the snapshot that a job is about → what it does."""
    job = vm.active_job
    if job is None or job.kind not in CHANGES:
        return {}
    badge = Badge(CHANGES[job.kind], "blue", "loader-2", is_busy=True, percent=job.percent, note=job.message)
    return {str(job.params.get("snapshot")): badge}


def _arriving(vm: VirtualMachine) -> dict[str, Any] | None:
    job = vm.active_job
    if job is None or job.kind != "vm.take_snapshot":
        return None
    badge = Badge("Taking", "blue", "loader-2", is_busy=True, percent=job.percent)
    return {"name": job.params.get("name"), "badge": badge, "message": job.message}


def _context(vm: VirtualMachine, user: User) -> dict[str, Any]:
    busy = _busy(vm)
    shots = snapshots_of(vm)
    sizes = [shot["size_bytes"] for shot in shots if shot.get("size_bytes")]
    return {
        "twigs": [(twig, busy.get(twig.snapshot["name"]) if twig.snapshot else None) for twig in tree(shots)],
        "has_sizes": bool(sizes),
        "total_mib": sum(sizes) / 1024**2,
        "arriving": _arriving(vm),
        "take": looks.buttons_of(vm, user, "menu").get("take_snapshot"),
        "acts": looks.buttons_of(vm, user, "snapshots"),
        "can_snapshot": vm.can.snapshots is not None,
    }


def _count(vm: VirtualMachine) -> int | None:
    return len(vm.snapshots or []) or None


TAB = Tab(name="snapshots", label="Snapshots", context=_context, count=_count)
