"""Where a VM goes: which subnet of which network, in which zone; and which security groups protect it there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_interface, ip_network
from typing import Any

from providers.aws import tags
from providers.aws.cloud import Cloud
from providers.base import Conflict, InvalidRequest, NicSpec, NotFound

_VPC, _SUBNET = (re.compile(rf"{kind}-[0-9a-f]{{8,17}}") for kind in ("vpc", "subnet"))
#: The largest subnet that is made unasked, and the smallest that AWS takes.
LARGEST, SMALLEST = 20, 28
ZONES_S = 3600.0


@dataclass(frozen=True, slots=True)
class Place:
    """One card's subnet."""

    network: str
    subnet: str
    zone: str
    is_new: bool = False


def zones(cloud: Cloud) -> list[str]:
    """Names of the availability zones that may be used, read once an hour."""
    known: list[str] | None = cloud.remembered("zones")
    if known is None:
        told = cloud.ec2("describe_availability_zones", Filters=tags.filters(state="available"))
        plain = [
            one for one in told.get("AvailabilityZones") or () if one.get("ZoneType", "") in ("", "availability-zone")
        ]
        known = sorted(one["ZoneName"] for one in plain)
        cloud.remember("zones", known, ZONES_S)
    return known


def network(cloud: Cloud, external_id: str) -> Mapping[str, Any]:
    """One VPC; raises NotFound."""
    if _VPC.fullmatch(external_id):
        try:
            return next(iter(cloud.ec2("describe_vpcs", VpcIds=[external_id])["Vpcs"]))
        except StopIteration:
            pass
    raise NotFound("The network does not exist any more.", field="network")


def subnets_in(cloud: Cloud, vpc: str) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = cloud.pages("ec2", "describe_subnets", "Subnets", Filters=tags.filters(vpc_id=vpc))
    return found


def places(cloud: Cloud, nics: Sequence[NicSpec], *, zone: str, subnet: str) -> list[Place]:
    """A subnet for each card, all in one zone; a network that has none there gets one, marked as new.

    Without cards the account's default network is taken, as AWS itself does.
    """
    if zone and zone not in zones(cloud):
        raise InvalidRequest(f"There is no zone “{zone}” in {cloud.config.region}.", field="zone")
    wanted = [nic.network for nic in nics] or [default_network(cloud)]
    found: list[Place] = []
    for number, one in enumerate(wanted):
        place = _place(cloud, one, zone, subnet if number == 0 else "", nics[number] if nics else None)
        if found and place.network != found[0].network:
            raise InvalidRequest("At AWS all cards of a VM are in one network.", field="nics")
        zone = place.zone
        found.append(place)
    return found


def default_network(cloud: Cloud) -> str:
    told = cloud.ec2("describe_vpcs", Filters=tags.filters(is_default="true")).get("Vpcs") or ()
    if not told:
        raise InvalidRequest("The account has no default network here; name one.", field="nics")
    return str(told[0]["VpcId"])


def _place(cloud: Cloud, wanted: str, zone: str, subnet: str, nic: NicSpec | None) -> Place:
    if _SUBNET.fullmatch(wanted):
        found = cloud.ec2("describe_subnets", SubnetIds=[wanted])["Subnets"][0]
        if zone and found["AvailabilityZone"] != zone:
            raise InvalidRequest("All cards of a VM must be in one zone.", field="nics")
        return Place(found["VpcId"], found["SubnetId"], found["AvailabilityZone"])
    if not _VPC.fullmatch(wanted):
        raise NotFound("The network does not exist any more.", field="nics")
    known = subnets_in(cloud, wanted)
    usable = [one for one in known if not zone or one["AvailabilityZone"] == zone]
    if subnet:
        usable = [one for one in usable if subnet in (one["SubnetId"], tags.read(one).get(tags.NAME))]
        if not usable:
            raise NotFound(f"The network has no subnet “{subnet}” in this zone.", field="subnet")
    if nic is not None and nic.address:
        usable = [one for one in usable if ip_interface(nic.address).ip in ip_network(one["CidrBlock"])]
        if not usable:
            raise InvalidRequest("No subnet of this network holds this address.", field="address")
    if usable:
        best = max(
            usable, key=lambda one: (bool(one.get("DefaultForAz")), int(one.get("AvailableIpAddressCount") or 0))
        )
        return Place(wanted, best["SubnetId"], best["AvailabilityZone"])
    return _made(cloud, network(cloud, wanted), known, zone)


def _made(cloud: Cloud, vpc: Mapping[str, Any], siblings: Iterable[Mapping[str, Any]], zone: str) -> Place:
    """A subnet in the largest part of the network that is free."""
    zone = zone or zones(cloud)[0]
    taken = [ip_network(one["CidrBlock"]) for one in siblings]
    free = _free_part(ip_network(vpc["CidrBlock"]), taken)
    if free is None:
        raise Conflict("The network has no room for a subnet in this zone.")
    name = tags.read(vpc).get(tags.NAME, vpc["VpcId"])
    made = cloud.ec2(
        "create_subnet",
        VpcId=vpc["VpcId"],
        CidrBlock=str(free),
        AvailabilityZone=zone,
        TagSpecifications=tags.on("subnet", {tags.NAME: f"{name}-{zone[-1]}", tags.NETWORK: vpc["VpcId"]}),
    )["Subnet"]
    return Place(vpc["VpcId"], made["SubnetId"], zone, is_new=True)


def _free_part(outer: Any, taken: Sequence[Any]) -> IPv4Network | None:
    for length in range(max(outer.prefixlen, LARGEST), SMALLEST + 1):
        for part in outer.subnets(new_prefix=length):
            if not any(part.overlaps(one) for one in taken):
                return IPv4Network(str(part))
    return None


def group_ids(cloud: Cloud, wanted: Sequence[str], vpc: str) -> list[str]:
    """Ids of security groups, named in any way; raises InvalidRequest for one that the network does not have."""
    if not wanted:
        return []
    told = cloud.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=tags.filters(vpc_id=vpc))
    by_word = {one["GroupName"]: one["GroupId"] for one in told} | {one["GroupId"]: one["GroupId"] for one in told}
    for word in wanted:
        if word not in by_word:
            raise InvalidRequest(f"The network has no security group “{word}”.", field="security_groups")
    return [by_word[word] for word in wanted]
