"""The screen of a server: a websocket of Hetzner's, for which each look needs a fresh address and password."""

from __future__ import annotations

from providers.base import Conflict, ConsoleKind, Consoles, ConsoleTarget, NotSupported, PowerState, WebSocketConsole
from providers.hcloud.part import Part
from providers.hcloud.records import power_of


class HcloudConsoles(Part, Consoles):
    def open(self, external_id: str, kind: ConsoleKind) -> ConsoleTarget:
        server = self.server(external_id)
        if kind is not ConsoleKind.VNC:
            raise NotSupported("VMs at Hetzner have a screen, and no serial line.")
        if power_of(server) is not PowerState.RUNNING:
            raise Conflict("The VM does not run.")
        answer = self.api.post(f"/servers/{external_id}/actions/request_console")
        self.api.settle(answer["action"])
        return WebSocketConsole(url=answer["wss_url"], subprotocols=("binary",), password=answer["password"])
