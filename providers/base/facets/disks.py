"""Disks of a VM: attach, detach, grow, change the medium in a drive. Each returns the VM as it is afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod

from providers.base.progress import QUIET, Progress
from providers.base.records import VmRecord
from providers.base.specs import DiskSpec


class Disks(ABC):
    @abstractmethod
    def attach(self, external_id: str, disk: DiskSpec, progress: Progress = QUIET) -> VmRecord:
        """Make a disk (or take `disk.volume`) and plug it in. A failed attach leaves no volume behind.

        Raises Conflict for a volume that another VM has, unless both share it (`disk.shareable`).
        """

    @abstractmethod
    def detach(self, external_id: str, disk_id: str, *, delete: bool = False) -> VmRecord:
        """Unplug; `delete` removes the volume too unless something else uses it (Conflict, and it stays plugged in).

        Raises Conflict when the guest of a running VM does not let go of it; the disk is then still there.
        """

    @abstractmethod
    def grow(self, external_id: str, disk_id: str, size_gib: int) -> VmRecord:
        """Raises InvalidRequest when the new size is smaller."""

    @abstractmethod
    def move(self, external_id: str, disk_id: str, pool: str, progress: Progress = QUIET) -> VmRecord:
        """Copy a disk to another pool, plug the copy in its place, and delete the original.

        Raises Conflict while the VM runs, and for what snapshots, other VMs or other disks need.
        """

    @abstractmethod
    def set_iso(self, external_id: str, image: str | None, *, force: bool = False) -> VmRecord:
        """Insert an ISO image into the drive, or eject with None.

        Raises Conflict when the guest holds the medium, unless `force`.
        """
