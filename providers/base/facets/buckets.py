"""Buckets of an object store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path


class Buckets(ABC):
    @abstractmethod
    def list(self) -> Sequence[str]:
        """Names of the buckets."""

    @abstractmethod
    def create(self, bucket: str, *, public: bool = False) -> None: ...

    @abstractmethod
    def delete(self, bucket: str) -> None:
        """Raises Conflict when objects are in it."""

    @abstractmethod
    def list_files(self, bucket: str) -> Sequence[str]: ...

    @abstractmethod
    def upload(self, bucket: str, path: Path, *, public: bool = False) -> str:
        """Store a local file under its own name and return its key."""

    @abstractmethod
    def download(self, bucket: str, key: str, folder: Path) -> Path: ...

    @abstractmethod
    def delete_file(self, bucket: str, key: str) -> None: ...

    @abstractmethod
    def public_url(self, bucket: str, key: str) -> str: ...
