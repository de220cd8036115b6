"""Flavors: the sizes that a provider sells."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from providers.base.records import FlavorRecord


class Flavors(ABC):
    @abstractmethod
    def list(self) -> Sequence[FlavorRecord]: ...
