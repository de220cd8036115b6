"""Subnets of private networks. The API knows them by their range; their names are labels of the network."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import AlreadyExists, InvalidRequest, NotFound, SubnetRecord, Subnets, SubnetSpec
from providers.hcloud import labels
from providers.hcloud.api import Json
from providers.hcloud.networks import private_range
from providers.hcloud.part import Part


class HcloudSubnets(Part, Subnets):
    def list(self) -> Sequence[SubnetRecord]:
        return [
            subnet_record(network, subnet) for network in self.api.pages("networks") for subnet in network["subnets"]
        ]

    def create(self, spec: SubnetSpec) -> SubnetRecord:
        network = self.api.one("networks", spec.network)
        self._check_name(network, spec.name)
        wanted = private_range(spec.cidr)
        whole = private_range(network["ip_range"])
        if not wanted.subnet_of(whole):
            raise InvalidRequest(f"A subnet lies inside its network, {whole}.", field="cidr")
        for subnet in network["subnets"]:
            if wanted.overlaps(private_range(subnet["ip_range"])):
                raise AlreadyExists(f"The subnet {subnet['ip_range']} has these addresses already.")
        place = self.api.named("locations", spec.zone or self.api.config.location)
        body = {
            "type": "cloud",
            "ip_range": str(wanted),
            "network_zone": place["network_zone"] if place else spec.zone,
        }
        self.api.settle(self.api.post(f"/networks/{spec.network}/actions/add_subnet", body)["action"])
        self._name(network, str(wanted), spec.name)
        return self._read(f"{spec.network}:{wanted}")

    def update(self, external_id: str, spec: SubnetSpec) -> SubnetRecord:
        """Its name; a range can only be deleted and made anew."""
        network, subnet = self._find(external_id)
        if spec.cidr != subnet["ip_range"] or spec.network != str(network["id"]):
            raise InvalidRequest("The range of a subnet cannot be changed.", field="cidr")
        if spec.name != subnet_record(network, subnet).name:
            self._check_name(network, spec.name)
            self._name(network, subnet["ip_range"], spec.name)
        return self._read(external_id)

    def delete(self, external_id: str, *, force: bool = False) -> None:
        network, subnet = self._find(external_id)
        body = {"ip_range": subnet["ip_range"]}
        self.api.settle(self.api.post(f"/networks/{network['id']}/actions/delete_subnet", body)["action"])
        self._name(network, subnet["ip_range"], None)

    # -- names ------------------------------------------------------------------------------------------------------

    @staticmethod
    def _check_name(network: Json, name: str) -> None:
        if name in {subnet_record(network, subnet).name for subnet in network["subnets"]}:
            raise AlreadyExists(f"The network has a subnet called “{name}” already.")

    def _name(self, network: Json, ip_range: str, name: str | None) -> None:
        told = {key: value for key, value in network["labels"].items() if key != name_key(ip_range)}
        if name is not None:
            told[name_key(ip_range)] = labels.value(name, field="name")
        self.api.put(f"/networks/{network['id']}", {"labels": told})

    def _find(self, external_id: str) -> tuple[Json, Json]:
        number, _, ip_range = external_id.partition(":")
        network = self.api.one("networks", number)
        for subnet in network["subnets"]:
            if subnet["ip_range"] == ip_range:
                return network, subnet
        raise NotFound("The subnet does not exist any more.")

    def _read(self, external_id: str) -> SubnetRecord:
        return subnet_record(*self._find(external_id))


def name_key(ip_range: str) -> str:
    return labels.SUBNET + ip_range.replace("/", "-")


def subnet_record(network: Json, subnet: Json) -> SubnetRecord:
    name = network["labels"].get(name_key(subnet["ip_range"]), "")
    return SubnetRecord(
        external_id=f"{network['id']}:{subnet['ip_range']}",
        name=labels.text_of(name) or f"{network['name']} {subnet['ip_range']}",
        network=str(network["id"]),
        cidr=subnet["ip_range"],
        zone=subnet["network_zone"],
        is_private=True,
    )
