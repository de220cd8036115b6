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
