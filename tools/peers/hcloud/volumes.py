"""Volumes of the simulated cloud."""

from __future__ import annotations

from tools.peers.hcloud.catalogue import Json
from tools.peers.hcloud.cloud import Cloud, Refusal, invalid, stamp
from tools.peers.hcloud.routing import Answer, Call, changeable, readable, route

SMALLEST_GB, LARGEST_GB = 10, 10_240

readable("volumes", "volume")
changeable("volumes", "volume")


@route("POST", "/volumes")
def create(call: Call) -> Answer:
    cloud, body = call.cloud, call.body
    if not SMALLEST_GB <= body["size"] <= LARGEST_GB:
        raise invalid("size", f"must be between {SMALLEST_GB} and {LARGEST_GB}")
    server = cloud.named("servers", body["server"], "server") if body.get("server") else None
    if server is None and not body.get("location"):
        raise invalid("location", "location or server is needed")
    if server is not None and server["locked"]:
        raise Refusal(423, "locked", "server is locked")
    place = server["location"] if server else cloud.named("locations", body["location"], "location")
    row = cloud.add(
        "volumes",
        {
            "id": 0,
            "created": stamp(),
            "name": body["name"],
            "server": None,
            "location": place,
            "size": body["size"],
            "linux_device": "",
            "protection": {"delete": False},
            "labels": body.get("labels") or {},
            "status": "creating",
            "format": body.get("format"),
        },
    )
    row["linux_device"] = f"/dev/disk/by-id/scsi-0HC_Volume_{row['id']}"
    following = []
    if server is not None:
        following = [_attach(cloud, row, server)]
    action = cloud.act("create_volume", [("volume", row["id"])], lambda: row.update(status="available"))
    return 201, {"volume": row, "action": action, "next_actions": following}


def plug(cloud: Cloud, row: Json, server: Json) -> None:
    """At once, as part of making a server."""
    if row["server"] is not None:
        raise Refusal(409, "volume_already_attached", "volume is already attached")
    if row["location"]["name"] != server["location"]["name"]:
        raise invalid("volumes", "volume is in another location")
    row["server"] = server["id"]
    server["volumes"].append(row["id"])


def _attach(cloud: Cloud, row: Json, server: Json) -> Json:
    plug(cloud, row, server)
    server["locked"] = True
    return cloud.act("attach_volume", [("volume", row["id"]), ("server", server["id"])])


@route("POST", "/volumes/{id}/actions/attach")
def attach(call: Call) -> Answer:
    cloud, row = call.cloud, call.cloud.row("volumes", call.ids[0])
    server = cloud.named("servers", call.body["server"], "server")
    if server["locked"]:
        raise Refusal(423, "locked", "server is locked")
    return 201, {"action": _attach(cloud, row, server)}


@route("POST", "/volumes/{id}/actions/detach")
def detach(call: Call) -> Answer:
    cloud, row = call.cloud, call.cloud.row("volumes", call.ids[0])
    server = cloud.tables["servers"].get(row["server"] or 0)
    if server is None:
        raise Refusal(422, "service_error", "volume is not attached")
    if server["locked"]:
        raise Refusal(423, "locked", "server is locked")

    def done() -> None:
        row["server"] = None
        server["volumes"] = [one for one in server["volumes"] if one != row["id"]]

    server["locked"] = True
    return 201, {"action": cloud.act("detach_volume", [("volume", row["id"]), ("server", server["id"])], done)}


@route("POST", "/volumes/{id}/actions/resize")
def resize(call: Call) -> Answer:
    cloud, row = call.cloud, call.cloud.row("volumes", call.ids[0])
    size = call.body["size"]
    if not row["size"] < size <= LARGEST_GB:
        raise invalid("size", "must be larger than the volume is")
    return 201, {"action": cloud.act("resize_volume", [("volume", row["id"])], lambda: row.update(size=size))}


@route("DELETE", "/volumes/{id}")
def delete(call: Call) -> Answer:
    row = call.cloud.row("volumes", call.ids[0])
    if row["server"] is not None:
        raise Refusal(422, "service_error", "volume is attached to a server")
    if row["protection"]["delete"]:
        raise Refusal(403, "protected", "volume deletion is protected")
    del call.cloud.tables["volumes"][row["id"]]
    return 204, {}
