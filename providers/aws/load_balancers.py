"""Load balancers at AWS: a network load balancer with a target group and a listener for each port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from providers.aws import inventory, placement, tags
from providers.aws.cloud import Part
from providers.base import (
    QUIET,
    AlreadyExists,
    InvalidRequest,
    LoadBalancerRecord,
    LoadBalancers,
    LoadBalancerSpec,
    NotFound,
    Progress,
    ProviderError,
)

ELB = "elbv2"
#: AWS takes no longer name.
MOST_NAME = 32
NAME = "kvweb:name"
#: How many a question about tags may name.
MOST_ARNS = 20


class AwsLoadBalancers(Part, LoadBalancers):
    def list(self) -> Sequence[LoadBalancerRecord]:
        """Pages of balancers, groups and tags, and one question for each group about its targets."""
        told = self.cloud.pages(ELB, "describe_load_balancers", "LoadBalancers")
        if not told:
            return []
        names = self._names([one["LoadBalancerArn"] for one in told])
        groups = self.cloud.pages(ELB, "describe_target_groups", "TargetGroups")
        return [self._record(one, names, groups) for one in told]

    def create(self, spec: LoadBalancerSpec, progress: Progress = QUIET) -> LoadBalancerRecord:
        if not spec.ports or not all(1 <= port <= 65535 for port in spec.ports):
            raise InvalidRequest("A load balancer needs ports between 1 and 65535.", field="ports")
        protocol = spec.protocol.upper()
        if protocol not in ("TCP", "UDP", "TCP_UDP"):
            raise InvalidRequest("This portal makes load balancers for TCP and UDP at AWS.", field="protocol")
        if any(one.name == spec.name for one in self.list()):
            raise AlreadyExists(f"There is a load balancer “{spec.name}” already.", field="name")
        told = [inventory.instance(self.cloud, target) for target in spec.targets]
        networks = {str(one.get("VpcId")) for one in told}
        if len(networks) > 1:
            raise InvalidRequest("All targets of a load balancer are in one network.", field="targets")
        network = next(iter(networks), "") or placement.default_network(self.cloud)
        progress.report(10, "Making the load balancer.")
        made = self.cloud.call(
            ELB,
            "create_load_balancer",
            Name=_short(spec.name),
            Type="network",
            Scheme="internal" if spec.internal else "internet-facing",
            Subnets=self._subnets(network),
            Tags=tags.written({NAME: spec.name}),
        )["LoadBalancers"][0]
        try:
            for number, port in enumerate(dict.fromkeys(spec.ports)):
                progress.report(20 + 70 * number // len(spec.ports), f"Opening port {port}.")
                self._listen(spec, made["LoadBalancerArn"], network, protocol, port)
                progress.checkpoint()
        except BaseException:
            with suppress(ProviderError):
                self.delete(made["LoadBalancerArn"])
            raise
        progress.report(100, "The load balancer is there.")
        return self._read(made["LoadBalancerArn"])

    def _listen(self, spec: LoadBalancerSpec, balancer: str, network: str, protocol: str, port: int) -> None:
        group = self.cloud.call(
            ELB,
            "create_target_group",
            Name=_short(f"{spec.name}-{port}", str(port)),
            Protocol=protocol,
            Port=port,
            VpcId=network,
            TargetType="instance",
            HealthCheckProtocol="TCP",
            HealthCheckPort="traffic-port",
            Tags=tags.written({NAME: spec.name}),
        )["TargetGroups"][0]["TargetGroupArn"]
        try:
            if spec.targets:
                wanted = [{"Id": target, "Port": port} for target in spec.targets]
                self.cloud.call(ELB, "register_targets", TargetGroupArn=group, Targets=wanted)
            self.cloud.call(
                ELB,
                "create_listener",
                LoadBalancerArn=balancer,
                Protocol=protocol,
                Port=port,
                DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
            )
        except BaseException:
            with suppress(ProviderError):
                self.cloud.call(ELB, "delete_target_group", TargetGroupArn=group)
            raise

    def delete(self, external_id: str) -> None:
        """With its listeners, and with the target groups that only it uses."""
        self._read(external_id)
        groups = self.cloud.pages(ELB, "describe_target_groups", "TargetGroups", LoadBalancerArn=external_id)
        listeners = self.cloud.pages(ELB, "describe_listeners", "Listeners", LoadBalancerArn=external_id)
        for one in listeners:
            self.cloud.call(ELB, "delete_listener", ListenerArn=one["ListenerArn"])
        self.cloud.call(ELB, "delete_load_balancer", LoadBalancerArn=external_id)
        for one in groups:
            if [*one.get("LoadBalancerArns", [])] in ([], [external_id]):
                self.cloud.call(ELB, "delete_target_group", TargetGroupArn=one["TargetGroupArn"])

    # -- parts ---------------------------------------------------------------------------------------------------------

    def _subnets(self, network: str) -> Sequence[str]:
        """One for each zone that has one."""
        by_zone = {one["AvailabilityZone"]: one["SubnetId"] for one in placement.subnets_in(self.cloud, network)}
        if not by_zone:
            raise InvalidRequest("The network has no subnet.", field="targets")
        return [subnet for _, subnet in sorted(by_zone.items())]

    def _names(self, arns: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for first in range(0, len(arns), MOST_ARNS):
            asked = self.cloud.call(ELB, "describe_tags", ResourceArns=arns[first : first + MOST_ARNS])
            for one in asked.get("TagDescriptions") or ():
                found[one["ResourceArn"]] = tags.read(one).get(NAME, "")
        return found

    def _record(
        self, told: Mapping[str, Any], names: Mapping[str, str], groups: Sequence[Mapping[str, Any]]
    ) -> LoadBalancerRecord:
        arn = told["LoadBalancerArn"]
        own = [one for one in groups if arn in (one.get("LoadBalancerArns") or ())]
        targets: dict[str, None] = {}
        for one in own:
            health = self.cloud.call(ELB, "describe_target_health", TargetGroupArn=one["TargetGroupArn"])
            targets |= {each["Target"]["Id"]: None for each in health.get("TargetHealthDescriptions") or ()}
        return LoadBalancerRecord(
            external_id=arn,
            name=names.get(arn) or told["LoadBalancerName"],
            address=str(told.get("DNSName") or ""),
            protocol=str(own[0].get("Protocol") or "tcp").lower() if own else "tcp",
            ports=tuple(sorted(int(one["Port"]) for one in own if one.get("Port"))),
            targets=tuple(targets),
        )

    def _read(self, external_id: str) -> LoadBalancerRecord:
        if external_id.startswith("arn:"):
            told = self.cloud.call(ELB, "describe_load_balancers", LoadBalancerArns=[external_id])
            for one in told.get("LoadBalancers") or ():
                groups = self.cloud.pages(ELB, "describe_target_groups", "TargetGroups", LoadBalancerArn=external_id)
                return self._record(one, self._names([external_id]), groups)
        raise NotFound("The load balancer does not exist any more.")


def _short(name: str, end: str = "") -> str:
    """A name that AWS takes for a balancer or group: letters, digits, hyphens, at most 32; the whole one is a tag."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name).strip("-")
    if len(plain) > MOST_NAME:
        tail = f"-{end}" if end else ""
        plain = plain[: MOST_NAME - len(tail)].rstrip("-") + tail
    return plain.removeprefix("internal-")
