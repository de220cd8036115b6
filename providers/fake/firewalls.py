"""Security groups of a simulated cloud; a VM names its own in its options."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import (
    AlreadyExists,
    Conflict,
    FirewallRecord,
    FirewallRule,
    Firewalls,
    FirewallSpec,
    InvalidRequest,
)
from providers.fake.addresses import checked_range
from providers.fake.cloud import Part
from providers.fake.records import firewall_record
from providers.fake.state import Firewall, Network, Vm
from providers.fake.store import Transaction

PROTOCOLS = frozenset({"tcp", "udp", "icmp"})


def check_rule(rule: FirewallRule) -> None:
    if rule.protocol not in PROTOCOLS:
        raise InvalidRequest(f"There is no protocol “{rule.protocol}”.", field="rules")
    if not 0 <= rule.from_port <= rule.to_port <= 65535:
        raise InvalidRequest(f"{rule.from_port}–{rule.to_port} is not a range of ports.", field="rules")
    checked_range(rule.cidr, "rules")


def check_spec(tx: Transaction, spec: FirewallSpec) -> None:
    if spec.network:
        tx.get(Network, spec.network)
    for rule in spec.rules:
        check_rule(rule)


class FakeFirewalls(Part, Firewalls):
    def list(self, network: str = "") -> Sequence[FirewallRecord]:
        """All, or those of one network."""
        with self.cloud.reading("firewalls.list") as tx:
            return [firewall_record(each) for each in tx.all(Firewall) if network in ("", each.network)]

    def create(self, spec: FirewallSpec) -> FirewallRecord:
        with self.cloud.writing("firewalls.create") as tx:
            if tx.named(Firewall, spec.name) is not None:
                raise AlreadyExists(f"There is a security group “{spec.name}” already.", field="name")
            check_spec(tx, spec)
            number = tx.next_number("firewall")
            firewall = Firewall(id=f"fw-{number}", name=spec.name, network=spec.network, rules=list(spec.rules))
            tx.put(firewall)
            return firewall_record(firewall)

    def update(self, external_id: str, spec: FirewallSpec) -> FirewallRecord:
        with self.cloud.writing("firewalls.update") as tx:
            firewall = tx.get(Firewall, external_id)
            other = tx.named(Firewall, spec.name)
            if other is not None and other.id != firewall.id:
                raise AlreadyExists(f"There is a security group “{spec.name}” already.", field="name")
            check_spec(tx, spec)
            firewall.name, firewall.network, firewall.rules = spec.name, spec.network, list(spec.rules)
            tx.put(firewall)
            return firewall_record(firewall)

    def delete(self, external_id: str) -> None:
        """Raises Conflict while a VM is protected by it."""
        with self.cloud.writing("firewalls.delete") as tx:
            firewall = tx.get(Firewall, external_id)
            for vm in tx.all(Vm):
                if firewall.id in vm.firewalls:
                    raise Conflict(f"The VM “{vm.name}” is protected by it.")
            tx.drop(firewall)
