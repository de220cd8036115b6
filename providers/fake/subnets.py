"""Subnets of a simulated cloud: parts of a network's range."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from providers.base import AlreadyExists, Conflict, EventTopic, InvalidRequest, SubnetRecord, Subnets, SubnetSpec
from providers.fake.addresses import checked_range, refuse_overlap
from providers.fake.cloud import Part
from providers.fake.records import subnet_record
from providers.fake.state import Network, Subnet
from providers.fake.store import Transaction


def check_place(tx: Transaction, spec: SubnetSpec, except_for: str = "") -> None:
    """The range must be inside that of its network and touch no sibling."""
    network = tx.get(Network, spec.network)
    wanted = checked_range(spec.cidr)
    outer = ip_network(network.cidr) if network.cidr else None
    if outer is None or not _is_inside(wanted, outer):
        raise InvalidRequest(f"{spec.cidr} is not inside the range of “{network.name}” ({network.cidr}).", field="cidr")
    siblings = [each for each in tx.all(Subnet) if each.network == network.id and each.id != except_for]
    refuse_overlap(spec.cidr, siblings)


def _is_inside(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


class FakeSubnets(Part, Subnets):
    def list(self) -> Sequence[SubnetRecord]:
        with self.cloud.reading("subnets.list") as tx:
            return [subnet_record(subnet) for subnet in tx.all(Subnet)]

    def create(self, spec: SubnetSpec) -> SubnetRecord:
        with self.cloud.writing("subnets.create") as tx:
            if tx.named(Subnet, spec.name) is not None:
                raise AlreadyExists(f"There is a subnet “{spec.name}” already.", field="name")
            check_place(tx, spec)
            subnet = Subnet(id=f"subnet-{tx.next_number('subnet')}", **spec.model_dump())
            return self._stored(tx, subnet)

    def update(self, external_id: str, spec: SubnetSpec) -> SubnetRecord:
        with self.cloud.writing("subnets.update") as tx:
            known = tx.get(Subnet, external_id)
            other = tx.named(Subnet, spec.name)
            if other is not None and other.id != known.id:
                raise AlreadyExists(f"There is a subnet “{spec.name}” already.", field="name")
            check_place(tx, spec, except_for=known.id)
            return self._stored(tx, Subnet(id=known.id, **spec.model_dump()))

    def delete(self, external_id: str, *, force: bool = False) -> None:
        """Raises Conflict while a lease lies inside it, unless forced."""
        with self.cloud.writing("subnets.delete") as tx:
            subnet = tx.get(Subnet, external_id)
            network = tx.get(Network, subnet.network)
            inside = ip_network(subnet.cidr)
            if not force and any(ip_network(address).overlaps(inside) for address in network.leases.values()):
                raise Conflict(f"VMs have addresses in “{subnet.name}”.")
            tx.drop(subnet)
            tx.note(EventTopic.NETWORK, subnet.network, "subnet deleted")

    @staticmethod
    def _stored(tx: Transaction, subnet: Subnet) -> SubnetRecord:
        tx.put(subnet)
        tx.note(EventTopic.NETWORK, subnet.network, "subnet")
        return subnet_record(subnet)
