"""Taking a snapshot of a machine, going back to one, deleting one."""

from __future__ import annotations

from django.utils import timezone

from kvweb.accounts.models import User
from kvweb.jobs.models import Job
from vms.models import VirtualMachine
from vms.services import start_job


def name_of_now() -> str:
    """What a snapshot is called when nobody gives it a name: "2026-03-01 14:05"."""
    return f"{timezone.localtime():%Y-%m-%d %H:%M}"


def take_snapshot(
    vm: VirtualMachine,
    *,
    user: User,
    name: str = "",
    description: str = "",
    memory: bool = False,
    external: bool = False,
) -> Job:
    """Keep the machine as it is now; `memory` also what its guest is doing, `external` as layers over its disks."""
    name = name or name_of_now()
    return start_job(
        vm,
        "vm.take_snapshot",
        verb=f"Take snapshot “{name}” of",
        doing="Taking a snapshot",
        user=user,
        params={"name": name, "description": description, "memory": memory, "external": external},
    )


def revert_to_snapshot(vm: VirtualMachine, *, user: User, snapshot: str, keep_now: str = "") -> Job:
    """Put the machine back as it was; `keep_now` is the name of a snapshot that is taken of it before."""
    return start_job(
        vm,
        "vm.revert_to_snapshot",
        verb=f"Go back to snapshot “{snapshot}” of",
        doing="Going back to a snapshot",
        user=user,
        params={"snapshot": snapshot, "keep_now": keep_now},
    )


def delete_snapshot(vm: VirtualMachine, *, user: User, snapshot: str) -> Job:
    return start_job(
        vm,
        "vm.delete_snapshot",
        verb=f"Delete snapshot “{snapshot}” of",
        doing="Deleting a snapshot",
        user=user,
        params={"snapshot": snapshot},
    )
