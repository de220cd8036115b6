"""Elastic addresses: public ones that stay with a card when its VM is switched off and on."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from providers.aws import tags
from providers.aws.cloud import Cloud
from providers.base import NotFound, ProviderError

#: Whom AWS names as the owner of an address that it lent until the VM is switched off.
LENT = "amazon"


def elastic_of(card: Mapping[str, Any]) -> str:
    """The elastic address of a card as an instance tells it; empty for none."""
    found = [card.get("Association") or {}]
    found += [one.get("Association") or {} for one in card.get("PrivateIpAddresses") or ()]
    return next((str(one["PublicIp"]) for one in found if one.get("PublicIp") and one.get("IpOwnerId") != LENT), "")


def give(cloud: Cloud, instance: Mapping[str, Any], nic_id: str) -> None:
    """A new address for this card; one that an attempt before took and did not get to use is taken first."""
    vm = instance["InstanceId"]
    name = tags.read(instance).get(tags.NAME, vm)
    kept = cloud.ec2("describe_addresses", Filters=[tags.tagged(tags.VM, vm)]).get("Addresses") or ()
    free = next((one["AllocationId"] for one in kept if not one.get("AssociationId")), "")
    own = tags.on("elastic-ip", {tags.NAME: name, tags.VM: vm})
    taken = free or cloud.ec2("allocate_address", Domain="vpc", TagSpecifications=own)["AllocationId"]
    try:
        cloud.ec2("associate_address", AllocationId=taken, NetworkInterfaceId=nic_id, AllowReassociation=False)
    except BaseException:
        with suppress(ProviderError):
            cloud.ec2("release_address", AllocationId=taken)
        raise


def take(cloud: Cloud, nic_id: str) -> None:
    """Off the card; one that the portal took for it goes back to AWS, which charges for those that nobody uses."""
    told = cloud.ec2("describe_addresses", Filters=tags.filters(network_interface_id=nic_id)).get("Addresses") or ()
    if not told:
        raise NotFound("The card has no elastic address.")
    for one in told:
        cloud.ec2("disassociate_address", AssociationId=one["AssociationId"])
        if tags.VM in tags.read(one):
            cloud.ec2("release_address", AllocationId=one["AllocationId"])


def take_all(cloud: Cloud, instance: Mapping[str, Any]) -> None:
    """Of a VM that is about to go: its interfaces go with it, its addresses would stay and cost."""
    for card in instance.get("NetworkInterfaces") or ():
        if elastic_of(card):
            with suppress(NotFound):
                take(cloud, card["NetworkInterfaceId"])
