"""Moving a machine to another provider of the same kind."""

from __future__ import annotations

from kvweb.accounts.models import User
from kvweb.jobs.models import Job
from providers.models import Provider
from vms.models import VirtualMachine
from vms.services import start_job


def migrate(vm: VirtualMachine, *, user: User, target: Provider, live: bool = True, copy_storage: bool = False) -> Job:
    """The row moves with the machine once it is there; until then it stays as it is, here."""
    return start_job(
        vm,
        "vm.migrate",
        verb=f"Move to “{target}”:",
        doing="Moving",
        user=user,
        params={"target": str(target.uuid), "live": live, "copy_storage": copy_storage},
    )
