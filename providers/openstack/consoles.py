"""Consoles: Nova gives an address with a token, good for some minutes, of its own WebSocket proxies."""

from __future__ import annotations

import ssl
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from providers.base import MOST_OUTPUT, Conflict, ConsoleKind, Consoles, ConsoleTarget, NotSupported, WebSocketConsole
from providers.openstack.errors import vendor_calls
from providers.openstack.servers import ServerPart, is_up

#: More lines than fit into what is read at once.
_MOST_LINES = 4000
_TYPES = {ConsoleKind.VNC: ("vnc", "novnc"), ConsoleKind.SERIAL: ("serial", "serial")}


class OpenStackConsoles(ServerPart, Consoles):
    def open(self, external_id: str, kind: ConsoleKind) -> ConsoleTarget:
        with vendor_calls():
            server = self.server(external_id)
            if not is_up(server) and server["status"] != "PAUSED":
                raise Conflict("The VM does not run.", server["status"])
            if kind not in self.console_kinds:
                raise NotSupported("This cloud offers no such console.")
            protocol, name = _TYPES[kind]
            wish = {"remote_console": {"protocol": protocol, "type": name}}
            try:
                told = self.cloud.compute.post(f"/servers/{external_id}/remote-consoles", wish)["remote_console"]
            except Exception as exc:
                if getattr(exc, "status_code", 0) == 400:
                    raise Conflict("The cloud does not offer this console.", str(exc)) from exc
                raise
        url = str(told["url"])
        return WebSocketConsole(
            url=socket_url(url),
            subprotocols=("binary",),
            headers={"Origin": _origin(url), **_cookie(url)},
            # Usually the same authority signs for the cloud's services and for its proxies.
            tls=ssl.create_default_context(cadata=self.config.ca) if self.config.ca else None,
        )

    def output(self, external_id: str) -> bytes:
        """The action os-getConsoleOutput; Nova has it by itself, without a serial proxy.

        https://docs.openstack.org/api-ref/compute/#show-console-output-os-getconsoleoutput-action
        """
        with vendor_calls():
            self.server(external_id)
            wish = {"os-getConsoleOutput": {"length": _MOST_LINES}}
            try:
                told = self.cloud.compute.post(f"/servers/{external_id}/action", wish)["output"]
            except Exception as exc:
                if getattr(exc, "status_code", 0) == 501:
                    raise NotSupported("This cloud keeps no output of VMs.", str(exc)) from exc
                raise
        data = str(told or "").encode()[-MOST_OUTPUT:]
        if not data:
            raise Conflict("The cloud has no output of this VM yet.")
        return data


def socket_url(url: str) -> str:
    """The proxy's own address behind that of its page: …/vnc_auto.html?path=%3Ftoken%3D… speaks at ws://…/?token=…"""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    token = query.get("token", [""])[0]
    path = parts.path
    if "path" in query:
        # noVNC's page joins this to its host: "?token=…", or "websockify?token=…" behind some gateways.
        inner = urlsplit(query["path"][0])
        token = parse_qs(inner.query).get("token", [token])[0]
        path = "/" + inner.path.lstrip("/")
    elif path.endswith(".html"):
        path = "/"
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, path or "/", urlencode({"token": token}) if token else parts.query, ""))


def _origin(url: str) -> str:
    """The proxy compares it with the host that it is asked under."""
    parts = urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    return f"{scheme}://{parts.netloc}"


def _cookie(url: str) -> dict[str, str]:
    """Proxies before Ussuri read the token here, and newer ones take it, too."""
    token = parse_qs(urlsplit(socket_url(url)).query).get("token", [""])[0]
    return {"Cookie": f"token={token}"} if token else {}
