"""Octavia: balancers with what hangs on them. While one is being worked on it takes no other word."""

from __future__ import annotations

from tools.peers.openstack import network
from tools.peers.openstack.state import Cloud, Json, Refused, now


def octavia(status: int, message: str) -> Refused:
    return Refused(status, {"faultcode": "Client", "faultstring": message, "debuginfo": None})


def one(cloud: Cloud, balancer_id: str) -> Json:
    found = cloud.of("loadbalancers").get(balancer_id)
    if found is None:
        raise octavia(404, f"Load Balancer {balancer_id} not found.")
    return found


def create(cloud: Cloud, wish: Json) -> Json:
    used = len(cloud.of("loadbalancers"))
    cloud.check_quota("loadbalancers", used, octavia(403, "Quota has been met for resources: Load Balancer"))
    subnet = cloud.of("subnets").get(wish.get("vip_subnet_id", ""))
    if subnet is None:
        raise octavia(400, f"Subnet {wish.get('vip_subnet_id')} not found.")
    seen: set[tuple[str, int]] = set()
    for listener in wish.get("listeners", ()):
        family = "UDP" if listener["protocol"] == "UDP" else "TCP"
        if (family, listener["protocol_port"]) in seen:
            raise octavia(409, f"Another Listener on this Load Balancer uses port {listener['protocol_port']}")
        seen.add((family, listener["protocol_port"]))
    port = network.make_port(
        cloud,
        {
            "network_id": subnet["network_id"],
            "device_owner": "Octavia",
            "fixed_ips": [{"subnet_id": subnet["id"], "ip_address": network.free_address(cloud, subnet)}],
        },
    )
    made = cloud.new(
        "loadbalancers",
        {
            "name": wish["name"],
            "provisioning_status": "PENDING_CREATE",
            "operating_status": "OFFLINE",
            "vip_address": port["fixed_ips"][0]["ip_address"],
            "vip_port_id": port["id"],
            "vip_subnet_id": subnet["id"],
            "project_id": cloud.project_id,
            "created_at": now(zulu=False),
            "listeners": [],
            "pools": [],
        },
    )
    for listener in wish.get("listeners", ()):
        pool = {**listener["default_pool"]}
        kept = cloud.new(
            "listeners",
            {
                "name": listener["name"],
                "protocol": listener["protocol"],
                "protocol_port": listener["protocol_port"],
                "loadbalancers": [{"id": made["id"]}],
                "_pool": pool,
            },
        )
        made["listeners"].append({"id": kept["id"]})
    status = "ERROR" if cloud.host_is_full else "ACTIVE"
    cloud.later(made, lambda: made.update(provisioning_status=status))
    return made


def listeners_of(cloud: Cloud, balancer_id: str) -> list[Json]:
    told = cloud.of("listeners").values()
    return [each for each in told if balancer_id in ("", each["loadbalancers"][0]["id"])]


def tree(cloud: Cloud, balancer_id: str) -> Json:
    found = one(cloud, balancer_id)
    return {
        "id": found["id"],
        "listeners": [
            {"id": each["id"], "pools": [{"name": each["_pool"]["name"], "members": each["_pool"]["members"]}]}
            for each in listeners_of(cloud, balancer_id)
        ],
    }


def delete(cloud: Cloud, balancer_id: str, *, cascade: bool) -> None:
    found = one(cloud, balancer_id)
    if str(found["provisioning_status"]).startswith("PENDING"):
        raise octavia(409, f"Load Balancer {balancer_id} is immutable and cannot be updated.")
    if found["listeners"] and not cascade:
        raise octavia(400, f"Load Balancer {balancer_id} has children.")
    found["provisioning_status"] = "PENDING_DELETE"

    def gone() -> None:
        for each in listeners_of(cloud, balancer_id):
            cloud.kinds["listeners"].pop(each["id"], None)
        network.delete(cloud, "ports", found["vip_port_id"])
        cloud.kinds["loadbalancers"].pop(balancer_id, None)

    cloud.later(found, gone)
