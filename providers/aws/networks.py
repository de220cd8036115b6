"""Networks at AWS: a VPC with a way to the internet, and its subnets."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from providers.aws import inventory, placement, tags
from providers.aws.cloud import Part
from providers.base import (
    AlreadyExists,
    Conflict,
    InvalidRequest,
    LeaseRecord,
    NetworkMode,
    NetworkRecord,
    Networks,
    NetworkSpec,
    NotSupported,
    ProviderError,
    StaticLease,
)

#: What a network gets that nobody chose a range for.
USUAL_RANGE = "10.0.0.0/16"
#: AWS takes no larger and no smaller one.
LARGEST, SMALLEST = 16, 28


def range_of(text: str, field: str = "cidr") -> ipaddress.IPv4Network:
    """A range as AWS takes it; raises InvalidRequest."""
    try:
        found = ipaddress.ip_network(text)
        if "/" not in text:
            raise ValueError("no prefix")
    except ValueError as exc:
        raise InvalidRequest(f"“{text}” is not a range like 10.0.0.0/16.", str(exc), field=field) from None
    if not isinstance(found, ipaddress.IPv4Network):
        raise InvalidRequest("AWS begins with a range of IPv4.", field=field)
    if not LARGEST <= found.prefixlen <= SMALLEST:
        raise InvalidRequest(f"AWS takes ranges from /{LARGEST} to /{SMALLEST}.", field=field)
    return found


def record(told: Mapping[str, Any], used_by: Sequence[str] = ()) -> NetworkRecord:
    own = tags.read(told)
    more = [one["CidrBlock"] for one in told.get("CidrBlockAssociationSet") or () if one.get("CidrBlock")]
    six = [one["Ipv6CidrBlock"] for one in told.get("Ipv6CidrBlockAssociationSet") or () if one.get("Ipv6CidrBlock")]
    name = own.get(tags.NAME) or ("default" if told.get("IsDefault") else told["VpcId"])
    return NetworkRecord(
        external_id=told["VpcId"],
        name=name,
        mode=NetworkMode.PROVIDER,
        type="vpc",
        cidrs=tuple(dict.fromkeys([told["CidrBlock"], *more, *six])),
        dhcp=True,
        is_active=told.get("State", "available") == "available",
        plan=own.get("plan", ""),
        used_by=tuple(used_by),
    )


class AwsNetworks(Part, Networks):
    def list(self) -> Sequence[NetworkRecord]:
        return [record(one) for one in self.cloud.pages("ec2", "describe_vpcs", "Vpcs")]

    def get(self, external_id: str) -> NetworkRecord:
        return record(placement.network(self.cloud, external_id), self._users(external_id))

    def create(self, spec: NetworkSpec) -> NetworkRecord:
        """A VPC with an internet gateway; subnets are made when they are needed, or by hand."""
        if spec.mode is not NetworkMode.PROVIDER:
            raise InvalidRequest("AWS has networks of its own sort only.", field="mode")
        if spec.ipv6_cidr or spec.vlan is not None or spec.mtu or spec.bridge or spec.forward_device:
            raise InvalidRequest("AWS does not let this be chosen for a network.", field="ipv6_cidr")
        if spec.leases or spec.dns_hosts or spec.dhcp_start or spec.dhcp_end:
            raise InvalidRequest("AWS keeps its own DHCP and names.", field="dhcp_start")
        wanted = range_of(spec.cidr or USUAL_RANGE)
        for one in self.list():
            if one.name == spec.name:
                raise AlreadyExists(f"There is a network “{spec.name}” already.", field="name")
            if any(":" not in cidr and ipaddress.ip_network(cidr).overlaps(wanted) for cidr in one.cidrs):
                raise AlreadyExists(f"The network “{one.name}” has this range.", field="cidr")
        own = {tags.NAME: spec.name} | ({"plan": spec.plan} if spec.plan else {})
        made = self.cloud.ec2("create_vpc", CidrBlock=str(wanted), TagSpecifications=tags.on("vpc", own))["Vpc"]
        try:
            self._dress(made["VpcId"], spec)
        except BaseException:
            with suppress(ProviderError):
                self._clear(made["VpcId"])
            raise
        return self.get(made["VpcId"])

    def _dress(self, vpc: str, spec: NetworkSpec) -> None:
        self.cloud.ec2("modify_vpc_attribute", VpcId=vpc, EnableDnsHostnames={"Value": True})
        own = tags.on("internet-gateway", {tags.NAME: spec.name, tags.NETWORK: vpc})
        gateway = self.cloud.ec2("create_internet_gateway", TagSpecifications=own)["InternetGateway"]
        gateway_id = gateway["InternetGatewayId"]
        try:
            self.cloud.ec2("attach_internet_gateway", InternetGatewayId=gateway_id, VpcId=vpc)
        except BaseException:
            with suppress(ProviderError):
                self.cloud.ec2("delete_internet_gateway", InternetGatewayId=gateway_id)
            raise
        tables = self.cloud.ec2("describe_route_tables", Filters=tags.filters(vpc_id=vpc))["RouteTables"]
        self.cloud.ec2(
            "create_route",
            RouteTableId=tables[0]["RouteTableId"],
            DestinationCidrBlock="0.0.0.0/0",
            GatewayId=gateway_id,
        )

    def update(self, external_id: str, spec: NetworkSpec) -> NetworkRecord:
        raise NotSupported("A network at AWS stays as it was made.")

    def delete(self, external_id: str, *, force: bool = False) -> None:
        """With what the portal made in it; with `force` also with other subnets and groups. Never under a VM."""
        placement.network(self.cloud, external_id)
        if self._users(external_id):
            raise Conflict("VMs are plugged into this network; delete them first.")
        foreign = [
            one
            for one in placement.subnets_in(self.cloud, external_id)
            if tags.read(one).get(tags.NETWORK) != external_id
        ]
        if foreign and not force:
            raise Conflict("The network has subnets; delete them first.")
        self._clear(external_id)

    def _clear(self, vpc: str) -> None:
        """Take away what AWS wants to be gone before a VPC."""
        cloud, within = self.cloud, tags.filters(vpc_id=vpc)
        for one in placement.subnets_in(cloud, vpc):
            cloud.ec2("delete_subnet", SubnetId=one["SubnetId"])
        attached = tags.filters(**{"attachment.vpc_id": vpc})
        for one in cloud.ec2("describe_internet_gateways", Filters=attached).get("InternetGateways") or ():
            cloud.ec2("detach_internet_gateway", InternetGatewayId=one["InternetGatewayId"], VpcId=vpc)
            cloud.ec2("delete_internet_gateway", InternetGatewayId=one["InternetGatewayId"])
        for one in cloud.ec2("describe_route_tables", Filters=within).get("RouteTables") or ():
            if not any(each.get("Main") for each in one.get("Associations") or ()):
                cloud.ec2("delete_route_table", RouteTableId=one["RouteTableId"])
        for one in cloud.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=within):
            if one["GroupName"] != "default":
                cloud.ec2("delete_security_group", GroupId=one["GroupId"])
        cloud.ec2("delete_vpc", VpcId=vpc)

    def set_active(self, external_id: str, active: bool) -> NetworkRecord:
        raise NotSupported("Networks at AWS are always on.")

    def leases(self, external_id: str) -> Sequence[LeaseRecord]:
        raise NotSupported("AWS tells addresses with its VMs.")

    def reserve(self, external_id: str, lease: StaticLease) -> NetworkRecord:
        raise NotSupported("At AWS an address is chosen with the card.")

    def release(self, external_id: str, mac: str) -> NetworkRecord:
        raise NotSupported("At AWS an address is chosen with the card.")

    def _users(self, vpc: str) -> Sequence[str]:
        """VMs with a card in it, in one call."""
        return [one["InstanceId"] for one in inventory.instances(self.cloud, *tags.filters(vpc_id=vpc))]


def name_is_free(known: Sequence[Any], name: str, what: str) -> None:
    if any(one.name == name for one in known):
        raise AlreadyExists(f"There is a {what} “{name}” already.", field="name")


__all__ = ["AwsNetworks", "name_is_free", "range_of", "record"]
