"""Clones of a VM, and images made from one."""

from __future__ import annotations

from abc import ABC, abstractmethod

from providers.base.progress import QUIET, Progress
from providers.base.records import ImageRecord, VmRecord


class Clones(ABC):
    @abstractmethod
    def clone(
        self,
        external_id: str,
        name: str,
        *,
        full: bool = False,
        start: bool = False,
        portal_uuid: str = "",
        progress: Progress = QUIET,
    ) -> VmRecord:
        """A second VM with its own identity (MACs, uuid); raises AlreadyExists, Conflict when it must be stopped."""

    @abstractmethod
    def export(self, external_id: str, image_name: str, progress: Progress = QUIET) -> ImageRecord:
        """An image with the content of the first disk; raises Conflict while the VM runs."""
