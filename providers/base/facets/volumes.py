"""Volumes: disks that exist whether or not a VM has them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from providers.base.errors import NotSupported
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
    def clone(self, external_id: str, name: str, *, pool: str = "", progress: Progress = QUIET) -> VolumeRecord:
        """A full copy that stands alone, in the same pool unless another is named. Raises Conflict while a running VM
        writes to it, AlreadyExists for a name that is taken."""

    def upload(
        self,
        external_id: str,
        read: Callable[[int], bytes],
        *,
        offset: int = 0,
        length: int,
        progress: Progress = QUIET,
    ) -> VolumeRecord:
        """Write `length` bytes from `offset` on, taken from `read(most)`, which may give less and ends with b"".

        Bytes are those of the volume as it is stored: a qcow2 volume takes a qcow2 file. Raises Conflict while
        something uses the volume, InvalidRequest for what does not fit and for bytes that end early, NotSupported where
        only VMs write to volumes.
        """
        raise NotSupported("Only a VM can write to volumes of this provider.")

    def download(
        self,
        external_id: str,
        write: Callable[[bytes], None],
        *,
        offset: int = 0,
        length: int | None = None,
        progress: Progress = QUIET,
    ) -> int:
        """Hand the stored bytes from `offset` on to `write`, to the end or `length` of them; returns how many.

        Raises Conflict while a running VM writes to the volume, NotSupported where only VMs read volumes.
        """
        raise NotSupported("Only a VM can read volumes of this provider.")

    @abstractmethod
    def delete(self, external_id: str) -> None:
        """Raises Conflict when a VM or an overlay uses it, NotFound also the second time."""
