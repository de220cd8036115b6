"""Network cards of a VM: add, remove, change. Each returns the VM as it is afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod

from providers.base.errors import NotSupported
from providers.base.records import VmRecord
from providers.base.specs import NicChange, NicSpec


class Nics(ABC):
    @abstractmethod
    def add(self, external_id: str, nic: NicSpec) -> VmRecord:
        """Raises AlreadyExists for a MAC that another card has. A MAC that this VM has on this network was added by
        an earlier run of the same job: nothing is added.
        """

    @abstractmethod
    def remove(self, external_id: str, nic_id: str) -> VmRecord:
        """Raises NotFound for a card that is not there, Conflict when the guest of a running VM does not let go of it:
        the card is then still there.
        """

    @abstractmethod
    def update(self, external_id: str, nic_id: str, change: NicChange) -> VmRecord:
        """Change one card; it keeps its MAC. What a running VM takes only at its next start stands in
        `VmRecord.pending`.

        Raises NotFound for a card or network that is not there, InvalidRequest for what its network cannot do.
        """

    def give_public_address(self, external_id: str, nic_id: str) -> VmRecord:
        """Make the card reachable from outside; one that has a public address keeps it, since a job may run twice.

        Raises NotFound, Conflict where the card's network leads nowhere, QuotaExceeded, OutOfCapacity.
        """
        raise NotSupported

    def take_public_address(self, external_id: str, nic_id: str) -> VmRecord:
        """Take it away and give it back to the provider; raises NotFound for a card that has none."""
        raise NotSupported
