"""Updates: size, name, description, start with the host, metadata. Each returns the VM as it is afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod

from providers.base.records import VmRecord


class Reshape(ABC):
    @abstractmethod
    def set_vcpus(self, external_id: str, vcpus: int) -> VmRecord:
        """Raises Conflict ("Stop the VM first.") where the running VM cannot take it."""

    @abstractmethod
    def set_memory(self, external_id: str, memory_mib: int) -> VmRecord:
        """Raises Conflict ("Stop the VM first.") where the running VM cannot take it."""

    @abstractmethod
    def set_flavor(self, external_id: str, flavor: str) -> VmRecord: ...

    @abstractmethod
    def rename(self, external_id: str, name: str) -> VmRecord:
        """Raises AlreadyExists, InvalidRequest, Conflict."""

    @abstractmethod
    def set_description(self, external_id: str, description: str) -> VmRecord: ...

    @abstractmethod
    def set_autostart(self, external_id: str, autostart: bool) -> VmRecord: ...

    @abstractmethod
    def set_metadata(self, external_id: str, key: str, value: str | None) -> VmRecord:
        """Set one key of the VM's metadata; None removes it."""
