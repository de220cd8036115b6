"""DNS zones and records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from providers.base.records import DnsRecord
from providers.base.specs import DnsSpec


class Dns(ABC):
    @abstractmethod
    def zones(self) -> Sequence[str]: ...

    @abstractmethod
    def list(self, zone: str) -> Sequence[DnsRecord]:
        """Raises NotFound for a zone that is not there."""

    @abstractmethod
    def reserve(self, spec: DnsSpec, *, force: bool = False) -> DnsRecord:
        """Add a record; with `force` replace those of the same name and type, else raise AlreadyExists."""

    @abstractmethod
    def delete(self, zone: str, name: str, *, all_entries: bool = False) -> None: ...
