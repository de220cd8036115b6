"""Networks with their subnets, and the router that leads one outside.

A network is “NAT” where a router with an external gateway has a leg in it, “isolated” where none has, and “provider”
where it is somebody else's: shared, or external.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import MutableSequence, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from providers.base import (
    AlreadyExists,
    Conflict,
    InvalidRequest,
    LeaseRecord,
    NetworkMode,
    NetworkRecord,
    Networks,
    NetworkSpec,
    NotFound,
    NotSupported,
    ProviderError,
    StaticLease,
)
from providers.openstack.creation import external_network
from providers.openstack.errors import vendor_calls
from providers.openstack.routers import RouterPart
from providers.openstack.service import Json

_COMPUTE = "compute:"


class OpenStackNetworks(RouterPart, Networks):
    # -- reading ----------------------------------------------------------------------------------------------------

    def list(self) -> Sequence[NetworkRecord]:
        with vendor_calls():
            return self._records()

    def get(self, external_id: str) -> NetworkRecord:
        with vendor_calls():
            return self._record(external_id)

    def leases(self, external_id: str) -> Sequence[LeaseRecord]:
        with vendor_calls():
            network = self._network(external_id)
            rows = [
                LeaseRecord(mac=port["mac_address"], address=each["ip_address"], hostname=port.get("name", ""))
                for port in self.cloud.network.all("/ports", "ports", network_id=network["id"])
                if str(port.get("device_owner", "")).startswith(_COMPUTE)
                for each in port.get("fixed_ips", ())
            ]
        return sorted(rows, key=lambda row: (ip_address(row.address).version, ip_address(row.address).packed))

    # -- changing ---------------------------------------------------------------------------------------------------

    def create(self, spec: NetworkSpec) -> NetworkRecord:
        with vendor_calls():
            known = self._records()
            if any(each.name == spec.name for each in known):
                raise AlreadyExists(f"There is a network “{spec.name}” already.", field="name")
            if spec.mode not in (NetworkMode.NAT, NetworkMode.ISOLATED):
                raise InvalidRequest("Networks of this cloud are isolated, or led outside by NAT.", field="mode")
            if spec.bridge or spec.forward_device or spec.vlan is not None:
                raise InvalidRequest("The cloud decides about bridges and VLANs.", field="bridge")
            ranges = _ranges(spec)
            _refuse_overlap(ranges, known)
            outside = external_network(self) if spec.mode is NetworkMode.NAT and ranges else None
            wish: Json = {"name": spec.name, **({"mtu": spec.mtu} if spec.mtu else {})}
            network = self.cloud.network.post("/networks", {"network": wish})["network"]
            try:
                subnets = [self._add_subnet(network, each, spec) for each in ranges]
                if outside is not None:
                    self.add_router(network, [each["id"] for each in subnets if each["ip_version"] == 4], outside)
                return self._record(network["id"])
            except BaseException:
                self._remove(network["id"])
                raise

    def update(self, external_id: str, spec: NetworkSpec) -> NetworkRecord:
        with vendor_calls():
            network, before = self._network(external_id), self._record(external_id)
            if any(each.name == spec.name and each.external_id != external_id for each in self._records()):
                raise AlreadyExists(f"There is a network “{spec.name}” already.", field="name")
            if spec.mode is not before.mode:
                raise Conflict("Whether a network is led outside is decided when it is made.")
            ranges = _ranges(spec)
            known = {str(ip_network(cidr)) for cidr in before.cidrs}
            new = [each for each in ranges if str(each) not in known]
            if any(each.version == 4 for each in new) and any(ip_network(cidr).version == 4 for cidr in before.cidrs):
                raise Conflict("A range cannot be changed; add a subnet, or make another network.")
            change: Json = {"name": spec.name} if spec.name != before.name else {}
            if spec.mtu is not None and spec.mtu != before.mtu:
                change["mtu"] = spec.mtu
            if change:
                self.cloud.network.put(f"/networks/{external_id}", {"network": change})
            for each in new:
                self._add_subnet(network, each, spec)
            for subnet in self._subnets(external_id):
                self._change_subnet(subnet, spec, {str(each) for each in ranges})
            return self._record(external_id)

    def delete(self, external_id: str, *, force: bool = False) -> None:
        with vendor_calls():
            self._network(external_id)
            ports = self.cloud.network.all("/ports", "ports", network_id=external_id)
            plugged = [port for port in ports if str(port.get("device_owner", "")).startswith(_COMPUTE)]
            if plugged and not force:
                raise Conflict("VMs are plugged into this network.")
            for port in plugged:
                # Nova hears of it from Neutron.
                self.cloud.network.delete(f"/ports/{port['id']}")
            self._remove(external_id)

    def set_active(self, external_id: str, active: bool) -> NetworkRecord:
        with vendor_calls():
            network = self._network(external_id)
            if not active and network.get("admin_state_up", True):
                self._refuse_running(external_id)
            self.cloud.network.put(f"/networks/{external_id}", {"network": {"admin_state_up": active}})
            return self._record(external_id)

    def reserve(self, external_id: str, lease: StaticLease) -> NetworkRecord:
        raise NotSupported("An address is given to a card when it is plugged in.")

    def release(self, external_id: str, mac: str) -> NetworkRecord:
        raise NotSupported("An address belongs to its card here.")

    # -- parts ------------------------------------------------------------------------------------------------------

    def _network(self, external_id: str) -> Json:
        try:
            found: Json = self.cloud.network.get(f"/networks/{external_id}")["network"]
        except ProviderError:
            raise
        except Exception as exc:
            if getattr(exc, "status_code", 0) in (400, 404):
                raise NotFound("The network does not exist any more.", str(exc)) from exc
            raise
        return found

    def _subnets(self, network_id: str) -> Sequence[Json]:
        return self.cloud.network.all("/subnets", "subnets", network_id=network_id)

    def _records(self) -> Sequence[NetworkRecord]:
        """Four lists, however many networks there are."""
        networks = self.cloud.network.all("/networks", "networks")
        subnets: dict[str, MutableSequence[Json]] = defaultdict(_empty)
        for subnet in self.cloud.network.all("/subnets", "subnets"):
            subnets[subnet["network_id"]].append(subnet)
        ports = self.cloud.network.all("/ports", "ports", project_id=self.cloud.project_id)
        routers = {each["id"]: each for each in self.cloud.network.all("/routers", "routers")}
        legs = self.routers_of(ports)
        return [
            self._told(each, subnets[each["id"]], [routers[leg] for leg in legs.get(each["id"], ()) if leg in routers])
            for each in networks
        ]

    def _record(self, external_id: str) -> NetworkRecord:
        network = self._network(external_id)
        ports = self.cloud.network.all("/ports", "ports", network_id=external_id)
        routers = [
            self.cloud.network.get(f"/routers/{router}")["router"]
            for router in self.routers_of(ports).get(external_id, ())
        ]
        users = {port["device_id"] for port in ports if str(port.get("device_owner", "")).startswith(_COMPUTE)}
        return self._told(network, self._subnets(external_id), routers, tuple(sorted(users)))

    def _told(
        self,
        network: Json,
        subnets: Sequence[Json],
        routers: Sequence[Json],
        users: tuple[str, ...] = (),
    ) -> NetworkRecord:
        ordered = sorted(subnets, key=lambda each: (each["ip_version"], str(each.get("created_at", "")), each["cidr"]))
        first: Json = ordered[0] if ordered else {}
        pools = first.get("allocation_pools") or [{}]
        dhcp = bool(first.get("enable_dhcp"))
        return NetworkRecord(
            external_id=network["id"],
            name=network.get("name") or network["id"],
            mode=self._mode(network, routers),
            type="network",
            cidrs=tuple(each["cidr"] for each in ordered),
            dhcp=dhcp if first else None,
            domain=(network.get("dns_domain") or "").rstrip("."),
            is_active=network.get("admin_state_up", True) is not False,
            gateway=first.get("gateway_ip") or "",
            dhcp_start=pools[0].get("start", "") if dhcp else "",
            dhcp_end=pools[0].get("end", "") if dhcp else "",
            mtu=network.get("mtu") or None,
            used_by=users,
        )

    def _mode(self, network: Json, routers: Sequence[Json]) -> NetworkMode:
        owner = network.get("project_id") or network.get("tenant_id") or ""
        if network.get("router:external") or (network.get("shared") and owner != self.cloud.project_id):
            return NetworkMode.PROVIDER
        if any(router.get("external_gateway_info") for router in routers):
            return NetworkMode.NAT
        return NetworkMode.ROUTE if routers else NetworkMode.ISOLATED

    def _add_subnet(self, network: Json, cidr: IPv4Network | IPv6Network, spec: NetworkSpec) -> Json:
        wish: Json = {
            "network_id": network["id"],
            "name": f"{spec.name}-{cidr.version}",
            "ip_version": cidr.version,
            "cidr": str(cidr),
            "enable_dhcp": spec.dhcp,
        }
        if spec.dhcp and cidr.version == 6:
            wish |= {"ipv6_address_mode": "slaac", "ipv6_ra_mode": "slaac"}
        elif spec.dhcp_start and spec.dhcp_end and str(cidr) == _normal(spec.cidr):
            wish["allocation_pools"] = [{"start": spec.dhcp_start, "end": spec.dhcp_end}]
        if spec.mode is NetworkMode.ISOLATED and cidr.version == 4:
            wish["gateway_ip"] = None
        made: Json = self.cloud.network.post("/subnets", {"subnet": wish})["subnet"]
        return made

    def _change_subnet(self, subnet: Json, spec: NetworkSpec, wanted: set[str]) -> None:
        if _normal(subnet["cidr"]) not in wanted:
            if subnet["ip_version"] == 6:
                self.cloud.network.delete(f"/subnets/{subnet['id']}")
            return
        change: Json = {}
        if bool(subnet.get("enable_dhcp")) != spec.dhcp and subnet["ip_version"] == 4:
            change["enable_dhcp"] = spec.dhcp
        pools = [{"start": spec.dhcp_start, "end": spec.dhcp_end}]
        is_first = _normal(subnet["cidr"]) == _normal(spec.cidr)
        if spec.dhcp and spec.dhcp_start and spec.dhcp_end and is_first and subnet.get("allocation_pools") != pools:
            change["allocation_pools"] = pools
        if change:
            self.cloud.network.put(f"/subnets/{subnet['id']}", {"subnet": change})

    def _refuse_running(self, external_id: str) -> None:
        users = self._record(external_id).used_by
        for server in self.servers() if users else ():
            if server["id"] in users and server.get("status") not in ("SHUTOFF", "SHELVED", "SHELVED_OFFLOADED"):
                raise Conflict(f"“{server.get('name')}” is running in this network.")

    def _remove(self, network_id: str) -> None:
        """With the routers that the portal made for it; a leg of somebody else's router keeps it (Conflict)."""
        ports = self.cloud.network.all("/ports", "ports", network_id=network_id)
        for router_id in self.routers_of(ports).get(network_id, ()):
            if self.is_own(self.cloud.network.get(f"/routers/{router_id}")["router"]):
                self.drop_router(router_id)
        self.cloud.network.delete(f"/networks/{network_id}")


