"""Security groups: named sets of allowed ports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from providers.base.records import FirewallRecord
from providers.base.specs import FirewallSpec


class Firewalls(ABC):
    @abstractmethod
    def list(self, network: str = "") -> Sequence[FirewallRecord]: ...

    @abstractmethod
    def create(self, spec: FirewallSpec) -> FirewallRecord: ...

    @abstractmethod
    def update(self, external_id: str, spec: FirewallSpec) -> FirewallRecord: ...

    @abstractmethod
    def delete(self, external_id: str) -> None: ...
