"""The screen of a simulated server: a websocket that speaks RFB, drawn by the simulated cloud's guest."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing, suppress

from aiohttp import WSMsgType, web

from providers.base import PowerState
from providers.fake.console.guest import Line
from providers.fake.console.rfb import Screen
from providers.fake.console.wire import served
from providers.fake.state import Image, Vm
from providers.fake.store import Store
from tools.peers.hcloud.cloud import Cloud


class Guest(Line):
    """A line to the simulated guest that ends when its server does not run any more."""

    def __init__(self, store: Store, vm: Vm, cloud: Cloud, server: int) -> None:
        super().__init__(store, vm.id, vm.runs, start_s=0.0, stop_s=0.0)
        self._cloud, self._server = cloud, server

    def tick(self) -> str | None:
        with self._cloud.lock:
            self._cloud.advance()
            row = self._cloud.tables["servers"].get(self._server)
            if row is None or row["status"] != "running":
                return None
        return super().tick()


def _screen(cloud: Cloud, server: int, name: str, password: str) -> socket.socket:
    def serve(sock: socket.socket) -> None:
        with closing(Store("")) as store:
            vm = Vm(id="vm-1", name=name, power=PowerState.RUNNING, memory_mib=4096, vcpus=2, image="image-1")
            with store.writing() as tx:
                tx.put(Image(id="image-1", name="debian", pool="", default_user="root"))
                tx.put(vm)
            Screen(Guest(store, vm, cloud, server), sock, name=name, password=password).serve()

    return served(serve, f"hcloud-console-{server}")


async def answer(request: web.Request, cloud: Cloud) -> web.StreamResponse:
    """GET /console: the token of request_console is good for one connection."""
    with cloud.lock:
        known = cloud.consoles.pop(request.query.get("token", ""), None)
        row = cloud.tables["servers"].get(known[0]) if known else None
    if known is None or row is None:
        return web.json_response({"error": {"code": "unauthorized", "message": "unknown token"}}, status=401)
    socket_ = web.WebSocketResponse(protocols=("binary",), max_msg_size=1 << 20)
    await socket_.prepare(request)
    reader, writer = await asyncio.open_connection(sock=_screen(cloud, known[0], row["name"], known[1]))

    async def outwards() -> None:
        while data := await reader.read(65536):
            await socket_.send_bytes(data)
        await socket_.close()

    task = asyncio.create_task(outwards())
    try:
        async for message in socket_:
            if message.type is WSMsgType.BINARY:
                writer.write(message.data)
                await writer.drain()
    finally:
        task.cancel()
        writer.close()
        with suppress(asyncio.CancelledError, OSError):
            await task
    return socket_
