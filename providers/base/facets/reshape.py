"""Updates: size, name, description, start with the host, metadata. Each returns the VM as it is afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from providers.base.records import OptionsRecord, VmRecord


class Reshape(ABC):
    """What a running VM cannot take is either refused with Conflict, or kept for its next start: the record then shows
    what the VM has now, and `pending` says what will change."""

    @abstractmethod
    def set_vcpus(self, external_id: str, vcpus: int) -> VmRecord: ...

    @abstractmethod
    def set_memory(self, external_id: str, memory_mib: int) -> VmRecord: ...

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

    @abstractmethod
    def options(self, external_id: str) -> OptionsRecord:
        """The kind's options as the VM has them; raises NotSupported where they cannot be read."""

    @abstractmethod
    def set_options(self, external_id: str, options: Mapping[str, Any]) -> VmRecord:
        """Change the options that are named and leave the others; valid by the plugin's options model.

        Raises InvalidRequest with the option's name as its field, Conflict, NotSupported.
        """

    @abstractmethod
    def remove_cloud_init(self, external_id: str) -> VmRecord:
        """Take the first-boot data away, which may hold secrets; nothing to take away is no error.

        Raises Conflict ("Stop the VM first.") where it is still plugged in.
        """
