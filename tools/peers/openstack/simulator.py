"""The simulated cloud behind one port: Keystone, Nova, Neutron, Cinder, Glance and more, each under its path.

Every answer is decided on in one thread, so the services need no locks. `python -m tools.peers.openstack.simulator`
starts one to look at.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from tools.peers.openstack import balancers, names, network, objects, volume
from tools.peers.openstack.compute import Compute
from tools.peers.openstack.state import Cloud, Fault, Json, Refused, nova, now, shown

START_S = 20.0
SERVICES = {
    "identity": "identity/v3",
    "compute": "compute/v2.1",
    "network": "network",
    "block-storage": "volume/v3",
    "image": "image",
    "object-store": "swift/v1/AUTH_demo",
    "dns": "dns",
    "load-balancer": "balancing",
}
#: A DNS zone of the project.
ZONE = "kvweb.test"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Simulator:
    """One cloud on a port of loopback, served by a thread; `cloud` may be looked at and changed between calls."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, **settings: Any) -> None:
        self.cloud = Cloud(**settings)
        self._tls = tls
        self.url = ""
        self.compute = Compute(self.cloud, lambda: self.url)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="openstack-simulator", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_S):
            raise RuntimeError("The simulator did not start in time.")
        self.content = _fill(self.cloud)

    @property
    def auth_url(self) -> str:
        return f"{self.url}/identity/v3"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_S)

    def fail(self, where: str, kind: str, *, after: int = 0) -> None:
        """Let calls whose "METHOD /path" begins so go wrong from now on: "cut", "slow", or a status."""
        self.cloud.faults.append(Fault(where, kind, after))

    def heal(self) -> None:
        self.cloud.faults.clear()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application(middlewares=[self._guarded], client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._tls)
        self._loop.run_until_complete(site.start())
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(runner.cleanup())
            self._loop.close()

    # -- manners of all services ------------------------------------------------------------------------------------

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Answer) -> web.StreamResponse:
        self.cloud.calls += 1
        where = f"{request.method} {request.path}"
        for fault in self.cloud.faults:
            if where.startswith(fault.where) or fault.where == "*":
                if fault.after > 0:
                    fault.after -= 1
                    continue
                if fault.kind == "cut":
                    if request.transport is not None:
                        request.transport.abort()
                    raise web.HTTPBadRequest
                if fault.kind == "slow":
                    await asyncio.sleep(2)
                    continue
                return _refusal(int(fault.kind))
        known = {path.partition("/")[0] for path in SERVICES.values()}
        try:
            if request.path.strip("/").partition("/")[0] not in known:
                return _refusal(404)
            if "/identity" not in request.path and request.headers.get("X-Auth-Token") not in self.cloud.tokens:
                is_discovery = request.path.rstrip("/").rpartition("/")[2] in (
                    "compute",
                    "v2.1",
                    "volume",
                    "v3",
                    "image",
                    "dns",
                    "balancing",
                )
                if not is_discovery:
                    return _refusal(401)
            return await handler(request)
        except Refused as refused:
            return web.json_response(refused.body, status=refused.status, headers=refused.headers)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        parts = [part for part in request.path.split("/") if part]
        service, rest = (parts[0], parts[1:]) if parts else ("", [])
        answer: dict[str, Callable[..., Awaitable[web.StreamResponse]]] = {
            "identity": self._identity,
            "compute": self._nova,
            "volume": self._cinder,
            "network": self._neutron,
            "image": self._glance,
            "swift": self._swift,
            "dns": self._designate,
            "balancing": self._octavia,
        }
        if service not in answer:
            return _refusal(404)
        return await answer[service](request, rest)

    # -- Keystone ---------------------------------------------------------------------------------------------------

    async def _identity(self, request: web.Request, parts: list[str]) -> web.StreamResponse:
        if parts in ([], ["v3"]):
            return _versions(self.auth_url, "v3.14")
        if parts == ["v3", "auth", "projects"]:
            return web.json_response({"projects": [{"id": self.cloud.project_id, "name": "demo"}], "links": {}})
        if parts != ["v3", "auth", "tokens"]:
            return _refusal(404)
        wish = (await request.json())["auth"]
        refused = web.json_response(
            {"error": {"code": 401, "message": "The request you have made requires authentication."}}, status=401
        )
        identity = wish["identity"]
        if "application_credential" in identity["methods"]:
            credential = identity["application_credential"]
            if (credential.get("id"), credential["secret"]) != ("credential", self.cloud.password):
                return refused
            project: Json | None = {"name": "demo"}
        else:
            user = identity["password"]["user"]
            if (user.get("name"), user["password"]) != ("tester", self.cloud.password):
                return refused
            scope = wish.get("scope")
            project = scope["project"] if isinstance(scope, dict) else None
            if project and project.get("name") != "demo" and project.get("id") != self.cloud.project_id:
                return refused
        token = f"token-{len(self.cloud.tokens)}"
        self.cloud.tokens.add(token)
        return web.json_response({"token": self._token(project)}, status=201, headers={"X-Subject-Token": token})

    def _token(self, project: Json | None) -> Json:
        begin = datetime.now(UTC)
        form = "%Y-%m-%dT%H:%M:%S.000000Z"
        domain = {"id": "default", "name": "Default"}
        token: Json = {
            "methods": ["password"],
            "user": {"id": "u1", "name": "tester", "domain": domain},
            "issued_at": begin.strftime(form),
            "expires_at": (begin + timedelta(hours=1)).strftime(form),
            "audit_ids": ["a"],
        }
        if project is not None:
            token |= {
                "project": {"id": self.cloud.project_id, "name": "demo", "domain": domain},
                "roles": [{"id": "r1", "name": "member"}],
                "catalog": [
                    {
                        "id": kind,
                        "type": kind,
                        "name": kind,
                        "endpoints": [
                            {
                                "id": kind,
                                "interface": "public",
                                "region": "RegionOne",
                                "region_id": "RegionOne",
                                "url": f"{self.url}/{path}",
                            }
                        ],
                    }
                    for kind, path in SERVICES.items()
                    if kind not in self.cloud.absent
                ],
            }
        return token

    # -- Nova -------------------------------------------------------------------------------------------------------

    async def _nova(self, request: web.Request, parts: list[str]) -> web.StreamResponse:
        if len(parts) < 2:
            return _versions(f"{self.url}/compute/v2.1/", "v2.1", least="2.1", most="2.96")
        method, compute, cloud = request.method, self.compute, self.cloud
        match (method, *parts[1:]):
            case ("GET", "limits"):
                return web.json_response({"limits": {"rate": [], "absolute": compute.limits()}})
            case ("GET", "os-availability-zone"):
                told = [{"zoneName": zone, "zoneState": {"available": True}} for zone in cloud.zones]
                return web.json_response({"availabilityZoneInfo": told})
            case ("GET", "flavors", "detail"):
                return self._page(request, "flavors", list(cloud.of("flavors").values()))
            case ("GET", "flavors", one) if one in cloud.of("flavors"):
                return web.json_response({"flavor": shown(cloud.of("flavors")[one])})
            case ("GET", "servers", "detail"):
                by_old = request.headers.get("X-OpenStack-Nova-API-Version", "2.1") < "2.4"
                found = [compute.told(each, by_old=by_old) for each in compute.listed(request.query)]
                return self._page(request, "servers", found)
            case ("GET", "servers", server_id):
                return web.json_response({"server": compute.told(compute.server(server_id))})
            case ("POST", "servers"):
                return web.json_response({"server": compute.create((await request.json())["server"])}, status=202)
            case ("PUT", "servers", server_id):
                return web.json_response({"server": compute.update(server_id, (await request.json())["server"])})
            case ("DELETE", "servers", server_id):
                compute.delete(server_id)
            case ("POST", "servers", server_id, "action"):
                wish = await request.json()
                if "os-getConsoleOutput" in wish:
                    return web.json_response({"output": compute.output(server_id, wish["os-getConsoleOutput"])})
                compute.act(server_id, wish)
                return web.Response(status=202)
            case ("POST", "servers", server_id, "metadata"):
                compute.server(server_id)["metadata"].update((await request.json())["metadata"])
                return web.json_response({"metadata": compute.server(server_id)["metadata"]})
            case ("DELETE", "servers", server_id, "metadata", key):
                compute.server(server_id)["metadata"].pop(key)
            case ("POST", "servers", server_id, "os-volume_attachments"):
                wish = (await request.json())["volumeAttachment"]
                return web.json_response({"volumeAttachment": compute.attach(server_id, wish)})
            case ("PUT", "servers", server_id, "os-volume_attachments", volume_id):
                compute.keep(server_id, volume_id, (await request.json())["volumeAttachment"])
                return web.Response(status=202)
            case ("DELETE", "servers", server_id, "os-volume_attachments", volume_id):
                compute.detach(server_id, volume_id)
            case ("GET", "servers", server_id, "os-interface"):
                return web.json_response({"interfaceAttachments": compute.interfaces(server_id)})
            case ("POST", "servers", server_id, "os-interface"):
                compute.server(server_id)
                port = (await request.json())["interfaceAttachment"]["port_id"]
                network.bind(cloud, port, server_id)
                return web.json_response({"interfaceAttachment": {"port_id": port}})
            case ("DELETE", "servers", server_id, "os-interface", port_id):
                network.unplug(cloud, port_id)
            case ("POST", "servers", server_id, "remote-consoles"):
                wish = (await request.json())["remote_console"]
                return web.json_response({"remote_console": compute.console(server_id, wish)})
            case _:
                raise nova(404, "The resource could not be found.")
        return web.Response(status=204)

    # -- Cinder -----------------------------------------------------------------------------------------------------

    async def _cinder(self, request: web.Request, parts: list[str]) -> web.StreamResponse:
        if len(parts) < 2:
            return _versions(f"{self.url}/volume/v3/", "v3.0", least="3.0", most="3.71")
        cloud = self.cloud
        match (request.method, *parts[1:]):
            case ("GET", "limits"):
                return web.json_response({"limits": {"rate": [], "absolute": volume.limits(cloud)}})
            case ("GET", "types"):
                return self._page(request, "volume_types", list(cloud.of("types").values()))
            case ("GET", "volumes") | ("GET", "volumes", "detail"):
                found = list(cloud.of("volumes").values())
                found = [each for each in found if request.query.get("name", each["name"]) == each["name"]]
                return self._page(request, "volumes", found)
            case ("GET", "volumes", volume_id):
                return web.json_response({"volume": shown(volume.one(cloud, volume_id))})
            case ("POST", "volumes"):
                made = volume.create(cloud, (await request.json())["volume"])
                return web.json_response({"volume": shown(made)}, status=202)
            case ("DELETE", "volumes", volume_id):
                volume.delete(cloud, volume_id)
            case ("POST", "volumes", volume_id, "action"):
                return web.json_response(volume.act(cloud, volume_id, await request.json()), status=202)
            case _:
                raise nova(404, "The resource could not be found.")
        return web.Response(status=202)

    # -- Neutron ----------------------------------------------------------------------------------------------------

    async def _neutron(self, request: web.Request, parts: list[str]) -> web.StreamResponse:
        cloud = self.cloud
        match (request.method, *parts[1:]):
            case ("GET", kind) if kind in network.KINDS:
                found = [each for each in cloud.of(kind).values() if network.matches(each, request.query)]
                return self._page(request, kind.replace("-", "_"), found)
            case ("GET", kind, object_id) if kind in network.KINDS:
                return web.json_response({network.KINDS[kind]: shown(network.one(cloud, kind, object_id))})
            case ("POST", kind) if kind in network.KINDS:
                word = network.KINDS[kind]
                made = network.create(cloud, kind, (await request.json())[word])
                return web.json_response({word: shown(made)}, status=201)
            case ("PUT", "routers", router_id, "add_router_interface"):
                return web.json_response(network.add_interface(cloud, router_id, await request.json()))
            case ("PUT", "routers", router_id, "remove_router_interface"):
                return web.json_response(network.remove_interface(cloud, router_id, await request.json()))
            case ("PUT", kind, object_id) if kind in network.KINDS:
                word = network.KINDS[kind]
                changed = network.update(cloud, kind, object_id, (await request.json())[word])
                return web.json_response({word: shown(changed)})
            case ("DELETE", kind, object_id) if kind in network.KINDS:
                network.delete(cloud, kind, object_id)
                return web.Response(status=204)
        return _refusal(404)

    # -- Glance -----------------------------------------------------------------------------------------------------

    async def _glance(self, request: web.Request, parts: list[str]) -> web.StreamResponse:
        cloud = self.cloud
        if len(parts) < 2:
            return _versions(f"{self.url}/image/v2/", "v2.16", plural=True)
        images = cloud.of("images")
        if parts[1] == "images" and len(parts) > 2 and parts[2] not in images:
            return web.Response(status=404, text=f"<html><body>No image found with ID {parts[2]}</body></html>")
        match (request.method, *parts[1:]):
            case ("GET", "images"):
                wanted = {key: request.query[key] for key in ("name", "status") if key in request.query}
                found = [each for each in images.values() if all(each.get(key) == wanted[key] for key in wanted)]
                return self._page(request, "images", found)
            case ("GET", "images", image_id):
                return web.json_response(shown(images[image_id]))
            case ("POST", "images"):
                wish = {"status": "queued", "created_at": now(), "size": None, "min_disk": 0, **await request.json()}
                return web.json_response(shown(cloud.new("images", wish)), status=201)
            case ("PUT", "images", image_id, "file"):
                cloud.blobs[image_id] = data = await request.read()
                images[image_id].update(status="active", size=len(data), virtual_size=len(data))
            case ("GET", "images", image_id, "file"):
                return web.Response(body=cloud.blobs.get(image_id, b""))
            case ("DELETE", "images", image_id):
                images.pop(image_id)
                cloud.blobs.pop(image_id, None)
            case _:
                return _refusal(404)
        return web.Response(status=204)

    # -- Swift, Designate, Octavia ----------------------------------------------------------------------------------

    async def _swift(self, request: web.Request, parts: list[str]) -> web.StreamResponse:
        # A key may have slashes, also two in a row.
        container, _, key = request.path.removeprefix(f"/{SERVICES['object-store']}").lstrip("/").partition("/")
        body = await request.read() if request.method == "PUT" else b""
        return objects.answer(self.cloud, request, container, key, body)

    async def _designate(self, request: web.Request, parts: list[str]) -> web.StreamResponse:
        if len(parts) < 2:
            links = [{"rel": "self", "href": f"{self.url}/dns/v2"}]
            return web.json_response({"versions": {"values": [{"id": "v2", "status": "CURRENT", "links": links}]}})
        cloud = self.cloud
        match (request.method, *parts[1:]):
            case ("GET", "zones"):
                wanted = request.query.get("name", "")
                found = [each for each in cloud.of("zones").values() if wanted in ("", each["name"])]
                return self._page(request, "zones", found)
            case ("GET", "zones", zone, "recordsets"):
                return self._page(request, "recordsets", names.sets_of(cloud, zone))
            case ("POST", "zones", zone, "recordsets"):
                return web.json_response(shown(names.create(cloud, zone, await request.json())), status=202)
            case ("GET", "zones", zone, "recordsets", one):
                return web.json_response(shown(names.one(cloud, zone, one)))
            case ("PUT", "zones", zone, "recordsets", one):
                return web.json_response(shown(names.update(cloud, zone, one, await request.json())), status=202)
            case ("DELETE", "zones", zone, "recordsets", one):
                return web.json_response(shown(names.delete(cloud, zone, one)), status=202)
        return _refusal(404)

    async def _octavia(self, request: web.Request, parts: list[str]) -> web.StreamResponse:
        if len(parts) < 2:
            links = [{"rel": "self", "href": f"{self.url}/balancing/v2"}]
            return web.json_response({"versions": [{"id": "v2.26", "status": "CURRENT", "links": links}]})
        cloud = self.cloud
        match (request.method, *parts[2:]):
            case ("GET", "loadbalancers"):
                return self._page(request, "loadbalancers", list(cloud.of("loadbalancers").values()))
            case ("GET", "listeners"):
                owner = request.query.get("load_balancer_id", "")
                return self._page(request, "listeners", balancers.listeners_of(cloud, owner))
            case ("POST", "loadbalancers"):
                made = balancers.create(cloud, (await request.json())["loadbalancer"])
                return web.json_response({"loadbalancer": shown(made)}, status=201)
            case ("GET", "loadbalancers", one):
                return web.json_response({"loadbalancer": shown(balancers.one(cloud, one))})
            case ("GET", "loadbalancers", one, "status"):
                return web.json_response({"statuses": {"loadbalancer": balancers.tree(cloud, one)}})
            case ("DELETE", "loadbalancers", one):
                balancers.delete(cloud, one, cascade=request.query.get("cascade") == "true")
                return web.Response(status=204)
        return _refusal(404)

    def _page(self, request: web.Request, key: str, items: list[Json]) -> web.StreamResponse:
        """A part of a list, and where the next one begins."""
        marker = request.query.get("marker")
        if marker:
            ids = [each["id"] for each in items]
            items = items[ids.index(marker) + 1 :] if marker in ids else []
        limit = min(int(request.query.get("limit", self.cloud.page)), self.cloud.page)
        page = [shown(each) for each in items[:limit]]
        body: Json = {key: page}
        if len(items) > limit:
            following = f"{request.path}?limit={limit}&marker={page[-1]['id']}"
            if "/image/" in request.path:
                body["next"] = following
            elif "/dns/" in request.path:
                body["links"] = {"next": self.url + following}
            else:
                body[f"{key}_links"] = [{"rel": "next", "href": self.url + following}]
        return web.json_response(body)


