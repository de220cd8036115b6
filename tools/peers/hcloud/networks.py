"""Private networks of the simulated cloud, with their subnets, addresses and members."""

from __future__ import annotations

from ipaddress import IPv4Network, ip_address, ip_network

from tools.peers.hcloud.catalogue import Json
from tools.peers.hcloud.cloud import Cloud, Refusal, invalid, stamp
from tools.peers.hcloud.routing import Answer, Call, changeable, readable, route

PRIVATE = tuple(ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))

readable("networks", "network")
changeable("networks", "network")


def _range(text: str, field_name: str) -> IPv4Network:
    try:
        found = ip_network(text)
    except ValueError:
        raise invalid(field_name, "is no network") from None
    if not isinstance(found, IPv4Network) or not any(found.subnet_of(one) for one in PRIVATE):  # type: ignore[arg-type]
        raise invalid(field_name, "must be a private range (RFC 1918)")
    return found


def _subnet(network: Json, wish: Json) -> Json:
    whole = _range(network["ip_range"], "ip_range")
    part = _range(wish["ip_range"], "ip_range") if wish.get("ip_range") else next(iter(whole.subnets(new_prefix=24)))
    if not part.subnet_of(whole):
        raise invalid("ip_range", "is outside of the network")
    if any(part.overlaps(_range(one["ip_range"], "ip_range")) for one in network["subnets"]):
        raise invalid("ip_range", "overlaps with another subnet")
    return {
        "type": wish["type"],
        "ip_range": str(part),
        "network_zone": wish["network_zone"],
        "gateway": str(whole[1]),
        "vswitch_id": None,
    }


@route("POST", "/networks")
def create(call: Call) -> Answer:
    body = call.body
    network: Json = {
        "id": 0,
        "name": body["name"],
        "ip_range": str(_range(body["ip_range"], "ip_range")),
        "subnets": [],
        "routes": [],
        "servers": [],
        "load_balancers": [],
        "protection": {"delete": False},
        "labels": body.get("labels") or {},
        "created": stamp(),
        "expose_routes_to_vswitch": False,
    }
    for wish in body.get("subnets", []):
        network["subnets"].append(_subnet(network, wish))
    return 201, {"network": call.cloud.add("networks", network)}


@route("DELETE", "/networks/{id}")
def delete(call: Call) -> Answer:
    cloud, network = call.cloud, call.cloud.row("networks", call.ids[0])
    if network["protection"]["delete"]:
        raise Refusal(403, "protected", "network deletion is protected")
    # Members are let go of: the API does not keep them from losing their network.
    for server in cloud.tables["servers"].values():
        leave(server, network)
    del cloud.tables["networks"][network["id"]]
    return 204, {}


@route("POST", "/networks/{id}/actions/add_subnet")
def add_subnet(call: Call) -> Answer:
    cloud, network = call.cloud, call.cloud.row("networks", call.ids[0])
    subnet = _subnet(network, call.body)
    network["subnets"].append(subnet)
    return 201, {"action": cloud.act("add_subnet", [("network", network["id"])])}


@route("POST", "/networks/{id}/actions/delete_subnet")
def delete_subnet(call: Call) -> Answer:
    cloud, network = call.cloud, call.cloud.row("networks", call.ids[0])
    gone = [one for one in network["subnets"] if one["ip_range"] == call.body["ip_range"]]
    if not gone:
        raise Refusal(404, "not_found", "subnet not found")
    part = _range(gone[0]["ip_range"], "ip_range")
    if any(ip_address(address) in part for address in _taken(cloud, network)):
        raise Refusal(422, "service_error", "servers are attached to this subnet")
    network["subnets"].remove(gone[0])
    return 201, {"action": cloud.act("delete_subnet", [("network", network["id"])])}


# -- members --------------------------------------------------------------------------------------------------------


def check_zone(network: Json, place: Json) -> None:
    if not any(one["network_zone"] == place["network_zone"] for one in network["subnets"]):
        raise Refusal(422, "no_subnet_available", "network has no subnet for this zone")


def _taken(cloud: Cloud, network: Json) -> set[str]:
    members = [*cloud.tables["servers"].values(), *cloud.tables["load_balancers"].values()]
    return {net["ip"] for one in members for net in one["private_net"] if net["network"] == network["id"]}


def check_address(cloud: Cloud, network: Json, address: str) -> None:
    if not address:
        return
    if not any(ip_address(address) in ip_network(one["ip_range"]) for one in network["subnets"]):
        raise invalid("ip", "is in no subnet of the network")
    if address in _taken(cloud, network):
        raise Refusal(409, "ip_not_available", "address is taken")


def join(cloud: Cloud, member: Json, network: Json, address: str = "") -> None:
    if not address:
        taken = _taken(cloud, network) | {network["subnets"][0]["gateway"]}
        hosts = (str(host) for one in network["subnets"] for host in ip_network(one["ip_range"]).hosts())
        address = next(host for host in hosts if host not in taken)
    number = cloud.fresh_id()
    member["private_net"].append(
        {
            "network": network["id"],
            "ip": address,
            "alias_ips": [],
            "mac_address": "86:00:" + ":".join(f"{number >> shift & 255:02x}" for shift in (24, 16, 8, 0)),
        }
    )
    if member["id"] in cloud.tables["servers"]:
        network["servers"].append(member["id"])


def leave(member: Json, network: Json) -> None:
    member["private_net"] = [net for net in member["private_net"] if net["network"] != network["id"]]
    network["servers"] = [one for one in network["servers"] if one != member["id"]]
