"""Security groups: what they let in. What they let out, and rules that name other groups, stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from providers.base import (
    AlreadyExists,
    FirewallRecord,
    FirewallRule,
    Firewalls,
    FirewallSpec,
    InvalidRequest,
    NotFound,
)
from providers.openstack.errors import vendor_calls
from providers.openstack.part import Part
from providers.openstack.service import Json


class OpenStackFirewalls(Part, Firewalls):
    def list(self, network: str = "") -> Sequence[FirewallRecord]:
        """Groups belong to the project, not to a network."""
        del network
        with vendor_calls():
            return [_record(group) for group in self._groups()]

    def create(self, spec: FirewallSpec) -> FirewallRecord:
        with vendor_calls():
            if any(group["name"] == spec.name for group in self._groups()):
                raise AlreadyExists(f"There is a security group “{spec.name}” already.", field="name")
            group = self.cloud.network.post("/security-groups", {"security_group": {"name": spec.name}})
            group_id = str(group["security_group"]["id"])
            try:
                for rule in spec.rules:
                    self._add(group_id, rule)
                return _record(self._group(group_id))
            except BaseException:
                with suppress(Exception):
                    self.cloud.network.delete(f"/security-groups/{group_id}")
                raise

    def update(self, external_id: str, spec: FirewallSpec) -> FirewallRecord:
        """What is new is let in before what is old is shut out."""
        with vendor_calls():
            group = self._group(external_id)
            if spec.name != group["name"]:
                if any(each["name"] == spec.name for each in self._groups()):
                    raise AlreadyExists(f"There is a security group “{spec.name}” already.", field="name")
                self.cloud.network.put(f"/security-groups/{external_id}", {"security_group": {"name": spec.name}})
            known = {_rule(each): each["id"] for each in group["security_group_rules"] if _is_ours(each)}
            for rule in spec.rules:
                if rule not in known:
                    self._add(external_id, rule)
            for rule, rule_id in known.items():
                if rule not in spec.rules:
                    self.cloud.network.delete(f"/security-group-rules/{rule_id}")
            return _record(self._group(external_id))

    def delete(self, external_id: str) -> None:
        with vendor_calls():
            self._group(external_id)
            self.cloud.network.delete(f"/security-groups/{external_id}")

    def _groups(self) -> Sequence[Json]:
        project = self.cloud.project_id
        return self.cloud.network.all("/security-groups", "security_groups", project_id=project)

    def _group(self, external_id: str) -> Json:
        try:
            found: Json = self.cloud.network.get(f"/security-groups/{external_id}")["security_group"]
        except Exception as exc:
            if getattr(exc, "status_code", 0) in (400, 404):
                raise NotFound("The security group does not exist any more.", str(exc)) from exc
            raise
        return found

    def _add(self, group_id: str, rule: FirewallRule) -> None:
        wish: Json = {
            "security_group_id": group_id,
            "direction": "ingress",
            "ethertype": "IPv6" if ":" in rule.cidr else "IPv4",
            "remote_ip_prefix": rule.cidr,
        }
        if rule.protocol and rule.protocol != "any":
            wish["protocol"] = rule.protocol
        if rule.protocol in ("tcp", "udp", "sctp") and (rule.from_port or rule.to_port):
            wish |= {"port_range_min": rule.from_port, "port_range_max": rule.to_port or rule.from_port}
        elif rule.from_port or rule.to_port:
            raise InvalidRequest(f"“{rule.protocol}” has no ports.", field="rules")
        self.cloud.network.post("/security-group-rules", {"security_group_rule": wish})


def _is_ours(rule: Json) -> bool:
    return rule.get("direction") == "ingress" and not rule.get("remote_group_id")


def _rule(rule: Json) -> FirewallRule:
    anywhere = "::/0" if rule.get("ethertype") == "IPv6" else "0.0.0.0/0"
    return FirewallRule(
        protocol=rule.get("protocol") or "any",
        from_port=int(rule.get("port_range_min") or 0),
        to_port=int(rule.get("port_range_max") or 0),
        cidr=rule.get("remote_ip_prefix") or anywhere,
    )


def _record(group: Json) -> FirewallRecord:
    rules = tuple(_rule(each) for each in group.get("security_group_rules", ()) if _is_ours(each))
    return FirewallRecord(external_id=group["id"], name=group["name"], rules=rules)
