"""Security groups: what may come in. What goes out is left as AWS makes it: everything."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from providers.aws import placement, tags
from providers.aws.cloud import Part
from providers.aws.networks import name_is_free
from providers.base import (
    Conflict,
    FirewallRecord,
    FirewallRule,
    Firewalls,
    FirewallSpec,
    InvalidRequest,
    NotFound,
    ProviderError,
)

PROTOCOLS = frozenset({"tcp", "udp", "icmp"})
ANY = "-1"


def record(told: Mapping[str, Any]) -> FirewallRecord:
    rules = [rule for one in told.get("IpPermissions") or () for rule in _rules(one)]
    return FirewallRecord(
        external_id=told["GroupId"], name=told["GroupName"], network=str(told.get("VpcId") or ""), rules=tuple(rules)
    )


def _rules(told: Mapping[str, Any]) -> list[FirewallRule]:
    """One for each range of addresses; "icmp" has no ports here, and "all" has all of them."""
    protocol = "all" if told.get("IpProtocol") == ANY else str(told.get("IpProtocol"))
    low, high = int(told.get("FromPort", 0) or 0), int(told.get("ToPort", 65535) or 0)
    if protocol == "icmp":
        low = high = 0
    ranges = [one["CidrIp"] for one in told.get("IpRanges") or ()]
    ranges += [one["CidrIpv6"] for one in told.get("Ipv6Ranges") or ()]
    return [FirewallRule(protocol=protocol, from_port=max(low, 0), to_port=max(high, 0), cidr=cidr) for cidr in ranges]


def permission(rule: FirewallRule) -> dict[str, Any]:
    """A rule as AWS writes it; raises InvalidRequest."""
    if rule.protocol not in PROTOCOLS:
        raise InvalidRequest(f"There is no protocol “{rule.protocol}”.", field="rules")
    if not 0 <= rule.from_port <= rule.to_port <= 65535:
        raise InvalidRequest(f"{rule.from_port}–{rule.to_port} is not a range of ports.", field="rules")
    try:
        version = ipaddress.ip_network(rule.cidr).version
    except ValueError:
        raise InvalidRequest(f"“{rule.cidr}” is not a range of addresses.", field="rules") from None
    ports = (-1, -1) if rule.protocol == "icmp" else (rule.from_port, rule.to_port)
    addresses = {"IpRanges": [{"CidrIp": rule.cidr}]} if version == 4 else {"Ipv6Ranges": [{"CidrIpv6": rule.cidr}]}
    return {"IpProtocol": rule.protocol, "FromPort": ports[0], "ToPort": ports[1], **addresses}


class AwsFirewalls(Part, Firewalls):
    def list(self, network: str = "") -> Sequence[FirewallRecord]:
        wanted = tags.filters(vpc_id=network) if network else []
        found = self.cloud.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=wanted)
        return [record(one) for one in found]

    def create(self, spec: FirewallSpec) -> FirewallRecord:
        network = spec.network or placement.default_network(self.cloud)
        rules = [permission(rule) for rule in spec.rules]
        name_is_free(self.list(network), spec.name, "security group")
        if not spec.name.isascii():
            raise InvalidRequest("AWS takes plain letters in the name of a security group.", field="name")
        made = self.cloud.ec2(
            "create_security_group",
            GroupName=spec.name,
            Description="Made by kvweb",
            VpcId=network,
            TagSpecifications=tags.on("security-group", {tags.NAME: spec.name}),
        )
        try:
            if rules:
                self.cloud.ec2("authorize_security_group_ingress", GroupId=made["GroupId"], IpPermissions=rules)
        except BaseException:
            with suppress(ProviderError):
                self.cloud.ec2("delete_security_group", GroupId=made["GroupId"])
            raise
        return record(self._read(made["GroupId"]))

    def update(self, external_id: str, spec: FirewallSpec) -> FirewallRecord:
        """New rules are let in before old ones are taken away, so that nothing is cut off in between. Rules that name
        other groups stay."""
        told = self._read(external_id)
        if spec.name != told["GroupName"] or spec.network not in ("", told.get("VpcId")):
            raise InvalidRequest("A security group at AWS keeps its name and network.", field="name")
        wanted, present = set(spec.rules), set(record(told).rules)
        for rule in wanted:
            permission(rule)
        new = [permission(rule) for rule in spec.rules if rule not in present]
        old = [_as_written(rule) for rule in present - wanted]
        if new:
            self.cloud.ec2("authorize_security_group_ingress", GroupId=external_id, IpPermissions=new)
        if old:
            self.cloud.ec2("revoke_security_group_ingress", GroupId=external_id, IpPermissions=old)
        return record(self._read(external_id))

    def delete(self, external_id: str) -> None:
        self._read(external_id)
        try:
            self.cloud.ec2("delete_security_group", GroupId=external_id)
        except Conflict as exc:
            raise Conflict("VMs are protected by it, or another group names it.", exc.detail) from exc

    def _read(self, external_id: str) -> Mapping[str, Any]:
        if external_id.startswith("sg-"):
            told = self.cloud.ec2("describe_security_groups", GroupIds=[external_id]).get("SecurityGroups") or ()
            for one in told:
                found: Mapping[str, Any] = one
                return found
        raise NotFound("The security group does not exist any more.")


def _as_written(rule: FirewallRule) -> dict[str, Any]:
    """A present rule, also of a protocol that is not offered for new ones."""
    if rule.protocol in PROTOCOLS:
        return permission(rule)
    key, word = ("Ipv6Ranges", "CidrIpv6") if ":" in rule.cidr else ("IpRanges", "CidrIp")
    if rule.protocol == "all":
        return {"IpProtocol": ANY, key: [{word: rule.cidr}]}
    ports = {"FromPort": rule.from_port, "ToPort": rule.to_port}
    return {"IpProtocol": rule.protocol, **ports, key: [{word: rule.cidr}]}
