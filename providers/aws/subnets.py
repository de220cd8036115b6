"""Subnets of a network, each in one zone."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from providers.aws import placement, tags
from providers.aws.cloud import Part
from providers.aws.networks import name_is_free, range_of
from providers.base import AlreadyExists, Conflict, InvalidRequest, NotFound, SubnetRecord, Subnets, SubnetSpec


def record(told: Mapping[str, Any]) -> SubnetRecord:
    return SubnetRecord(
        external_id=told["SubnetId"],
        name=tags.read(told).get(tags.NAME) or told["SubnetId"],
        network=told["VpcId"],
        cidr=told["CidrBlock"],
        zone=told["AvailabilityZone"],
        is_private=not told.get("MapPublicIpOnLaunch"),
    )


class AwsSubnets(Part, Subnets):
    def list(self) -> Sequence[SubnetRecord]:
        return [record(one) for one in self.cloud.pages("ec2", "describe_subnets", "Subnets")]

    def create(self, spec: SubnetSpec) -> SubnetRecord:
        """VMs in it get a public address unless it is private."""
        if spec.zone and spec.zone not in placement.zones(self.cloud):
            raise InvalidRequest(f"There is no zone “{spec.zone}”.", field="zone")
        wanted = range_of(spec.cidr)
        outer = ipaddress.ip_network(placement.network(self.cloud, spec.network)["CidrBlock"])
        siblings = self.list()
        name_is_free(siblings, spec.name, "subnet")
        if not isinstance(outer, ipaddress.IPv4Network) or not wanted.subnet_of(outer):
            raise InvalidRequest(f"{spec.cidr} is not inside the network's range ({outer}).", field="cidr")
        for one in siblings:
            if one.network == spec.network and ipaddress.ip_network(one.cidr).overlaps(wanted):
                raise AlreadyExists(f"The subnet “{one.name}” has this range.", field="cidr")
        made = self.cloud.ec2(
            "create_subnet",
            VpcId=spec.network,
            CidrBlock=str(wanted),
            TagSpecifications=tags.on("subnet", {tags.NAME: spec.name}),
            **({"AvailabilityZone": spec.zone} if spec.zone else {}),
        )["Subnet"]
        self._set_public(made["SubnetId"], not spec.private)
        return self._read(made["SubnetId"])

    def update(self, external_id: str, spec: SubnetSpec) -> SubnetRecord:
        """Its name, and whether VMs get public addresses; range and zone stay."""
        present = self._read(external_id)
        if (spec.cidr, spec.network) != (present.cidr, present.network) or spec.zone not in ("", present.zone):
            raise InvalidRequest("A subnet at AWS keeps its range, network and zone.", field="cidr")
        name_is_free([one for one in self.list() if one.external_id != external_id], spec.name, "subnet")
        self.cloud.ec2("create_tags", Resources=[external_id], Tags=tags.written({tags.NAME: spec.name}))
        self._set_public(external_id, not spec.private)
        return self._read(external_id)

    def delete(self, external_id: str, *, force: bool = False) -> None:
        """Never under a card, forced or not: AWS refuses that."""
        self._read(external_id)
        cards = self.cloud.ec2("describe_network_interfaces", Filters=tags.filters(subnet_id=external_id))
        if cards.get("NetworkInterfaces"):
            raise Conflict("VMs have addresses in this subnet.")
        self.cloud.ec2("delete_subnet", SubnetId=external_id)

    def _set_public(self, external_id: str, public: bool) -> None:
        self.cloud.ec2("modify_subnet_attribute", SubnetId=external_id, MapPublicIpOnLaunch={"Value": public})

    def _read(self, external_id: str) -> SubnetRecord:
        if external_id.startswith("subnet-"):
            for one in self.cloud.ec2("describe_subnets", SubnetIds=[external_id]).get("Subnets") or ():
                return record(one)
        raise NotFound("The subnet does not exist any more.")
