"""Networks that VMs can be plugged into."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from providers.base.records import NetworkRecord
from providers.base.specs import NetworkSpec


class Networks(ABC):
    @abstractmethod
    def list(self) -> Sequence[NetworkRecord]: ...

    @abstractmethod
    def get(self, external_id: str) -> NetworkRecord: ...

    @abstractmethod
    def create(self, spec: NetworkSpec) -> NetworkRecord:
        """Raises AlreadyExists for a taken name or an address range in use, InvalidRequest for a bad range."""

    @abstractmethod
    def update(self, external_id: str, spec: NetworkSpec) -> NetworkRecord: ...

    @abstractmethod
    def delete(self, external_id: str, *, force: bool = False) -> None:
        """Raises Conflict when VMs are plugged in and `force` is False."""
