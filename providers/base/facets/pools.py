"""Storage pools."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from providers.base.records import PoolRecord
from providers.base.specs import PoolSpec


class Pools(ABC):
    @abstractmethod
    def list(self) -> Sequence[PoolRecord]: ...

    @abstractmethod
    def create(self, spec: PoolSpec) -> PoolRecord: ...

    @abstractmethod
    def delete(self, external_id: str, *, with_volumes: bool = False) -> None:
        """Raises Conflict when volumes are in it and `with_volumes` is False, or when VMs use them."""

    @abstractmethod
    def update(self, external_id: str, *, active: bool | None = None, autostart: bool | None = None) -> PoolRecord:
        """Switch it on or off, now or with its host; None leaves as it is. Raises Conflict while running VMs use it."""

    @abstractmethod
    def refresh(self, external_id: str) -> PoolRecord:
        """Look at its content again: what was put there beside the provider is found."""
