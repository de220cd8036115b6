"""Firewalls, load balancers, keys and DNS zones of the simulated cloud."""

from __future__ import annotations

from tools.peers.hcloud import networks
from tools.peers.hcloud.catalogue import Json
from tools.peers.hcloud.cloud import Cloud, Refusal, invalid, stamp
from tools.peers.hcloud.routing import Answer, Call, changeable, filtered, paged, readable, route

for _table, _key in (("firewalls", "firewall"), ("load_balancers", "load_balancer"), ("ssh_keys", "ssh_key")):
    readable(_table, _key)
    changeable(_table, _key)


# -- firewalls ------------------------------------------------------------------------------------------------------


def _rules(wishes: list[Json]) -> list[Json]:
    for wish in wishes:
        if wish["protocol"] in {"tcp", "udp"} and not wish.get("port"):
            raise invalid("rules", "port is needed")
    return [{"port": None, "description": None, "source_ips": [], "destination_ips": [], **wish} for wish in wishes]


@route("POST", "/firewalls")
def create_firewall(call: Call) -> Answer:
    row = {
        "id": 0,
        "name": call.body["name"],
        "labels": call.body.get("labels") or {},
        "created": stamp(),
        "rules": _rules(call.body.get("rules", [])),
        "applied_to": [],
    }
    return 201, {"firewall": call.cloud.add("firewalls", row), "actions": []}


@route("POST", "/firewalls/{id}/actions/set_rules")
def set_rules(call: Call) -> Answer:
    row = call.cloud.row("firewalls", call.ids[0])
    row["rules"] = _rules(call.body["rules"])
    return 201, {"actions": [call.cloud.act("set_firewall_rules", [("firewall", row["id"])])]}


@route("DELETE", "/firewalls/{id}")
def delete_firewall(call: Call) -> Answer:
    row = call.cloud.row("firewalls", call.ids[0])
    if row["applied_to"]:
        raise Refusal(422, "resource_in_use", "firewall is still in use")
    del call.cloud.tables["firewalls"][row["id"]]
    return 204, {}


# -- keys -----------------------------------------------------------------------------------------------------------


@route("POST", "/ssh_keys")
def create_key(call: Call) -> Answer:
    row = {
        "id": 0,
        "name": call.body["name"],
        "fingerprint": "b7:2f:30:a0:2f:6c:58:6c:21:04:58:61:ba:06:3b:2f",
        "public_key": call.body["public_key"],
        "labels": call.body.get("labels") or {},
        "created": stamp(),
    }
    return 201, {"ssh_key": call.cloud.add("ssh_keys", row)}


@route("DELETE", "/ssh_keys/{id}")
def delete_key(call: Call) -> Answer:
    del call.cloud.tables["ssh_keys"][call.cloud.row("ssh_keys", call.ids[0])["id"]]
    return 204, {}


# -- load balancers -------------------------------------------------------------------------------------------------


@route("POST", "/load_balancers")
def create_balancer(call: Call) -> Answer:
    cloud, body = call.cloud, call.body
    place = cloud.named("locations", body.get("location") or "fsn1", "location")
    number = len(cloud.tables["load_balancers"]) + 1
    row: Json = {
        "id": 0,
        "name": body["name"],
        "public_net": {
            "enabled": body.get("public_interface", True),
            "ipv4": {"ip": f"192.0.2.{number}", "dns_ptr": f"lb{number}.example.test"},
            "ipv6": {"ip": f"2001:db8:b::{number}", "dns_ptr": f"lb{number}.example.test"},
        },
        "private_net": [],
        "location": place,
        "load_balancer_type": cloud.named("load_balancer_types", body["load_balancer_type"], "load_balancer_type"),
        "protection": {"delete": False},
        "labels": body.get("labels") or {},
        "created": stamp(),
        "services": [_service(wish) for wish in body.get("services", [])],
        "targets": [],
        "algorithm": body.get("algorithm") or {"type": "round_robin"},
        "outgoing_traffic": None,
        "ingoing_traffic": None,
        "included_traffic": 10_000,
    }
    network = cloud.named("networks", body["network"], "network") if body.get("network") else None
    row["targets"] = [_target(cloud, wish, network) for wish in body.get("targets", [])]
    row = cloud.add("load_balancers", row)
    if network is not None:
        networks.join(cloud, row, network)
    action = cloud.act("create_load_balancer", [("load_balancer", row["id"])])
    return 201, {"load_balancer": row, "action": action}


def _service(wish: Json) -> Json:
    check = wish.get("health_check") or {
        "protocol": "tcp", "port": wish["listen_port"], "interval": 15, "timeout": 10, "retries": 3
    }  # fmt: skip
    return {"destination_port": wish["listen_port"], "proxyprotocol": False, **wish, "health_check": check}


