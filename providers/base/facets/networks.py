"""Networks that VMs can be plugged into."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from providers.base.records import LeaseRecord, NetworkRecord, StaticLease
from providers.base.specs import NetworkSpec


class Networks(ABC):
    @abstractmethod
    def list(self) -> Sequence[NetworkRecord]: ...

    @abstractmethod
    def get(self, external_id: str) -> NetworkRecord:
        """One network, with the VMs that are plugged into it."""

    @abstractmethod
    def create(self, spec: NetworkSpec) -> NetworkRecord:
        """Raises AlreadyExists for a taken name or an address range in use, InvalidRequest for a bad range."""

    @abstractmethod
    def update(self, external_id: str, spec: NetworkSpec) -> NetworkRecord:
        """The spec replaces the network (`NetworkSpec.like` begins with what it is); running VMs stay plugged in.

        What they would notice waits until the network is switched off and on, and stands in `NetworkRecord.pending`;
        a provider that cannot keep it waiting raises Conflict.
        """

    @abstractmethod
    def delete(self, external_id: str, *, force: bool = False) -> None:
        """Raises Conflict when VMs are plugged in and `force` is False."""

    @abstractmethod
    def set_active(self, external_id: str, active: bool) -> NetworkRecord:
        """Switch it on or off; as it is already is fine. Raises Conflict for switching it off under running VMs."""

    @abstractmethod
    def leases(self, external_id: str) -> Sequence[LeaseRecord]:
        """What DHCP has given out, and what it keeps for cards that have not asked; empty for a network without."""

    @abstractmethod
    def reserve(self, external_id: str, lease: StaticLease) -> NetworkRecord:
        """Keep an address for a card from now on, in place of the one that was kept for it.

        Raises AlreadyExists for an address or name that is kept for another card, InvalidRequest for an address outside
        the network's ranges, Conflict for a network without DHCP.
        """

    @abstractmethod
    def release(self, external_id: str, mac: str) -> NetworkRecord:
        """Keep no address for this card any more; raises NotFound when none was kept."""
