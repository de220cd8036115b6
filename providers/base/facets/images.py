"""Images: what a VM's first disk or drive starts with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from providers.base.progress import QUIET, Progress
from providers.base.records import ImageRecord
from providers.base.specs import ImageSpec


class Images(ABC):
    @abstractmethod
    def list(self) -> Sequence[ImageRecord]: ...

    @abstractmethod
    def add(self, spec: ImageSpec, progress: Progress = QUIET) -> ImageRecord:
        """Bring an image in; raises AlreadyExists, InvalidRequest for a format or checksum that does not fit."""

    @abstractmethod
    def delete(self, external_id: str) -> None:
        """Raises Conflict when a VM's disk is an overlay of it, NotFound also the second time."""