def _target(cloud: Cloud, wish: Json, network: Json | None) -> Json:
    server = cloud.named("servers", wish["server"]["id"], "targets")
    private = wish.get("use_private_ip", False)
    if private and (network is None or server["id"] not in network["servers"]):
        raise Refusal(422, "load_balancer_not_attached_to_network", "load balancer is not in the server's network")
    if not private and not server["public_net"]["ipv4"]:
        raise Refusal(422, "missing_ipv4", "server has no public IPv4")
    return {
        "type": "server",
        "server": {"id": server["id"]},
        "use_private_ip": private,
        "health_status": [{"listen_port": 80, "status": "unknown"}],
    }


@route("DELETE", "/load_balancers/{id}")
def delete_balancer(call: Call) -> Answer:
    row = call.cloud.row("load_balancers", call.ids[0])
    del call.cloud.tables["load_balancers"][row["id"]]
    return 204, {}


# -- zones ----------------------------------------------------------------------------------------------------------


@route("GET", "/zones")
def zones(call: Call) -> Answer:
    rows = [{key: value for key, value in row.items() if key != "rrsets"} for row in filtered(call, "zones")]
    return paged(call, "zones", rows)


def add_zone(cloud: Cloud, name: str) -> Json:
    """A zone as its owner makes it beside the portal."""
    row: Json = {
        "id": 0,
        "name": name,
        "created": stamp(),
        "mode": "primary",
        "ttl": 3600,
        "labels": {},
        "protection": {"delete": False},
        "status": "ok",
        "record_count": 0,
        "registrar": "unknown",
        "primary_nameservers": [],
        "authoritative_nameservers": {
            "assigned": ["helium.ns.hetzner.de."],
            "delegated": [],
            "delegation_last_check": None,
            "delegation_status": "unknown",
        },
        "rrsets": {},
    }
    return cloud.add("zones", row)


def _zone(call: Call) -> Json:
    for row in call.cloud.tables["zones"].values():
        if call.ids[0] in {str(row["id"]), row["name"]}:
            return row
    raise Refusal(404, "not_found", "zone not found")


def _rrset(call: Call) -> tuple[Json, str]:
    zone, key = _zone(call), f"{call.ids[1]}/{call.ids[2]}"
    if key not in zone["rrsets"]:
        raise Refusal(404, "not_found", "rrset not found")
    return zone, key


@route("GET", "/zones/{id_or_name}/rrsets")
def rrsets(call: Call) -> Answer:
    rows = list(_zone(call)["rrsets"].values())
    for name in ("name", "type"):
        if wanted := call.params.get(name):
            rows = [row for row in rows if row[name] in wanted]
    return paged(call, "rrsets", rows)


@route("POST", "/zones/{id_or_name}/rrsets")
def create_rrset(call: Call) -> Answer:
    zone, body = _zone(call), call.body
    key = f"{body['name']}/{body['type']}"
    if key in zone["rrsets"]:
        raise Refusal(409, "uniqueness_error", "rrset already exists")
    row = {
        "id": key,
        "name": body["name"],
        "type": body["type"],
        "ttl": body.get("ttl"),
        "labels": body.get("labels") or {},
        "protection": {"change": False},
        "records": [{"comment": "", **record} for record in body["records"]],
        "zone": zone["id"],
    }
    zone["rrsets"][key] = row
    return 201, {"rrset": row, "action": call.cloud.act("create_rrset", [("zone", zone["id"])])}


@route("POST", "/zones/{id_or_name}/rrsets/{rr_name}/{rr_type}/actions/set_records")
def set_records(call: Call) -> Answer:
    zone, key = _rrset(call)
    zone["rrsets"][key]["records"] = [{"comment": "", **record} for record in call.body["records"]]
    return 201, {"action": call.cloud.act("set_rrset_records", [("zone", zone["id"])])}


@route("POST", "/zones/{id_or_name}/rrsets/{rr_name}/{rr_type}/actions/change_ttl")
def change_ttl(call: Call) -> Answer:
    zone, key = _rrset(call)
    zone["rrsets"][key]["ttl"] = call.body["ttl"]
    return 201, {"action": call.cloud.act("change_rrset_ttl", [("zone", zone["id"])])}


@route("DELETE", "/zones/{id_or_name}/rrsets/{rr_name}/{rr_type}")
def delete_rrset(call: Call) -> Answer:
    zone, key = _rrset(call)
    del zone["rrsets"][key]
    return 201, {"action": call.cloud.act("delete_rrset", [("zone", zone["id"])])}
