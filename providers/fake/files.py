"""Bytes of images that really came into a simulated cloud: one file each, in a folder beside the cloud's own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

_PIECE = 1024 * 1024


class Files:
    """Files by the ids of images, finished or not."""

    def __init__(self, cloud_path: str) -> None:
        # A cloud in memory has its bytes in a folder that goes with this object.
        self._own = None if cloud_path else tempfile.TemporaryDirectory(prefix="kvweb-fake-")
        self._folder = Path(self._own.name) if self._own else Path(f"{cloud_path}.images")

    def write(self, key: str, offset: int, pieces: Iterable[bytes]) -> int:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        written = 0
        with path.open("r+b") as file:
            file.seek(offset)
            for piece in pieces:
                written += file.write(piece)
        return written

    def path(self, key: str) -> Path | None:
        """None where nothing was written."""
        path = self._path(key)
        return path if path.exists() else None

    def read(self, key: str) -> Iterator[bytes]:
        path = self.path(key)
        if path is not None:
            with path.open("rb") as file:
                while piece := file.read(_PIECE):
                    yield piece

    def remove(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / key
