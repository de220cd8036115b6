"""Load balancers of Octavia: one call makes it with its listeners, pools and members.

https://docs.openstack.org/api-ref/load-balancer/v2/
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address

from openstack import exceptions as sdk

from providers.base import (
    QUIET,
    AlreadyExists,
    Conflict,
    InvalidRequest,
    LoadBalancerRecord,
    LoadBalancers,
    LoadBalancerSpec,
    NotFound,
    NotSupported,
    OutOfCapacity,
    Progress,
)
from providers.openstack.creation import external_network
from providers.openstack.errors import vendor_calls
from providers.openstack.floating import FloatingPart
from providers.openstack.part import mark_of
from providers.openstack.service import Json, Service

#: Our word → Octavia's for the listener and its pool, and for its look at members.
_PROTOCOLS = {
    "tcp": ("TCP", "TCP"),
    "udp": ("UDP", "UDP-CONNECT"),
    "http": ("HTTP", "HTTP"),
    "https": ("HTTPS", "TLS-HELLO"),
}
_ROOT = "/lbaas/loadbalancers"
_DELAY_S, _TIMEOUT_S, _RETRIES = 5, 3, 3


class OpenStackLoadBalancers(FloatingPart, LoadBalancers):
    def list(self) -> Sequence[LoadBalancerRecord]:
        """Four lists, and one question for each balancer about its members."""
        with vendor_calls():
            told = self.octavia.all(_ROOT, "loadbalancers")
            if not told:
                return []
            ports = self.cloud.network.all("/ports", "ports", project_id=self.cloud.project_id)
            floating = {each["port_id"]: each for each in self.cloud.network.all("/floatingips", "floatingips")}
            listeners = self.octavia.all("/lbaas/listeners", "listeners")
            return [self._record(each, listeners, _owners(ports), floating) for each in told if _is_there(each)]

    def create(self, spec: LoadBalancerSpec, progress: Progress = QUIET) -> LoadBalancerRecord:
        """Before the first card of each VM. One that is not internal gets a floating address."""
        if not spec.ports or not all(1 <= port <= 65535 for port in spec.ports):
            raise InvalidRequest("A load balancer needs ports between 1 and 65535.", field="ports")
        if spec.protocol not in _PROTOCOLS:
            raise InvalidRequest(f"There is no protocol “{spec.protocol}” here.", field="protocol")
        with vendor_calls():
            if any(each["name"] == spec.name for each in self.octavia.all(_ROOT, "loadbalancers") if _is_there(each)):
                raise AlreadyExists(f"There is a load balancer “{spec.name}” already.", field="name")
            members = [self._member(target) for target in spec.targets]
            if not members:
                raise InvalidRequest("Choose VMs for it to stand before; its network is theirs.", field="targets")
            outside = None if spec.internal else external_network(self)
            progress.report(10, "Making the load balancer.")
            wish = {
                "name": spec.name,
                "vip_subnet_id": members[0]["subnet_id"],
                "listeners": [_listener(spec, port, members) for port in dict.fromkeys(spec.ports)],
            }
            made = self.octavia.post(_ROOT, {"loadbalancer": wish})["loadbalancer"]
            try:
                made = self.wait(lambda: self._active(made["id"]), "Making the load balancer", progress)
                if outside is not None:
                    progress.report(80, "Giving it a floating address.")
                    port = self.cloud.network.get(f"/ports/{made['vip_port_id']}")["port"]
                    self.give_floating(port, outside, mark_of(made["id"]))
                record = self._read(made["id"])
            except BaseException:
                with suppress(Exception):
                    self._remove(made)
                raise
            progress.report(100, "The load balancer is there.")
            return record

    def delete(self, external_id: str) -> None:
        """With its listeners, pools and the floating address that the portal took for it."""
        with vendor_calls():
            self._remove(self._balancer(external_id))

    # -- parts ------------------------------------------------------------------------------------------------------

    @property
    def octavia(self) -> Service:
        if self.cloud.load_balancer is None:
            raise NotSupported("This cloud has no load balancers.")
        return self.cloud.load_balancer

    def _balancer(self, external_id: str) -> Json:
        try:
            found: Json = self.octavia.get(f"{_ROOT}/{external_id}")["loadbalancer"]
        except sdk.HttpException as exc:
            if exc.status_code in (400, 404):
                raise NotFound("The load balancer does not exist any more.", str(exc)) from exc
            raise
        if not _is_there(found):
            raise NotFound("The load balancer does not exist any more.", external_id)
        return found

    def _member(self, target: str) -> Json:
        """Address and subnet of a VM's first card with IPv4."""
        server = self.server(target)
        for port in self.ports_of(target):
            for each in port.get("fixed_ips", ()):
                if ip_address(each["ip_address"]).version == 4:
                    return {"name": server["name"], "address": each["ip_address"], "subnet_id": each["subnet_id"]}
        raise Conflict(f"“{server['name']}” has no address.")

    def _active(self, external_id: str) -> Json | None:
        told = self._balancer(external_id)
        if told["provisioning_status"] == "ERROR":
            raise OutOfCapacity("The cloud could not make the load balancer.", external_id)
        return told if told["provisioning_status"] == "ACTIVE" else None

    def _remove(self, balancer: Json) -> None:
        external_id = balancer["id"]
        self.wait(lambda: self._is_at_rest(external_id), "Deleting the load balancer")
        floating = self.floating_of_port(balancer["vip_port_id"]) if balancer.get("vip_port_id") else None
        if floating is not None:
            self.take_floating(floating)
        self.octavia.delete(f"{_ROOT}/{external_id}", cascade="true")
        self.wait_gone(lambda: self._leaving(external_id), "Deleting the load balancer")

    def _is_at_rest(self, external_id: str) -> bool | None:
        """Octavia takes no word about one that it is still at work on."""
        status = str(self._balancer(external_id)["provisioning_status"])
        return None if status.startswith("PENDING") else True

    def _leaving(self, external_id: str) -> Json:
        """Raises NotFound once it is gone, Conflict when it cannot go."""
        try:
            told: Json = self.octavia.get(f"{_ROOT}/{external_id}")["loadbalancer"]
        except sdk.NotFoundException as exc:
            raise NotFound from exc
        if told["provisioning_status"] == "DELETED":
            raise NotFound
        if told["provisioning_status"] == "ERROR":
            raise Conflict("The cloud could not delete the load balancer.", external_id)
        return told

    def _read(self, external_id: str) -> LoadBalancerRecord:
        told = self._balancer(external_id)
        listeners = self.octavia.all("/lbaas/listeners", "listeners", load_balancer_id=external_id)
        ports = self.cloud.network.all("/ports", "ports", project_id=self.cloud.project_id)
        floating = self.floating_of_port(told["vip_port_id"])
        return self._record(told, listeners, _owners(ports), {told["vip_port_id"]: floating} if floating else {})

    def _record(
        self, told: Json, listeners: Sequence[Json], owners: dict[str, str], floating: dict[str, Json]
    ) -> LoadBalancerRecord:
        own = {each["id"] for each in told.get("listeners", ())}
        mine = [each for each in listeners if each["id"] in own]
        tree = self.octavia.get(f"{_ROOT}/{told['id']}/status")["statuses"]["loadbalancer"]
        pools = [pool for each in (tree, *tree.get("listeners", ())) for pool in each.get("pools", ())]
        addresses = dict.fromkeys(member["address"] for pool in pools for member in pool.get("members", ()))
        outer = floating.get(told.get("vip_port_id") or "", {})
        words = {theirs: ours for ours, (theirs, _) in _PROTOCOLS.items()}
        protocol = str(mine[0]["protocol"]) if mine else "TCP"
        return LoadBalancerRecord(
            external_id=told["id"],
            name=told.get("name") or told["id"],
            address=str(outer.get("floating_ip_address") or told.get("vip_address") or ""),
            protocol=words.get(protocol, protocol.lower()),
            ports=tuple(sorted(int(each["protocol_port"]) for each in mine)),
            # A member that is no VM of the project is told by its address.
            targets=tuple(owners.get(address, address) for address in addresses),
        )


def _is_there(balancer: Json) -> bool:
    return balancer.get("provisioning_status") not in ("DELETED", "PENDING_DELETE")


def _owners(ports: Sequence[Json]) -> dict[str, str]:
    """Address → id of the server that has it."""
    return {
        each["ip_address"]: port["device_id"]
        for port in ports
        if str(port.get("device_owner", "")).startswith("compute:")
        for each in port.get("fixed_ips", ())
    }


def _listener(spec: LoadBalancerSpec, port: int, members: Sequence[Json]) -> Json:
    protocol, check = _PROTOCOLS[spec.protocol]
    monitor: Json = {"type": check, "delay": _DELAY_S, "timeout": _TIMEOUT_S, "max_retries": _RETRIES}
    more: Json = {}
    if check == "HTTP":
        monitor["url_path"] = spec.check_path
        more = {"monitor_port": spec.check_port}
    return {
        "name": f"{spec.name}-{port}",
        "protocol": protocol,
        "protocol_port": port,
        "default_pool": {
            "name": f"{spec.name}-{port}",
            "protocol": protocol,
            "lb_algorithm": "ROUND_ROBIN",
            "members": [{**member, "protocol_port": port, **more} for member in members],
            "healthmonitor": monitor,
        },
    }
