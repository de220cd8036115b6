"""Volumes: disks that exist whether or not a VM has them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from providers.base.progress import QUIET, Progress
from providers.base.records import VolumeRecord
from providers.base.specs import VolumeSpec


class Volumes(ABC):
    @abstractmethod
    def list(self, pool: str = "") -> Sequence[VolumeRecord]:
        """Volumes of one pool, or of all; images are volumes too where the provider keeps them so."""

    @abstractmethod
    def get(self, external_id: str) -> VolumeRecord: ...

    @abstractmethod
    def create(self, spec: VolumeSpec, progress: Progress = QUIET) -> VolumeRecord: ...

    @abstractmethod
    def grow(self, external_id: str, size_gib: int) -> VolumeRecord:
        """Raises InvalidRequest when the new size is smaller."""

    @abstractmethod
    def delete(self, external_id: str) -> None:
        """Raises Conflict when a VM or an overlay uses it, NotFound also the second time."""
