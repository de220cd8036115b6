"""Subnets of a network, at kinds that divide them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from providers.base.records import SubnetRecord
from providers.base.specs import SubnetSpec


class Subnets(ABC):
    @abstractmethod
    def list(self) -> Sequence[SubnetRecord]: ...

    @abstractmethod
    def create(self, spec: SubnetSpec) -> SubnetRecord: ...

    @abstractmethod
    def update(self, external_id: str, spec: SubnetSpec) -> SubnetRecord: ...

    @abstractmethod
    def delete(self, external_id: str, *, force: bool = False) -> None: ...
