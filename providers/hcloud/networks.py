"""Private networks of the project; and the internet as one more, since servers join it or do not."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, ip_network

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
    StaticLease,
)
from providers.hcloud.api import Json
from providers.hcloud.part import Part
from providers.hcloud.records import PUBLIC

PRIVATE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
BY_HETZNER = "Hetzner gives out the addresses of its networks by itself."


class HcloudNetworks(Part, Networks):
    def list(self) -> Sequence[NetworkRecord]:
        return [internet(), *(network_record(network) for network in self.api.pages("networks"))]

    def get(self, external_id: str) -> NetworkRecord:
        if external_id == PUBLIC:
            servers = self.api.pages("servers")
            joined = [one for one in servers if one["public_net"]["ipv4"] or one["public_net"]["ipv6"]]
            return internet(used_by=tuple(str(server["id"]) for server in joined))
        network = self.api.one("networks", external_id)
        return network_record(network, used_by=tuple(str(number) for number in network["servers"]))

    def create(self, spec: NetworkSpec) -> NetworkRecord:
        """Without a subnet: the first VM that joins makes one as wide as the network, where none was made before."""
        if spec.mode is not NetworkMode.PROVIDER:
            raise InvalidRequest("Networks at Hetzner are of one sort.", field="mode")
        others = self.api.pages("networks")
        if any(other["name"] == spec.name for other in others) or spec.name == internet().name:
            raise AlreadyExists(f"There is a network called “{spec.name}” already.")
        wanted = private_range(spec.cidr)
        for other in others:
            if wanted.overlaps(ip_network(other["ip_range"])):
                raise AlreadyExists(f"The network “{other['name']}” has these addresses already.")
        body = {"name": spec.name, "ip_range": str(wanted)}
        return network_record(self.api.post("/networks", body)["network"])

    def update(self, external_id: str, spec: NetworkSpec) -> NetworkRecord:
        raise NotSupported("Networks at Hetzner cannot be changed; their subnets can.")

    def delete(self, external_id: str, *, force: bool = False) -> None:
        if external_id == PUBLIC:
            raise Conflict("The internet cannot be deleted.")
        network = self.api.one("networks", external_id)
        # The API would take the network away under them.
        if (network["servers"] or network.get("load_balancers")) and not force:
            raise Conflict("VMs or load balancers are in the network.")
        self.api.delete(f"/networks/{external_id}")

    def set_active(self, external_id: str, active: bool) -> NetworkRecord:
        raise NotSupported("Networks at Hetzner are always on.")

    def leases(self, external_id: str) -> Sequence[LeaseRecord]:
        raise NotSupported(BY_HETZNER)

    def reserve(self, external_id: str, lease: StaticLease) -> NetworkRecord:
        raise NotSupported(BY_HETZNER)

    def release(self, external_id: str, mac: str) -> NetworkRecord:
        raise NotSupported(BY_HETZNER)


def internet(used_by: tuple[str, ...] = ()) -> NetworkRecord:
    return NetworkRecord(external_id=PUBLIC, name="Internet", type="public", dhcp=True, used_by=used_by)


def network_record(network: Json, used_by: tuple[str, ...] = ()) -> NetworkRecord:
    inside = ip_network(network["ip_range"])
    return NetworkRecord(
        external_id=str(network["id"]),
        name=network["name"],
        type="network",
        cidrs=(network["ip_range"],),
        dhcp=True,
        gateway=str(inside[1]),
        used_by=used_by,
    )


def private_range(text: str) -> IPv4Network:
    """Raises InvalidRequest for what is none of the ranges that Hetzner's networks may have."""
    try:
        if "/" not in text:
            raise ValueError("a range has a prefix")
        found = IPv4Network(text)
    except ValueError as exc:
        raise InvalidRequest(
            "This is no range of IPv4 addresses, such as 10.1.0.0/16.", str(exc), field="cidr"
        ) from exc
    if not any(found.subnet_of(private) for private in PRIVATE):
        raise InvalidRequest("Private networks have a range inside 10/8, 172.16/12 or 192.168/16.", field="cidr")
    return found
