"""Designate: zones and their recordsets, which are PENDING until the servers have them."""

from __future__ import annotations

from tools.peers.openstack.state import Cloud, Json, Refused, now


def designate(status: int, kind: str, message: str) -> Refused:
    return Refused(status, {"code": status, "type": kind, "message": message})


def sets_of(cloud: Cloud, zone_id: str) -> list[Json]:
    _zone(cloud, zone_id)
    return [each for each in cloud.of("recordsets").values() if each["zone_id"] == zone_id]


def one(cloud: Cloud, zone_id: str, set_id: str) -> Json:
    found = cloud.of("recordsets").get(set_id)
    if found is None or found["zone_id"] != zone_id:
        raise designate(404, "recordset_not_found", "Could not find RecordSet")
    return found


def create(cloud: Cloud, zone_id: str, wish: Json) -> Json:
    zone = _zone(cloud, zone_id)
    if not wish["name"].endswith(zone["name"]):
        raise designate(400, "invalid_recordset_location", "RecordSet is not contained within it's parent zone")
    if any((each["name"], each["type"]) == (wish["name"], wish["type"]) for each in sets_of(cloud, zone_id)):
        raise designate(409, "duplicate_recordset", "Duplicate RecordSet")
    _check(wish)
    base = {"zone_id": zone_id, "status": "PENDING", "action": "CREATE", "created_at": now(zulu=False)}
    made = cloud.new("recordsets", {**base, "ttl": wish.get("ttl"), **wish})
    cloud.later(made, lambda: made.update(status="ACTIVE", action="NONE"))
    return made


def update(cloud: Cloud, zone_id: str, set_id: str, change: Json) -> Json:
    found = one(cloud, zone_id, set_id)
    _check({**found, **change})
    found |= {**change, "status": "PENDING", "action": "UPDATE"}
    cloud.later(found, lambda: found.update(status="ACTIVE", action="NONE"))
    return found


def delete(cloud: Cloud, zone_id: str, set_id: str) -> Json:
    found = one(cloud, zone_id, set_id)
    found |= {"status": "PENDING", "action": "DELETE"}
    cloud.later(found, lambda: cloud.kinds["recordsets"].pop(set_id, None))
    return found


def _zone(cloud: Cloud, zone_id: str) -> Json:
    found = cloud.of("zones").get(zone_id)
    if found is None:
        raise designate(404, "zone_not_found", "Could not find Zone")
    return found


def _check(wish: Json) -> None:
    """What Designate's own schemas refuse and a driver may get wrong."""
    for record in wish["records"]:
        if wish["type"] == "CNAME" and not record.endswith("."):
            raise designate(400, "invalid_object", "Provided object does not match schema")
        if wish["type"] == "TXT" and " " in record and not record.startswith('"'):
            raise designate(400, "invalid_object", "Provided object does not match schema")
