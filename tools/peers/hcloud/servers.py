"""Servers of the simulated cloud: made, switched, changed, deleted; each step an action that holds a lock."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from ipaddress import ip_network

from tools.peers.hcloud import networks, volumes
from tools.peers.hcloud.catalogue import Json, image
from tools.peers.hcloud.cloud import HOST_NAME, Cloud, Refusal, invalid, stamp
from tools.peers.hcloud.routing import Answer, Call, changeable, readable, route

MOST_USER_DATA = 32 * 1024

readable("servers", "server")
changeable("servers", "server")
readable("images", "image")


def started(cloud: Cloud, server: Json) -> None:
    server["status"] = "running"


@route("POST", "/servers")
def create(call: Call) -> Answer:
    cloud, body = call.cloud, call.body
    kind = cloud.named("server_types", body["server_type"], "server_type")
    chosen = _image(cloud, body["image"], kind["architecture"])
    place = cloud.named("locations", body.get("location", "fsn1"), "location")
    if not HOST_NAME.fullmatch(body["name"]):
        raise invalid("name", "must be a valid hostname")
    if len((body.get("user_data") or "").encode()) > MOST_USER_DATA:
        raise invalid("user_data", "is too long")
    if chosen["architecture"] != kind["architecture"]:
        raise invalid("image", "image is not compatible with the server type's architecture")
    if chosen["disk_size"] > kind["disk"]:
        raise invalid("image", "image disk is bigger than server type disk")
    if place["name"] in cloud.sold_out or not _is_available(kind, place["name"]):
        raise Refusal(412, "resource_unavailable", "server location disabled")
    joined = [cloud.named("networks", number, "networks") for number in body.get("networks", [])]
    walls = [cloud.named("firewalls", one["firewall"], "firewalls") for one in body.get("firewalls", [])]
    keys = [cloud.named("ssh_keys", key, "ssh_keys") for key in body.get("ssh_keys", [])]
    wished = body.get("placement_group")
    group = cloud.named("placement_groups", wished, "placement_group") if wished else None
    public = body.get("public_net") or {}
    has4, has6 = public.get("enable_ipv4", True), public.get("enable_ipv6", True)
    if not (has4 or has6 or joined):
        raise invalid("public_net", "server must have at least one network")
    for network in joined:
        networks.check_zone(network, place)
    server = cloud.add("servers", _shape(body, kind, chosen, place))
    number = server["id"]
    cloud.disks[number] = cloud.disks.get(chosen["id"], "")
    cloud.user_data[number] = body.get("user_data") or ""
    server["public_net"] = _public(cloud, server, has4=has4, has6=has6)
    server["public_net"]["firewalls"] = [{"id": wall["id"], "status": "applied"} for wall in walls]
    for wall in walls:
        wall["applied_to"].append({"type": "server", "server": {"id": number}})
    if group is not None:
        server["placement_group"] = group
        group["servers"].append(number)
    for row in body.get("volumes", []):
        volumes.plug(cloud, cloud.named("volumes", row, "volumes"), server)

    def made() -> None:
        server["status"] = "off"

    action = act(cloud, server, "create_server", made)
    following = [
        act(cloud, server, "attach_to_network", partial(networks.join, cloud, server, network)) for network in joined
    ]
    if body.get("start_after_create", True):
        wait = cloud.slow.get("create_server", cloud.action_s)
        following.append(
            cloud.act("start_server", [("server", number)], lambda: started(cloud, server), after=wait + 0.001)
        )
    password = None if keys else secrets.token_hex(10)
    return 201, {"server": server, "action": action, "next_actions": following, "root_password": password}


def _image(cloud: Cloud, key: str | int, architecture: str) -> Json:
    """By id; by name the one that fits the architecture, as the API does it."""
    rows = [row for row in cloud.tables["images"].values() if str(row["id"]) == str(key) or row["name"] == key]
    if not rows:
        raise invalid("image", f"image '{key}' not found")
    found = next((row for row in rows if row["architecture"] == architecture), rows[0])
    if found["status"] != "available":
        raise invalid("image", "image is not available")
    return found


def _is_available(kind: Json, place: str) -> bool:
    return any(one["name"] == place and one["available"] for one in kind["locations"])


def _shape(body: Json, kind: Json, chosen: Json, place: Json) -> Json:
    return {
        "id": 0,
        "name": body["name"],
        "status": "initializing",
        "created": stamp(),
        "public_net": {},
        "private_net": [],
        "server_type": kind,
        "datacenter": {
            "id": place["id"],
            "name": f"{place['name']}-dc1",
            "description": place["description"],
            "location": place,
            "server_types": {"available": [], "available_for_migration": [], "supported": []},
        },
        "location": place,
        "image": chosen,
        "iso": None,
        "rescue_enabled": False,
        "locked": False,
        "backup_window": None,
        "outgoing_traffic": 0,
        "ingoing_traffic": 0,
        "included_traffic": 21_990_232_555_520,
        "protection": {"delete": False, "rebuild": False},
        "labels": body.get("labels") or {},
        "volumes": [],
        "load_balancers": [],
        "primary_disk_size": kind["disk"],
        "placement_group": None,
    }


def _public(cloud: Cloud, server: Json, *, has4: bool, has6: bool) -> Json:
    net: Json = {"ipv4": None, "ipv6": None, "floating_ips": [], "firewalls": []}
    host = server["id"] % 60_000 + 1
    if has4:
        address = str(ip_network("203.0.0.0/8", strict=False)[host])
        name = f"static.{address}.example.test"
        net["ipv4"] = _primary(cloud, server, "ipv4", address, [{"ip": address, "dns_ptr": name}]) | {"dns_ptr": name}
    if has6:
        net["ipv6"] = _primary(cloud, server, "ipv6", f"2001:db8:{host:x}::/64", []) | {"dns_ptr": []}
    return net


def _primary(cloud: Cloud, server: Json, kind: str, address: str, names: list[Json]) -> Json:
    """An address of its own beside the server; what the server tells of it."""
    mine = cloud.fresh_id()
    told: Json = {"id": mine, "ip": address, "blocked": False}
    cloud.tables["primary_ips"][mine] = told | {
        "name": f"primary-ip-{mine}",
        "type": kind,
        "dns_ptr": names,
        "assignee_type": "server",
        "assignee_id": server["id"],
        "auto_delete": True,
        "datacenter": server["datacenter"],
        "location": server["location"],
        "protection": {"delete": False},
        "labels": {},
        "created": stamp(),
    }
    return told


def act(cloud: Cloud, server: Json, command: str, finish: Callable[[], None] = lambda: None) -> Json:
    """An action on a server, which is locked as long as it lasts."""
    action = cloud.act(command, [("server", server["id"])], finish)
    if command not in {"shutdown_server", "request_console"}:
        server["locked"] = True
    return action


def unlocked(call: Call) -> Json:
    """The server of this call; raises Refusal while something else is done to it."""
    server = call.cloud.row("servers", call.ids[0])
    if server["locked"]:
        raise Refusal(423, "locked", "server is locked")
    return server


@route("DELETE", "/servers/{id}")
def delete(call: Call) -> Answer:
    cloud, server = call.cloud, unlocked(call)
    if server["protection"]["delete"]:
        raise Refusal(403, "protected", "server deletion is protected")
    server["status"] = "deleting"
    return 200, {"action": act(cloud, server, "delete_server", lambda: _gone(cloud, server))}


def _gone(cloud: Cloud, server: Json) -> None:
    number = server["id"]
    cloud.tables["servers"].pop(number, None)
    for volume in cloud.tables["volumes"].values():
        if volume["server"] == number:
            volume["server"] = None
    for network in cloud.tables["networks"].values():
        network["servers"] = [one for one in network["servers"] if one != number]
    for wall in cloud.tables["firewalls"].values():
        wall["applied_to"] = [one for one in wall["applied_to"] if one.get("server", {}).get("id") != number]
    for balancer in cloud.tables["load_balancers"].values():
        balancer["targets"] = [one for one in balancer["targets"] if one.get("server", {}).get("id") != number]
    for floating in cloud.tables["floating_ips"].values():
        floating["server"] = None if floating["server"] == number else floating["server"]
    if server["placement_group"]:
        server["placement_group"]["servers"].remove(number)
    for address in [key for key, row in cloud.tables["primary_ips"].items() if row["assignee_id"] == number]:
        del cloud.tables["primary_ips"][address]
    for picture in [row for row in cloud.tables["images"].values() if row["bound_to"] == number]:
        del cloud.tables["images"][picture["id"]]


# -- power ----------------------------------------------------------------------------------------------------------


@route("POST", "/servers/{id}/actions/poweron")
def power_on(call: Call) -> Answer:
    cloud, server = call.cloud, unlocked(call)
    server["status"] = "starting" if server["status"] == "off" else server["status"]
    return 201, {"action": act(cloud, server, "start_server", lambda: started(cloud, server))}


@route("POST", "/servers/{id}/actions/poweroff")
def power_off(call: Call) -> Answer:
    cloud, server = call.cloud, unlocked(call)
    return 201, {"action": act(cloud, server, "stop_server", lambda: server.update(status="off"))}


@route("POST", "/servers/{id}/actions/shutdown")
def shutdown(call: Call) -> Answer:
    """Success means that the guest was asked; when it is off is its own affair."""
    cloud, server = call.cloud, unlocked(call)
    if not {0, server["id"]} & cloud.deaf:
        cloud.act("guest", [], lambda: server["status"] == "running" and server.update(status="off"))
    return 201, {"action": act(cloud, server, "shutdown_server")}


@route("POST", "/servers/{id}/actions/reboot")
@route("POST", "/servers/{id}/actions/reset")
def reboot(call: Call) -> Answer:
    cloud, server = call.cloud, unlocked(call)
    if server["status"] != "running":
        raise Refusal(422, "server_not_running", "server is not running")
    return 201, {"action": act(cloud, server, "reboot_server")}


# -- change ---------------------------------------------------------------------------------------------------------


@route("POST", "/servers/{id}/actions/change_type")
def change_type(call: Call) -> Answer:
    cloud, server = call.cloud, unlocked(call)
    kind = cloud.named("server_types", call.body["server_type"], "server_type")
    if server["status"] != "off":
        raise Refusal(422, "server_not_stopped", "server must be stopped")
    if kind["architecture"] != server["server_type"]["architecture"] or kind["disk"] < server["primary_disk_size"]:
        raise Refusal(422, "invalid_server_type", "server type does not fit")
    if not _is_available(kind, server["location"]["name"]):
        raise Refusal(412, "resource_unavailable", "server type is sold out")

    def done() -> None:
        server.update(status="off", server_type=kind)
        if call.body["upgrade_disk"]:
            server["primary_disk_size"] = kind["disk"]

    server["status"] = "migrating"
    return 201, {"action": act(cloud, server, "change_server_type", done)}


@route("POST", "/servers/{id}/actions/attach_iso")
def attach_iso(call: Call) -> Answer:
    cloud, server = call.cloud, unlocked(call)
    iso = cloud.named("isos", call.body["iso"], "iso")
    return 201, {"action": act(cloud, server, "attach_iso", lambda: server.update(iso=iso))}


@route("POST", "/servers/{id}/actions/detach_iso")
def detach_iso(call: Call) -> Answer:
    cloud, server = call.cloud, unlocked(call)
    return 201, {"action": act(cloud, server, "detach_iso", lambda: server.update(iso=None))}


@route("POST", "/servers/{id}/actions/attach_to_network")
def attach_to_network(call: Call) -> Answer:
    cloud, server = call.cloud, unlocked(call)
    network = cloud.named("networks", call.body["network"], "network")
    if any(net["network"] == network["id"] for net in server["private_net"]):
        raise Refusal(409, "server_already_attached", "server is already attached to this network")
    networks.check_zone(network, server["location"])
    address = call.body.get("ip") or ""
    networks.check_address(cloud, network, address)
    return 201, {
        "action": act(cloud, server, "attach_to_network", lambda: networks.join(cloud, server, network, address))
    }


@route("POST", "/servers/{id}/actions/detach_from_network")
def detach_from_network(call: Call) -> Answer:
    cloud, server = call.cloud, unlocked(call)
    network = cloud.named("networks", call.body["network"], "network")
    if not any(net["network"] == network["id"] for net in server["private_net"]):
        raise Refusal(404, "not_found", "server is not attached to this network")
    return 201, {"action": act(cloud, server, "detach_from_network", lambda: networks.leave(server, network))}


# -- images and the screen ------------------------------------------------------------------------------------------


@route("POST", "/servers/{id}/actions/create_image")
def create_image(call: Call) -> Answer:
    cloud, server = call.cloud, unlocked(call)
    source = server["image"] or {}
    row = image(
        0,
        name=None,
        description=call.body.get("description") or "Snapshot",
        flavor=source.get("os_flavor", "unknown"),
        version=source.get("os_version"),
        arch=server["server_type"]["architecture"],
    )
    row |= {
        "type": call.body.get("type", "snapshot"),
        "status": "creating",
        "disk_size": server["primary_disk_size"],
        "created": stamp(),
        "created_from": {"id": server["id"], "name": server["name"]},
        "labels": call.body.get("labels") or {},
        "rapid_deploy": False,
    }
    row = cloud.add("images", row)
    cloud.disks[row["id"]] = cloud.disks.get(server["id"], "")
    action = cloud.act(
        "create_image",
        [("server", server["id"]), ("image", row["id"])],
        lambda: row.update(status="available", image_size=1.3),
    )
    server["locked"] = True
    return 201, {"action": action, "image": row}


@route("PUT", "/images/{id}")
def change_image(call: Call) -> Answer:
    row = call.cloud.row("images", call.ids[0])
    if row["type"] == "system":
        raise Refusal(403, "forbidden", "system images cannot be changed")
    row |= {name: call.body[name] for name in ("description", "labels") if name in call.body}
    return 200, {"image": row}


@route("DELETE", "/images/{id}")
def delete_image(call: Call) -> Answer:
    row = call.cloud.row("images", call.ids[0])
    if row["type"] == "system":
        raise Refusal(403, "forbidden", "system images cannot be deleted")
    if row["protection"]["delete"]:
        raise Refusal(403, "protected", "image deletion is protected")
    del call.cloud.tables["images"][row["id"]]
    return 204, {}


@route("POST", "/servers/{id}/actions/rebuild")
def rebuild(call: Call) -> Answer:
    """Overwrites the disk with an image; afterwards the server runs, whatever it did before."""
    cloud, server = call.cloud, unlocked(call)
    if server["protection"]["rebuild"]:
        raise Refusal(403, "protected", "server rebuild is protected")
    chosen = _image(cloud, call.body["image"], server["server_type"]["architecture"])
    server["status"] = "rebuilding"

    def done() -> None:
        server.update(status="running", image=chosen)
        cloud.disks[server["id"]] = cloud.disks.get(chosen["id"], "")

    return 201, {"action": act(cloud, server, "rebuild_server", done), "root_password": secrets.token_hex(8)}


@route("POST", "/servers/{id}/actions/request_console")
def request_console(call: Call) -> Answer:
    cloud, server = call.cloud, call.cloud.row("servers", call.ids[0])
    if server["status"] != "running":
        raise Refusal(422, "server_not_running", "server is not running")
    token, password = secrets.token_hex(16), secrets.token_hex(4)
    cloud.consoles[token] = (server["id"], password)
    return 201, {
        "wss_url": f"{call.origin.replace('http', 'ws', 1)}/console?server_id={server['id']}&token={token}",
        "password": password,
        "action": act(cloud, server, "request_console"),
    }