def _empty() -> MutableSequence[Json]:
    return []


def _normal(cidr: str) -> str:
    try:
        return str(ip_network(cidr))
    except ValueError:
        return cidr


def _ranges(spec: NetworkSpec) -> list[IPv4Network | IPv6Network]:
    """What is asked for, the first range first; raises InvalidRequest."""
    found = []
    for field, text in (("cidr", spec.cidr), ("ipv6_cidr", spec.ipv6_cidr)):
        if not text:
            continue
        try:
            cidr = ip_network(text)
        except ValueError:
            raise InvalidRequest(f"“{text}” is no range of addresses.", field=field) from None
        if "/" not in text or (field == "ipv6_cidr" and cidr.version != 6):
            raise InvalidRequest(f"“{text}” is no range for this.", field=field)
        found.append(cidr)
    for field, text in (("dhcp_start", spec.dhcp_start), ("dhcp_end", spec.dhcp_end)):
        try:
            if text and (not found or ip_address(text) not in found[0]):
                raise InvalidRequest(f"The address {text} is not in the range {spec.cidr}.", field=field)
        except ValueError:
            raise InvalidRequest(f"“{text}” is not an address.", field=field) from None
    first, last = spec.dhcp_start, spec.dhcp_end
    if first and last and ip_address(first).packed > ip_address(last).packed:
        raise InvalidRequest("The first address comes after the last.", field="dhcp_end")
    return found


def _refuse_overlap(ranges: Sequence[IPv4Network | IPv6Network], known: Sequence[NetworkRecord]) -> None:
    """Neutron lets networks overlap; people who want to route between them later do not."""
    for network in known:
        for cidr in network.cidrs:
            if any(each.version == ip_network(cidr).version and each.overlaps(ip_network(cidr)) for each in ranges):
                raise AlreadyExists(f"The network “{network.name}” has the range {cidr}.", field="cidr")
