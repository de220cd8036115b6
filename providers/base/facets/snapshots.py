"""Snapshots of a VM: list, create, revert, delete. Names are unique inside the VM and are the identity here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from providers.base.progress import QUIET, Progress
from providers.base.records import SnapshotRecord, VmRecord


class Snapshots(ABC):
    @abstractmethod
    def list(self, external_id: str) -> Sequence[SnapshotRecord]: ...

    @abstractmethod
    def create(
        self,
        external_id: str,
        name: str,
        *,
        description: str = "",
        memory: bool = False,
        external: bool = False,
        progress: Progress = QUIET,
    ) -> SnapshotRecord:
        """Raises AlreadyExists for a taken name, Conflict where the VM's state or firmware does not allow it.

        `external`: only the disks, as layers over them; it cannot be had together with `memory` (InvalidRequest).
        """

    @abstractmethod
    def revert(self, external_id: str, name: str, progress: Progress = QUIET) -> VmRecord:
        """Disks, shape and power state as they were then; raises NotFound for a snapshot that is not there."""

    @abstractmethod
    def delete(self, external_id: str, name: str, progress: Progress = QUIET) -> None:
        """The VM's other snapshots stay, and its disks as they are; raises NotFound, also the second time."""

    def tidy(self, external_id: str) -> None:  # noqa: B027 - nothing to do where nothing can be left
        """Remove what an operation on snapshots left that was broken off; may be called at any time."""
