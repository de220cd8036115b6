"""Network cards of a VM: add, remove, change network. Each returns the VM as it is afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod

from providers.base.records import VmRecord
from providers.base.specs import NicSpec


class Nics(ABC):
    @abstractmethod
    def add(self, external_id: str, nic: NicSpec) -> VmRecord: ...

    @abstractmethod
    def remove(self, external_id: str, nic_id: str) -> VmRecord:
        """Raises NotFound for a card that is not there."""

    @abstractmethod
    def change_network(self, external_id: str, nic_id: str, network: str) -> VmRecord: ...
