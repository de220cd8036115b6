"""The simulated cloud as a server on a port of this machine, in a thread; and a page to control it by."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from tools.peers.hcloud import console, extras, networks, servers, services, volumes
from tools.peers.hcloud.catalogue import Json
from tools.peers.hcloud.cloud import Cloud, Fault, Refusal
from tools.peers.hcloud.contract import Contract
from tools.peers.hcloud.routing import Call, find

#: Modules whose routes are served.
SERVED = (extras, networks, servers, services, volumes)
PREFIX = "/v1"
LIMIT = 3600
START_S = 10.0


class Peer:
    """One simulated project. `with Peer() as peer:` serves it at `peer.url`; `contract` checks what goes through."""

    def __init__(
        self,
        cloud: Cloud | None = None,
        contract: Contract | None = None,
        *,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.cloud = cloud or Cloud()
        self.contract = contract
        self.violations: list[str] = []
        """What did not keep to the contract, request or answer."""
        self._port, self._tls, self.url = port, tls, ""
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="hcloud-peer", daemon=True)

    # -- life -------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Peer:
        self._thread.start()
        if not self._ready.wait(START_S):
            raise RuntimeError("The simulated Hetzner Cloud did not start.")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(START_S)

    async def _serve(self) -> None:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_get("/console", self._console)
        app.router.add_post("/control", self._control)
        app.router.add_route("*", "/{rest:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._port, ssl_context=self._tls)
        await site.start()
        self._port = runner.addresses[0][1]
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}{PREFIX}"
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    # -- faults -----------------------------------------------------------------------------------------------------

    @contextmanager
    def failing(self, kind: str, **where: Any) -> Iterator[Fault]:
        """Requests inside the block that fit fail; see `Fault`."""
        fault = Fault(kind, **where)
        with self.cloud.lock:
            self.cloud.faults.append(fault)
        try:
            yield fault
        finally:
            with self.cloud.lock:
                self.cloud.faults.remove(fault)

    async def _control(self, request: web.Request) -> web.Response:
        """POST /control {"fault": {…}} adds a fault, {"clear": true} takes all away, {"set": {…}} sets fields."""
        wish = await request.json()
        with self.cloud.lock:
            if wish.get("clear"):
                self.cloud.faults.clear()
            if "fault" in wish:
                self.cloud.faults.append(Fault(**wish["fault"]))
            for name, value in wish.get("set", {}).items():
                setattr(self.cloud, name, type(getattr(self.cloud, name))(value))
            told = {"faults": [dataclasses.asdict(one) for one in self.cloud.faults], "requests": len(self.cloud.seen)}
        return web.json_response(told)

    async def _console(self, request: web.Request) -> web.StreamResponse:
        return await console.answer(request, self.cloud)

    # -- requests ---------------------------------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix(PREFIX)
        with self.cloud.lock:
            self.cloud.seen.append((request.method, path))
            fault = next((one for one in self.cloud.faults if one.fits(request.method, path)), None)
        if fault is not None and fault.seconds:
            await asyncio.sleep(fault.seconds)
        if fault is not None and fault.kind == "lost":
            with self.cloud.lock:
                self._handle(request, path, json.loads(await request.text() or "{}"), None)
        if fault is not None and fault.kind in {"cut", "lost"}:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        text = await request.text()
        try:
            body: Json = json.loads(text) if text else {}
        except ValueError:
            body = {}
        with self.cloud.lock:
            status, told = self._handle(request, path, body, fault)
            sent = json.dumps(told).encode() if status != 204 else b""
        headers = {
            "RateLimit-Limit": str(LIMIT),
            "RateLimit-Remaining": "0" if status == 429 else str(max(0, LIMIT - len(self.cloud.seen))),
            "RateLimit-Reset": str(int(time.time()) + 7),
            "X-Correlation-Id": f"sim-{len(self.cloud.seen)}",
        }
        return web.Response(status=status, body=sent, headers=headers, content_type="application/json")

    def _handle(self, request: web.Request, path: str, body: Json, fault: Fault | None) -> tuple[int, Json]:
        told_path = path
        try:
            self._admit(request, fault)
            handler, ids, told_path = find(request.method, path)
            self._note(self.contract.check_request(request.method, told_path, body) if self.contract else "")
            self.cloud.advance()
            params: dict[str, list[str]] = {}
            for name, value in request.query.items():
                params.setdefault(name, []).append(value)
            origin = f"{request.scheme}://{request.host}"
            call = Call(cloud=self.cloud, ids=ids, params=params, body=body, origin=origin)
            status, answer = handler(call)
        except Refusal as exc:
            status = exc.status
            answer = {"error": {"code": exc.code, "message": exc.message, "details": exc.details}}
        except (KeyError, TypeError, ValueError) as exc:
            status, answer = 422, {"error": {"code": "invalid_input", "message": repr(exc), "details": None}}
        self._note(self.contract.check_response(request.method, told_path, status, answer) if self.contract else "")
        return status, answer

    def _note(self, wrong: str) -> None:
        if wrong:
            self.violations.append(wrong)

    def _admit(self, request: web.Request, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        if kind == "auth" or request.headers.get("Authorization") != f"Bearer {self.cloud.token}":
            raise Refusal(401, "unauthorized", "the token you are using is invalid")
        if kind == "readonly" and request.method != "GET":
            raise Refusal(403, "token_readonly", "the token is only allowed to perform GET requests")
        if kind == "rate_limited":
            raise Refusal(429, "rate_limit_exceeded", "limit of 3600 requests per hour reached")
        if kind == "unavailable":
            raise Refusal(503, "unavailable", "service unavailable")
        if kind == "unknown":
            raise Refusal(500, "teapot", "something that nobody has ever seen")
        if kind and kind not in {"hang", "slow", "readonly"}:
            raise Refusal(422, kind, f"simulated {kind}")
