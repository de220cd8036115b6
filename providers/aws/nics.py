"""Network cards of VMs at AWS: elastic network interfaces."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from providers.aws import addresses, inventory, placement, tags
from providers.aws.cloud import Part
from providers.aws.waiting import wait_for
from providers.base import (
    Conflict,
    InvalidRequest,
    NicChange,
    Nics,
    NicSpec,
    NotFound,
    NotSupported,
    ProviderError,
    VmRecord,
)

READY_S = 180.0


class AwsNics(Part, Nics):
    def add(self, external_id: str, nic: NicSpec) -> VmRecord:
        """A new interface in a subnet of the VM's zone; it goes with the VM. The guest may have to be told of it."""
        if nic.mac or nic.model or nic.filter or nic.isolated or nic.vlan is not None:
            raise InvalidRequest("At AWS a card has the MAC, model and filter that AWS gives it.", field="mac")
        told = inventory.instance(self.cloud, external_id)
        zone = told["Placement"]["AvailabilityZone"]
        (place,) = placement.places(self.cloud, [nic], zone=zone, subnet="")
        request: dict[str, Any] = {"SubnetId": place.subnet}
        first: Mapping[str, Any] = next(iter(told.get("NetworkInterfaces") or ()), {})
        groups = [one["GroupId"] for one in first.get("Groups") or ()]
        if groups and first.get("VpcId") == place.network:
            request["Groups"] = groups
        if nic.address:
            request["PrivateIpAddress"] = nic.address.partition("/")[0]
        name = tags.read(told).get(tags.NAME, external_id)
        own = tags.on("network-interface", {tags.NAME: name, tags.VM: external_id})
        made = self.cloud.ec2("create_network_interface", TagSpecifications=own, **request)["NetworkInterface"]
        try:
            self._plug(told, made["NetworkInterfaceId"])
        except BaseException:
            with suppress(ProviderError):
                self.cloud.ec2("delete_network_interface", NetworkInterfaceId=made["NetworkInterfaceId"])
            raise
        return inventory.vm(self.cloud, external_id)

    def remove(self, external_id: str, nic_id: str) -> VmRecord:
        told = inventory.instance(self.cloud, external_id)
        card = _card(told, nic_id)
        if int(card.get("Attachment", {}).get("DeviceIndex") or 0) == 0:
            raise Conflict("AWS does not take the first card of a VM away.")
        if addresses.elastic_of(card):
            addresses.take(self.cloud, nic_id)
        self.cloud.ec2("detach_network_interface", AttachmentId=card["Attachment"]["AttachmentId"])

        def look() -> bool | None:
            found = self.cloud.ec2("describe_network_interfaces", NetworkInterfaceIds=[nic_id])["NetworkInterfaces"]
            return True if not found or found[0]["Status"] == "available" else None

        wait_for(look, "Taking the card out", timeout_s=READY_S)
        self.cloud.ec2("delete_network_interface", NetworkInterfaceId=nic_id)
        return inventory.vm(self.cloud, external_id)

    def update(self, external_id: str, nic_id: str, change: NicChange) -> VmRecord:
        raise NotSupported("AWS does not change a card; add another one and remove this.")

    def give_public_address(self, external_id: str, nic_id: str) -> VmRecord:
        """An elastic address: it stays when the VM is switched off, and AWS charges for it."""
        told = inventory.instance(self.cloud, external_id)
        if not addresses.elastic_of(_card(told, nic_id)):
            addresses.give(self.cloud, told, nic_id)
        return inventory.vm(self.cloud, external_id)

    def take_public_address(self, external_id: str, nic_id: str) -> VmRecord:
        """One that AWS lent until the VM is switched off is not the portal's to take."""
        card = _card(inventory.instance(self.cloud, external_id), nic_id)
        if not addresses.elastic_of(card):
            raise NotFound("The card has no elastic address.")
        addresses.take(self.cloud, nic_id)
        return inventory.vm(self.cloud, external_id)

    def _plug(self, told: Mapping[str, Any], nic_id: str) -> None:
        taken = {int(one.get("Attachment", {}).get("DeviceIndex") or 0) for one in told.get("NetworkInterfaces") or ()}
        place = next(number for number in range(64) if number not in taken)
        made = self.cloud.ec2(
            "attach_network_interface", InstanceId=told["InstanceId"], NetworkInterfaceId=nic_id, DeviceIndex=place
        )
        self.cloud.ec2(
            "modify_network_interface_attribute",
            NetworkInterfaceId=nic_id,
            Attachment={"AttachmentId": made["AttachmentId"], "DeleteOnTermination": True},
        )


def _card(instance: Mapping[str, Any], nic_id: str) -> Mapping[str, Any]:
    """One card of an instance; raises NotFound."""
    for one in instance.get("NetworkInterfaces") or ():
        if one["NetworkInterfaceId"] == nic_id:
            return dict(one)
    raise NotFound("The VM has no such card.")
