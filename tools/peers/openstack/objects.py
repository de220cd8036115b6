"""Swift: containers and objects. Errors are pages, as there."""

from __future__ import annotations

from aiohttp import web

from tools.peers.openstack.state import Cloud, Json, Refused

READERS = "X-Container-Read"


def answer(cloud: Cloud, request: web.Request, container: str, key: str, body: bytes) -> web.StreamResponse:
    """One call. The account itself has no container, a container no key."""
    containers: dict[str, Json] = cloud.kinds.setdefault("containers", {})
    if not container:
        return _list(request, [{"name": name, "count": len(each["objects"])} for name, each in containers.items()])
    if request.method == "PUT" and not key:
        status = 202 if container in containers else 201
        kept = containers.setdefault(container, {"objects": {}, "readers": ""})
        kept["readers"] = request.headers.get(READERS, kept["readers"])
        return web.Response(status=status)
    if container not in containers:
        return _page(404, "Not Found")
    held = containers[container]
    if not key:
        match request.method:
            case "HEAD":
                return web.Response(status=204, headers={READERS: held["readers"]} if held["readers"] else {})
            case "GET":
                return _list(request, [{"name": name, "bytes": len(data)} for name, data in held["objects"].items()])
            case "DELETE" if held["objects"]:
                return _page(409, "There was a conflict when trying to complete your request.")
            case "DELETE":
                containers.pop(container)
                return web.Response(status=204)
        return _page(405, "Method Not Allowed")
    objects: dict[str, bytes] = held["objects"]
    if request.method == "PUT":
        used = sum(len(data) for each in containers.values() for data in each["objects"].values())
        if used + len(body) > cloud.quota.get("object_bytes", 1 << 30):
            return _page(413, "Upload exceeds quota.")
        objects[key] = body
        return web.Response(status=201)
    if key not in objects:
        return _page(404, "Not Found")
    if request.method == "DELETE":
        objects.pop(key)
        return web.Response(status=204)
    return web.Response(body=objects[key])


def _list(request: web.Request, rows: list[Json]) -> web.StreamResponse:
    limit = int(request.query.get("limit", 10_000))
    ordered = sorted(rows, key=lambda row: str(row["name"]))
    return web.json_response([row for row in ordered if row["name"] > request.query.get("marker", "")][:limit])


def _page(status: int, words: str) -> web.StreamResponse:
    if status == 413:
        raise Refused(status, {"error": {"code": status, "message": words}})
    return web.Response(status=status, text=f"<html><h1>{words}</h1></html>", content_type="text/html")
