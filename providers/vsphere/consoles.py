"""Consoles: the screen, by a ticket that vSphere gives for one connection (WebMKS)."""

from __future__ import annotations

from providers.base import Conflict, ConsoleKind, Consoles, ConsoleTarget, NotSupported, PowerState, WebSocketConsole
from providers.vsphere.connection import trust
from providers.vsphere.errors import vendor_calls
from providers.vsphere.part import Part
from providers.vsphere.records import power_of

_BOOT = "summary.runtime.bootTime"


class VsphereConsoles(Part, Consoles):
    def open(self, external_id: str, kind: ConsoleKind) -> ConsoleTarget:
        """The host that runs the VM is connected directly: a websocket on its port 443, opened with RFB's greeting.

        Certificates of hosts are checked as the vCenter's own is: usually the same authority signs both.
        """
        with vendor_calls():
            found, _ = self.look(external_id, _BOOT)
            if kind is not ConsoleKind.VNC:
                raise NotSupported("vSphere offers no serial lines.")
            if power_of(found)[0] is not PowerState.RUNNING:
                raise Conflict("The VM does not run.")
            ticket = self.handle(external_id).AcquireTicket("webmks")
            url = ticket.url or f"wss://{ticket.host or self.config.host}:{ticket.port or 443}/ticket/{ticket.ticket}"
            return WebSocketConsole(
                url=url,
                subprotocols=("binary",),
                tls=trust(self.config),
                endpoint=f"{external_id}:{found.text(_BOOT)}",
            )
