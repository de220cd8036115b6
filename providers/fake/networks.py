"""Networks of a simulated cloud: ranges are checked, overlaps refused, an empty range is chosen."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import (
    AlreadyExists,
    Conflict,
    EventTopic,
    InvalidRequest,
    NetworkMode,
    NetworkRecord,
    Networks,
    NetworkSpec,
)
from providers.fake.addresses import checked_range, refuse_overlap
from providers.fake.cloud import Part
from providers.fake.records import network_record
from providers.fake.state import Network, Subnet, Vm
from providers.fake.store import Transaction


def users(tx: Transaction, network: Network) -> list[Vm]:
    return [vm for vm in tx.all(Vm) if any(nic.network == network.id for nic in vm.nics)]


def chosen_range(tx: Transaction, spec: NetworkSpec) -> str:
    """The wanted range if it is free, the first free one where none is wanted; bridges need none."""
    others = [other for other in tx.all(Network) if other.name != spec.name]
    if spec.cidr:
        if checked_range(spec.cidr).num_addresses < 4:
            raise InvalidRequest(f"The range {spec.cidr} is too small.", field="cidr")
        refuse_overlap(spec.cidr, others)
        return spec.cidr
    if spec.mode is NetworkMode.BRIDGE:
        return ""
    for third in range(256):
        try:
            refuse_overlap(cidr := f"10.77.{third}.0/24", others)
        except AlreadyExists:
            continue
        return cidr
    raise InvalidRequest("No range was given, and none is free.", field="cidr")


class FakeNetworks(Part, Networks):
    def list(self) -> Sequence[NetworkRecord]:
        with self.cloud.reading("networks.list") as tx:
            return [network_record(network) for network in tx.all(Network)]

    def get(self, external_id: str) -> NetworkRecord:
        with self.cloud.reading("networks.get") as tx:
            return network_record(tx.get(Network, external_id))

    def create(self, spec: NetworkSpec) -> NetworkRecord:
        with self.cloud.writing("networks.create") as tx:
            if tx.named(Network, spec.name) is not None:
                raise AlreadyExists(f"There is a network “{spec.name}” already.", field="name")
            cidr = chosen_range(tx, spec)
            number = tx.next_number("network")
            network = Network(
                id=f"net-{number}",
                name=spec.name,
                mode=spec.mode,
                cidr=cidr,
                dhcp=spec.dhcp and bool(cidr),
                domain=spec.domain,
                bridge=spec.bridge or f"fakebr{number}",
                autostart=spec.autostart,
                plan=spec.plan,
            )
            tx.put(network)
            tx.note(EventTopic.NETWORK, network.id, "created")
            return network_record(network)

    def update(self, external_id: str, spec: NetworkSpec) -> NetworkRecord:
        """The spec replaces the network; a range or mode in use stays."""
        with self.cloud.writing("networks.update") as tx:
            network = tx.get(Network, external_id)
            other = tx.named(Network, spec.name)
            if other is not None and other.id != network.id:
                raise AlreadyExists(f"There is a network “{spec.name}” already.", field="name")
            cidr = network.cidr if spec.cidr in ("", network.cidr) else chosen_range(tx, spec)
            if (cidr, spec.mode) != (network.cidr, network.mode) and users(tx, network):
                raise Conflict("VMs are plugged in; its range and mode cannot change.")
            network.name, network.mode, network.cidr = spec.name, spec.mode, cidr
            network.dhcp, network.domain = spec.dhcp and bool(cidr), spec.domain
            network.autostart, network.plan = spec.autostart, spec.plan
            network.bridge = spec.bridge or network.bridge
            tx.put(network)
            tx.note(EventTopic.NETWORK, network.id, "changed")
            return network_record(network)

    def delete(self, external_id: str, *, force: bool = False) -> None:
        """With `force` the cards of its VMs are pulled out first."""
        with self.cloud.writing("networks.delete") as tx:
            network = tx.get(Network, external_id)
            plugged = users(tx, network)
            if plugged and not force:
                raise Conflict(f"“{plugged[0].name}” is plugged into this network.")
            for vm in plugged:
                vm.nics = [nic for nic in vm.nics if nic.network != network.id]
                tx.put(vm)
                tx.note(EventTopic.VM, vm.id, "card removed")
            for subnet in tx.all(Subnet):
                if subnet.network == network.id:
                    tx.drop(subnet)
            tx.drop(network)
            tx.note(EventTopic.NETWORK, network.id, "deleted", gone=True)