def _versions(url: str, version: str, *, least: str = "", most: str = "", plural: bool = False) -> web.StreamResponse:
    told = {
        "id": version,
        "status": "CURRENT",
        "version": most,
        "min_version": least,
        "updated": "2026-01-01T00:00:00Z",
        "links": [{"rel": "self", "href": url}],
    }
    if plural:
        return web.json_response({"versions": [told]})
    return web.json_response({"version": told})


def _refusal(status: int) -> web.StreamResponse:
    headers = {"Retry-After": "7"} if status == 429 else {}
    body = {"error": {"code": status, "message": f"The simulator answers {status}."}}
    return web.json_response(body, status=status, headers=headers)


def _fill(cloud: Cloud) -> dict[str, str]:
    """What tests may use; the ids by what they are for."""
    for number, (name, memory_mib, vcpus) in enumerate((("kvweb.tiny", 64, 1), ("kvweb.small", 512, 2)), start=1):
        flavor: Json = {"name": name, "ram": memory_mib, "vcpus": vcpus, "disk": 1, "swap": 0}
        cloud.new("flavors", {"id": str(number), **flavor})
    cloud.new("types", {"name": "__DEFAULT__"})
    image = {"name": "tiny", "status": "active", "disk_format": "raw", "size": 65536, "virtual_size": 65536}
    image_id = cloud.new("images", {**image, "min_disk": 0, "created_at": now()})["id"]
    network.create(cloud, "security-groups", {"name": "default"})
    outside = network.create(cloud, "networks", {"name": "public", "router:external": True, "project_id": "admins"})
    ids = {"image": str(image_id), "outside": str(outside["id"])}
    for word, name, cidr in (("network", "inner", "10.20.0.0/20"), ("other_network", "other", "10.21.0.0/24")):
        made = network.create(cloud, "networks", {"name": name})
        network.create(cloud, "subnets", {"network_id": made["id"], "cidr": cidr, "ip_version": 4, "name": name})
        ids[word] = str(made["id"])
    cloud.new("zones", {"name": f"{ZONE}.", "ttl": 3600, "status": "ACTIVE"})
    leads_out = network.create(
        cloud, "routers", {"name": "out", "external_gateway_info": {"network_id": outside["id"]}}
    )
    inner = next(each for each in cloud.of("subnets").values() if each["network_id"] == ids["network"])
    network.add_interface(cloud, leads_out["id"], {"subnet_id": inner["id"]})
    return ids


def main() -> None:
    simulator = Simulator(delay_s=1.0)
    print(json.dumps({"auth_url": simulator.auth_url, "username": "tester", "password": "right", "project": "demo"}))
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        simulator.stop()


if __name__ == "__main__":
    main()
