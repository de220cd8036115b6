"""Migration: a VM moves to another provider of the same kind, running or stopped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from providers.base.progress import QUIET, Progress
from providers.base.records import VmRecord

if TYPE_CHECKING:
    from providers.base.driver import Driver


class Migration(ABC):
    @abstractmethod
    def migrate(
        self,
        external_id: str,
        target: Driver,
        *,
        live: bool = True,
        copy_storage: bool = False,
        progress: Progress = QUIET,
    ) -> VmRecord:
        """Move the VM to `target` and return it as it is there; here it is gone. Its external_id may be another there.

        `live`: a running VM goes on running at the target; without it, it must be stopped. `copy_storage`: its disks
        are copied into the target's pools; without it the target must see the same storage.

        Raises Conflict for a state that forbids it and for a target that lacks a network or pool, InvalidRequest for a
        target that is no other provider of this kind, AlreadyExists for a name that is taken there. Until the VM is
        complete at the target it stays here as it was: one that failed or was cancelled leaves nothing at the target.
        """

    def discard(self, external_id: str, target: Driver) -> bool:
        """Remove what a migration that died left at the end where the VM is not; True when something was removed.

        Never what the VM itself uses, which both ends may see. Kinds that leave nothing behind keep this.
        """
        del external_id, target
        return False

    def is_under_way(self, external_id: str) -> bool:
        """Whether the VM is just moving away from here, as it may go on doing when who began it has died.

        Kinds whose moves end with who began them keep this. Raises nothing for a VM that is not here: False.
        """
        del external_id
        return False
