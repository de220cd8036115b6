"""Security groups: heading 1.9 of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.base import FirewallRule, FirewallSpec
from providers.kcontract.core import Core, Result, called, changes, refuse_extras, spec_of, whole_number

ANYWHERE = "0.0.0.0/0"


class SecurityGroups(Core):
    """Named sets of open ports."""

    def list_security_groups(self, network: str | None = None) -> list[str]:
        """Names, sorted; of one network when it is given."""
        if self.driver.firewalls is None:
            return []
        wanted = self.network_id(network) if network else ""
        return sorted(group.name for group in self.driver.firewalls.list(wanted))

    @changes
    def create_security_group(self, name: str, overrides: Mapping[str, Any] | None = None) -> Result | None:
        """`overrides`: `ports` (22 or {"from", "to", "protocol"}), `rules`, `cidr`, `protocol`, `network`."""
        firewalls, wishes = self.facet(self.driver.firewalls, "security groups"), dict(overrides or {})
        network = wishes.get("network")
        firewalls.create(
            spec_of(
                FirewallSpec,
                name=name,
                network=self.network_id(str(network)) if network else "",
                rules=rules_of(wishes),
            )
        )
        return None

    @changes
    def update_security_group(self, name: str, overrides: Mapping[str, Any] | None = None) -> Result | None:
        """The rules given become all that it has: `rules` ({"cidr", "ports"}), or flat `ports`, `cidr`, `protocol`."""
        firewalls, wishes = self.facet(self.driver.firewalls, "security groups"), dict(overrides or {})
        old = called(firewalls.list(), name, "security group")
        rules = rules_of(wishes) if {"rules", "ports"} & wishes.keys() else old.rules
        network = wishes.get("network")
        network_id = self.network_id(str(network)) if network else old.network
        firewalls.update(old.external_id, spec_of(FirewallSpec, name=old.name, network=network_id, rules=rules))
        return None

    @changes
    def delete_security_group(self, name: str) -> Result | None:
        firewalls = self.facet(self.driver.firewalls, "security groups")
        firewalls.delete(called(firewalls.list(), name, "security group").external_id)
        return None


def rules_of(wishes: Mapping[str, Any]) -> tuple[FirewallRule, ...]:
    """All rules of the loose forms; raises NotSupported for keys that mean nothing here."""
    refuse_extras("security group", wishes, {"ports", "rules", "cidr", "protocol", "network"})
    found = [_rule(port, wishes) for port in wishes.get("ports") or ()]
    for rule in wishes.get("rules") or ():
        refuse_extras("rules", rule, {"ports", "cidr", "protocol"})
        found += [_rule(port, rule) for port in rule.get("ports") or ()]
    return tuple(found)


def _rule(port: Any, around: Mapping[str, Any]) -> FirewallRule:
    own = port if isinstance(port, Mapping) else {"from": port}
    first = whole_number(own.get("from"), "A port")
    return FirewallRule(
        protocol=str(own.get("protocol") or around.get("protocol") or "tcp"),
        from_port=first,
        to_port=whole_number(own.get("to", first), "A port"),
        cidr=str(around.get("cidr") or ANYWHERE),
    )
