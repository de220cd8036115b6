"""Load balancers of the project, of the smallest type."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import (
    QUIET,
    AlreadyExists,
    Conflict,
    InvalidRequest,
    LoadBalancerRecord,
    LoadBalancers,
    LoadBalancerSpec,
    Progress,
)
from providers.hcloud.api import Json
from providers.hcloud.part import Part
from providers.hcloud.records import place_of

TYPE = "lb11"


class HcloudLoadBalancers(Part, LoadBalancers):
    def list(self) -> Sequence[LoadBalancerRecord]:
        return [balancer_record(row) for row in self.api.pages("load_balancers")]

    def create(self, spec: LoadBalancerSpec, progress: Progress = QUIET) -> LoadBalancerRecord:
        """Targets are reached over a private network that all of them are in, else over the internet."""
        if spec.protocol not in {"tcp", "http"}:
            raise InvalidRequest("Load balancers at Hetzner speak tcp or http.", field="protocol")
        servers = [self.server(target) for target in spec.targets]
        network = _common_network(servers)
        body: Json = {
            "name": spec.name,
            "load_balancer_type": TYPE,
            "location": place_of(servers[0]) if servers else self.api.config.location,
            "algorithm": {"type": "round_robin"},
            "services": [_service(spec, port) for port in spec.ports],
            "targets": [
                {"type": "server", "server": {"id": server["id"]}, "use_private_ip": network is not None}
                for server in servers
            ],
            "public_interface": not spec.internal,
        }
        if network is not None:
            body["network"] = network
        elif spec.internal:
            raise InvalidRequest("An internal load balancer needs VMs in a private network.", field="internal")
        try:
            answer = self.api.post("/load_balancers", body)
        except AlreadyExists as exc:
            raise AlreadyExists(f"There is a load balancer called “{spec.name}” already.", exc.detail) from exc
        number = str(answer["load_balancer"]["id"])
        try:
            self.api.settle(
                answer["action"],
                progress=progress,
                sentence="Making the load balancer.",
                percent=(10, 90),
                is_final=False,
            )
        except BaseException:
            self.api.delete(f"/load_balancers/{number}")
            raise
        return balancer_record(self.api.one("load_balancers", number))

    def delete(self, external_id: str) -> None:
        row = self.api.one("load_balancers", external_id)
        self.api.delete(f"/load_balancers/{row['id']}")


def _common_network(servers: Sequence[Json]) -> int | None:
    """A private network that all are in; raises Conflict when they can be reached by no common way."""
    if not servers:
        return None
    common = set.intersection(*({int(net["network"]) for net in server["private_net"]} for server in servers))
    if common:
        return min(common)
    if not all(server["public_net"]["ipv4"] for server in servers):
        raise Conflict("The VMs share no private network, and not all of them have a public IPv4 address.")
    return None


def _service(spec: LoadBalancerSpec, port: int) -> Json:
    check: Json = {"protocol": spec.protocol, "port": port, "interval": 15, "timeout": 10, "retries": 3}
    service: Json = {
        "protocol": spec.protocol,
        "listen_port": port,
        "destination_port": port,
        "proxyprotocol": False,
        "health_check": check,
    }
    if spec.protocol == "http":
        check |= {"port": spec.check_port, "http": {"domain": "", "path": spec.check_path, "tls": False}}
        service["http"] = {"sticky_sessions": False}
    return service


def balancer_record(row: Json) -> LoadBalancerRecord:
    services = row["services"]
    public = row["public_net"]
    private = row["private_net"]
    return LoadBalancerRecord(
        external_id=str(row["id"]),
        name=row["name"],
        address=public["ipv4"]["ip"] if public["enabled"] else private[0]["ip"] if private else "",
        protocol=services[0]["protocol"] if services else "tcp",
        ports=tuple(service["listen_port"] for service in services),
        targets=tuple(str(target["server"]["id"]) for target in row["targets"] if target["type"] == "server"),
    )
