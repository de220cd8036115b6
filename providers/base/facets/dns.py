"""DNS zones and records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from ipaddress import ip_address

from providers.base.errors import InvalidRequest
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


def check_dns(spec: DnsSpec, types: Collection[str]) -> None:
    """Raises InvalidRequest for a type not among `types`, and for an address that is none or of the other sort."""
    if spec.type not in types:
        raise InvalidRequest(f"There is no record type “{spec.type}” here.", field="type")
    if spec.type in ("A", "AAAA"):
        try:
            version = ip_address(spec.data).version
        except ValueError:
            raise InvalidRequest(f"“{spec.data}” is not an address.", field="data") from None
        if version != (4 if spec.type == "A" else 6):
            raise InvalidRequest(f"“{spec.data}” does not fit a record of type {spec.type}.", field="data")
