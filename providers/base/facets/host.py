"""The provider as a whole: capacity, versions, load."""

from __future__ import annotations

from abc import ABC, abstractmethod

from providers.base.records import HostRecord


class Host(ABC):
    @abstractmethod
    def info(self) -> HostRecord: ...
