"""Lifecycle: list, read, create and delete VMs. Every driver has this facet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from providers.base.errors import NotFound, NotSupported
from providers.base.progress import QUIET, Progress
from providers.base.records import GuestRecord, VmRecord
from providers.base.specs import VmSpec


class Machines(ABC):
    @abstractmethod
    def list(self) -> Sequence[VmRecord]:
        """All VMs, complete enough for a list page, in a bounded number of vendor calls (pages, not VMs)."""

    @abstractmethod
    def get(self, external_id: str) -> VmRecord:
        """One VM in full; raises NotFound."""

    @abstractmethod
    def create(self, spec: VmSpec, progress: Progress = QUIET) -> VmRecord:
        """Make the VM and return it as it is afterwards.

        Raises AlreadyExists for a taken name, InvalidRequest for values that the provider does not take, NotFound for a
        vanished image, network or pool, OutOfCapacity for a full disk. A failed create leaves nothing behind. When a VM
        with `spec.portal_uuid` exists already (a job that runs twice), that VM is returned and none is made.
        """

    @abstractmethod
    def delete(
        self,
        external_id: str,
        *,
        keep_disks: bool = False,
        with_snapshots: bool = False,
        progress: Progress = QUIET,
    ) -> None:
        """Remove the VM with its own disks only: never an image, never a volume that another VM or overlay uses.

        A running VM is stopped hard first. Raises NotFound, and Conflict when it has snapshots and `with_snapshots` is
        False.
        """

    def discard(self, portal_uuid: str) -> bool:
        """Remove what a create that died left behind, never a VM that exists; True when something was removed.

        Kinds where a create is one call of the vendor's leave nothing behind and keep this.
        """
        del portal_uuid
        return False

    def find(self, name: str) -> VmRecord:
        """One VM by its name, in full; raises NotFound. A driver with a cheaper look-up overrides it."""
        for record in self.list():
            if record.name == name:
                return self.get(record.external_id)
        raise NotFound(f"There is no VM called “{name}”.")

    def guest(self, external_id: str) -> GuestRecord:
        """What the guest of a running VM tells of itself now; an agent that is silent is waited for seconds at most.

        Raises Conflict when the VM does not run or no agent answers in it, NotFound when it is gone, NotSupported where
        `MachineFeatures.guest` was not probed.
        """
        raise NotSupported
