"""Images: what a VM's first disk or drive starts with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from providers.base.errors import NotSupported
from providers.base.progress import QUIET, Progress
from providers.base.records import ImageRecord, UnfinishedImage
from providers.base.specs import ImageSpec


class Images(ABC):
    """Whole images come by `add`; pieces of one, in their order, by `begin`, `write` … `finish`.

    An image that is not finished is not listed, whoever looks, and nothing can be made of it.
    """

    @abstractmethod
    def list(self) -> Sequence[ImageRecord]: ...

    @abstractmethod
    def add(self, spec: ImageSpec, progress: Progress = QUIET) -> ImageRecord:
        """Bring an image in; raises AlreadyExists, InvalidRequest for a format or checksum that does not fit.

        Nothing of it stays when it fails or is cancelled. What a killed process left is overwritten by the same wish
        (with the same `portal_uuid`), or found by `unfinished` and taken away by `discard`.
        """

    @abstractmethod
    def delete(self, external_id: str) -> None:
        """Raises Conflict when a VM's disk is an overlay of it, NotFound also the second time."""

    def begin(self, spec: ImageSpec, stored_bytes: int) -> str:
        """Make a place for an image of so many bytes; returns the key for the other methods.

        Raises AlreadyExists for a taken name, OutOfCapacity. With the `portal_uuid` of an unfinished one that one is
        begun anew.
        """
        raise NotSupported

    def write(self, key: str, offset: int, pieces: Iterator[bytes]) -> int:
        """Write at an offset (bytes); returns how many. The same place may be written again.

        Raises NotFound for a key that is unknown, finished or discarded.
        """
        raise NotSupported

    def finish(self, key: str, spec: ImageSpec, progress: Progress = QUIET) -> ImageRecord:
        """Look at what was written and list it; raises InvalidRequest, as `add`, and the image stays unfinished."""
        raise NotSupported

    def discard(self, key: str) -> None:
        """Take an unfinished image away. Nothing happens when there is none, or when it is finished."""
        raise NotSupported

    def unfinished(self) -> Sequence[UnfinishedImage]:
        """What was begun and neither finished nor discarded, whoever began it."""
        return ()

    def read(self, external_id: str) -> Iterator[bytes]:
        """The image's bytes, for a download; raises NotFound."""
        raise NotSupported
