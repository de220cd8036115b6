"""Firewalls of the project: what may come in. Rules for what goes out are left as they are."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import AlreadyExists, FirewallRecord, FirewallRule, Firewalls, FirewallSpec
from providers.hcloud.api import Json
from providers.hcloud.part import Part


class HcloudFirewalls(Part, Firewalls):
    def list(self, network: str = "") -> Sequence[FirewallRecord]:
        """They stand before servers and not in networks: asked for a network's, there are none."""
        return [] if network else [firewall_record(row) for row in self.api.pages("firewalls")]

    def create(self, spec: FirewallSpec) -> FirewallRecord:
        body = {"name": spec.name, "rules": [rule_body(rule) for rule in spec.rules]}
        try:
            answer = self.api.post("/firewalls", body)
        except AlreadyExists as exc:
            raise AlreadyExists(f"There is a firewall called “{spec.name}” already.", exc.detail) from exc
        self.api.settle(*answer["actions"])
        return firewall_record(answer["firewall"])

    def update(self, external_id: str, spec: FirewallSpec) -> FirewallRecord:
        row = self.api.one("firewalls", external_id)
        outgoing = [
            {name: told for name, told in rule.items() if told is not None}
            for rule in row["rules"]
            if rule["direction"] == "out"
        ]
        rules = [rule_body(rule) for rule in spec.rules] + outgoing
        self.api.settle(*self.api.post(f"/firewalls/{external_id}/actions/set_rules", {"rules": rules})["actions"])
        if spec.name != row["name"]:
            self.api.put(f"/firewalls/{external_id}", {"name": spec.name})
        return firewall_record(self.api.one("firewalls", external_id))

    def delete(self, external_id: str) -> None:
        self.api.delete(f"/firewalls/{self.api.one('firewalls', external_id)['id']}")


def rule_body(rule: FirewallRule) -> Json:
    body: Json = {"direction": "in", "protocol": rule.protocol, "source_ips": [rule.cidr]}
    if rule.protocol in {"tcp", "udp"}:
        last = rule.to_port or rule.from_port
        body["port"] = str(rule.from_port) if last == rule.from_port else f"{rule.from_port}-{last}"
    return body


def firewall_record(row: Json) -> FirewallRecord:
    rules = [
        FirewallRule(protocol=rule["protocol"], from_port=first, to_port=last, cidr=cidr)
        for rule in row["rules"]
        if rule["direction"] == "in"
        for first, last in (ports(rule["port"]),)
        for cidr in rule["source_ips"]
    ]
    return FirewallRecord(external_id=str(row["id"]), name=row["name"], rules=tuple(rules))


def ports(text: str | None) -> tuple[int, int]:
    """ "80", "80-90", "any" or None for protocols without ports."""
    if text == "any":
        return 1, 65535
    first, _, last = (text or "0").partition("-")
    return int(first), int(last or first)
