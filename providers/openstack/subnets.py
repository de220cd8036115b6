"""Subnets: the ranges of a network, which has none of its own at Neutron."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_network

from providers.base import (
    AlreadyExists,
    Conflict,
    InvalidRequest,
    NotFound,
    ProviderError,
    SubnetRecord,
    Subnets,
    SubnetSpec,
)
from providers.openstack.errors import vendor_calls
from providers.openstack.routers import INTERFACES, RouterPart
from providers.openstack.service import Json

#: What Neutron plugs in by itself, and takes away with the subnet.
_AUTOMATIC = frozenset({"network:dhcp", "network:distributed"})


class OpenStackSubnets(RouterPart, Subnets):
    def list(self) -> Sequence[SubnetRecord]:
        """Two lists, however many there are."""
        with vendor_calls():
            legs = self._legs(project_id=self.cloud.project_id)
            return [_record(each, legs) for each in self.cloud.network.all("/subnets", "subnets")]

    def create(self, spec: SubnetSpec) -> SubnetRecord:
        """One that is not private is led outside by the router that the portal made for its network, if any."""
        cidr = _range(spec)
        with vendor_calls():
            known = self.cloud.network.all("/subnets", "subnets")
            self._refuse_name(known, spec.name)
            network = self._network(spec.network)
            for other in known:
                if other["network_id"] == network["id"] and _overlap(cidr, other["cidr"]):
                    raise AlreadyExists(f"The subnet “{other['name']}” has the range {other['cidr']}.", field="cidr")
            wish: Json = {
                "network_id": network["id"],
                "name": spec.name,
                "ip_version": cidr.version,
                "cidr": str(cidr),
                "enable_dhcp": spec.dhcp,
            }
            if spec.private:
                wish["gateway_ip"] = None
            if spec.dhcp and cidr.version == 6:
                wish |= {"ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac"}
            made = self.cloud.network.post("/subnets", {"subnet": wish})["subnet"]
            try:
                router = self._own_router(network["id"]) if not spec.private and cidr.version == 4 else ""
                if router:
                    self.cloud.network.put(f"/routers/{router}/add_router_interface", {"subnet_id": made["id"]})
                return self._read(made["id"])
            except BaseException:
                with suppress(Exception):
                    self.cloud.network.delete(f"/subnets/{made['id']}")
                raise

    def update(self, external_id: str, spec: SubnetSpec) -> SubnetRecord:
        """Its name and whether DHCP answers in it; range and network stay."""
        cidr = _range(spec)
        with vendor_calls():
            present = self._subnet(external_id)
            if ip_network(present["cidr"]) != cidr or present["network_id"] != spec.network:
                raise InvalidRequest("A subnet keeps its range and its network.", field="cidr")
            change: Json = {}
            if spec.name != present["name"]:
                self._refuse_name(self.cloud.network.all("/subnets", "subnets"), spec.name)
                change["name"] = spec.name
            if spec.dhcp != bool(present.get("enable_dhcp")) and cidr.version == 4:
                change["enable_dhcp"] = spec.dhcp
            if change:
                self.cloud.network.put(f"/subnets/{external_id}", {"subnet": change})
            return self._read(external_id)

    def delete(self, external_id: str, *, force: bool = False) -> None:
        """Never under a card, forced or not: Neutron refuses that."""
        del force
        with vendor_calls():
            subnet = self._subnet(external_id)
            ports = self.cloud.network.all("/ports", "ports", network_id=subnet["network_id"])
            inside = [port for port in ports if any(each["subnet_id"] == external_id for each in port["fixed_ips"])]
            legs = [port for port in inside if port.get("device_owner") in INTERFACES]
            if any(port not in legs and port.get("device_owner") not in _AUTOMATIC for port in inside):
                raise Conflict("VMs have addresses in this subnet.")
            for port in legs:
                router = self.cloud.network.get(f"/routers/{port['device_id']}")["router"]
                if not self.is_own(router):
                    raise Conflict(f"The router “{router.get('name')}” leads out of this subnet; part them first.")
                self.cloud.network.put(f"/routers/{router['id']}/remove_router_interface", {"port_id": port["id"]})
            self.cloud.network.delete(f"/subnets/{external_id}")

    # -- parts ------------------------------------------------------------------------------------------------------

    def _read(self, external_id: str) -> SubnetRecord:
        subnet = self._subnet(external_id)
        return _record(subnet, self._legs(network_id=subnet["network_id"]))

    def _subnet(self, external_id: str) -> Json:
        return self._one(f"/subnets/{external_id}", "subnet", "The subnet does not exist any more.")

    def _network(self, external_id: str) -> Json:
        return self._one(f"/networks/{external_id}", "network", "The network does not exist any more.")

    def _one(self, path: str, word: str, sentence: str) -> Json:
        try:
            found: Json = self.cloud.network.get(path)[word]
        except ProviderError:
            raise
        except Exception as exc:
            if getattr(exc, "status_code", 0) in (400, 404):
                raise NotFound(sentence, str(exc)) from exc
            raise
        return found

    def _legs(self, **where: str) -> set[str]:
        """ids of the subnets that a router leads out of."""
        ports = self.cloud.network.all("/ports", "ports", **where)
        legs = [port for port in ports if port.get("device_owner") in INTERFACES]
        return {each["subnet_id"] for port in legs for each in port.get("fixed_ips", ())}

    def _own_router(self, network_id: str) -> str:
        ports = self.cloud.network.all("/ports", "ports", network_id=network_id)
        for router_id in self.routers_of(ports).get(network_id, ()):
            if self.is_own(self.cloud.network.get(f"/routers/{router_id}")["router"]):
                return router_id
        return ""

    @staticmethod
    def _refuse_name(known: Sequence[Json], name: str) -> None:
        if any(each["name"] == name for each in known):
            raise AlreadyExists(f"There is a subnet “{name}” already.", field="name")


def _range(spec: SubnetSpec) -> IPv4Network | IPv6Network:
    if spec.zone:
        raise InvalidRequest("Subnets of this cloud belong to no zone.", field="zone")
    try:
        return ip_network(spec.cidr)
    except ValueError:
        raise InvalidRequest(f"“{spec.cidr}” is no range of addresses.", field="cidr") from None


def _overlap(cidr: IPv4Network | IPv6Network, other: str) -> bool:
    theirs = ip_network(other)
    return theirs.version == cidr.version and cidr.overlaps(theirs)


def _record(subnet: Json, legs: set[str]) -> SubnetRecord:
    return SubnetRecord(
        external_id=subnet["id"],
        name=subnet.get("name") or subnet["id"],
        network=subnet["network_id"],
        cidr=subnet["cidr"],
        is_private=subnet["id"] not in legs,
    )
