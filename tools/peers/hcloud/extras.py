"""What stands around servers in the simulated cloud: floating addresses, placement groups, protection, news."""

from __future__ import annotations

from tools.peers.hcloud.catalogue import Json
from tools.peers.hcloud.cloud import Cloud, Refusal, stamp
from tools.peers.hcloud.routing import Answer, Call, changeable, paged, readable, route
from tools.peers.hcloud.servers import act, unlocked

readable("floating_ips", "floating_ip")
changeable("floating_ips", "floating_ip")
changeable("placement_groups", "placement_group")


# -- news --------------------------------------------------------------------------------------------------------------


@route("GET", "/servers/actions")
def actions(call: Call) -> Answer:
    rows = [
        row
        for row in call.cloud.tables["actions"].values()
        if any(resource["type"] == "server" for resource in row["resources"])
    ]
    field_name, _, direction = (call.first("sort") or "id:asc").partition(":")
    return paged(call, "actions", sorted(rows, key=lambda row: row[field_name], reverse=direction == "desc"))


# -- firewalls ---------------------------------------------------------------------------------------------------------


@route("POST", "/firewalls/{id}/actions/apply_to_resources")
def apply_firewall(call: Call) -> Answer:
    return _walls(call, call.body["apply_to"], applied=True)


@route("POST", "/firewalls/{id}/actions/remove_from_resources")
def remove_firewall(call: Call) -> Answer:
    return _walls(call, call.body["remove_from"], applied=False)


def _walls(call: Call, resources: list[Json], *, applied: bool) -> Answer:
    cloud, wall = call.cloud, call.cloud.row("firewalls", call.ids[0])
    made = []
    for resource in resources:
        server = cloud.named("servers", resource["server"]["id"], "apply_to")
        listed = server["public_net"]["firewalls"]
        has_it = any(one["id"] == wall["id"] for one in listed)
        if applied and has_it:
            raise Refusal(422, "firewall_already_applied", "firewall is already applied to the server")
        if not applied and not has_it:
            raise Refusal(422, "firewall_already_removed", "firewall is not applied to the server")
        kept = [one for one in listed if one["id"] != wall["id"]]
        server["public_net"]["firewalls"] = [*kept, {"id": wall["id"], "status": "applied"}] if applied else kept
        others = [one for one in wall["applied_to"] if one.get("server", {}).get("id") != server["id"]]
        mine = [{"type": "server", "server": {"id": server["id"]}}] if applied else []
        wall["applied_to"] = others + mine
        command = "apply_firewall" if applied else "remove_firewall"
        made.append(cloud.act(command, [("server", server["id"]), ("firewall", wall["id"])]))
    return 201, {"actions": made}


# -- floating addresses ------------------------------------------------------------------------------------------------


@route("POST", "/floating_ips")
def create_floating(call: Call) -> Answer:
    cloud, body = call.cloud, call.body
    number = len(cloud.tables["floating_ips"]) + 1
    row = {
        "id": 0,
        "name": body["name"],
        "description": body.get("description"),
        "ip": f"198.51.100.{number}" if body["type"] == "ipv4" else f"2001:db8:f:{number}::/64",
        "type": body["type"],
        "server": None,
        "dns_ptr": [],
        "home_location": cloud.named("locations", body.get("home_location") or "fsn1", "home_location"),
        "blocked": False,
        "protection": {"delete": False},
        "labels": body.get("labels") or {},
        "created": stamp(),
    }
    return 201, {"floating_ip": cloud.add("floating_ips", row)}


@route("POST", "/floating_ips/{id}/actions/assign")
def assign(call: Call) -> Answer:
    cloud, row = call.cloud, call.cloud.row("floating_ips", call.ids[0])
    server = cloud.named("servers", call.body["server"], "server")
    _lead(cloud, row, server["id"])
    resources = [("server", server["id"]), ("floating_ip", row["id"])]
    return 201, {"action": cloud.act("assign_floating_ip", resources)}


@route("POST", "/floating_ips/{id}/actions/unassign")
def unassign(call: Call) -> Answer:
    cloud, row = call.cloud, call.cloud.row("floating_ips", call.ids[0])
    _lead(cloud, row, None)
    return 201, {"action": cloud.act("unassign_floating_ip", [("floating_ip", row["id"])])}


def _lead(cloud: Cloud, row: Json, number: int | None) -> None:
    """To this server from now on, and to no other."""
    row["server"] = number
    for server in cloud.tables["servers"].values():
        others = [one for one in server["public_net"]["floating_ips"] if one != row["id"]]
        server["public_net"]["floating_ips"] = [*others, row["id"]] if server["id"] == number else others


# -- placement groups --------------------------------------------------------------------------------------------------


@route("POST", "/placement_groups")
def create_group(call: Call) -> Answer:
    row = {
        "id": 0,
        "name": call.body["name"],
        "type": call.body["type"],
        "servers": [],
        "labels": call.body.get("labels") or {},
        "created": stamp(),
    }
    return 201, {"placement_group": call.cloud.add("placement_groups", row), "action": None}


@route("POST", "/servers/{id}/actions/add_to_placement_group")
def join_group(call: Call) -> Answer:
    cloud, server = call.cloud, unlocked(call)
    group = cloud.named("placement_groups", call.body["placement_group"], "placement_group")
    if server["status"] != "off":
        raise Refusal(422, "server_not_stopped", "server must be stopped")
    if server["placement_group"]:
        raise Refusal(422, "already_in_placement_group", "server is in a placement group")
    server["placement_group"] = group
    group["servers"].append(server["id"])
    return 201, {"action": act(cloud, server, "add_to_placement_group")}


@route("POST", "/servers/{id}/actions/remove_from_placement_group")
def leave_group(call: Call) -> Answer:
    cloud, server = call.cloud, unlocked(call)
    group = server["placement_group"]
    if not group:
        raise Refusal(422, "not_in_placement_group", "server is in no placement group")
    group["servers"].remove(server["id"])
    server["placement_group"] = None
    return 201, {"action": act(cloud, server, "remove_from_placement_group")}


# -- backups and protection --------------------------------------------------------------------------------------------


@route("POST", "/servers/{id}/actions/enable_backup")
def enable_backup(call: Call) -> Answer:
    cloud, server = call.cloud, unlocked(call)
    return 201, {"action": act(cloud, server, "enable_backup", lambda: server.update(backup_window="22-02"))}


@route("POST", "/servers/{id}/actions/disable_backup")
def disable_backup(call: Call) -> Answer:
    cloud, server = call.cloud, unlocked(call)
    return 201, {"action": act(cloud, server, "disable_backup", lambda: server.update(backup_window=None))}


@route("POST", "/servers/{id}/actions/change_protection")
def change_protection(call: Call) -> Answer:
    cloud, server = call.cloud, unlocked(call)
    if call.body.get("delete") is not call.body.get("rebuild"):
        raise Refusal(422, "invalid_input", "delete and rebuild must be the same")
    wished = {name: call.body[name] for name in ("delete", "rebuild")}
    return 201, {"action": act(cloud, server, "change_protection", lambda: server.update(protection=wished))}
