"""The door before the simulated vCenter: it speaks TLS, hands every request on, and fails as it is told.

A fault is for one SOAP method, or for "*": a vSphere fault or an HTTP status without asking the simulator, or the line
is cut before or after the simulator did what was asked.
"""

from __future__ import annotations

import http.client
import re
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from lxml import etree

from tools.peers.vsphere.authority import Papers

_METHOD = re.compile(rb"<(?:\w+:)?Body[^>]*>\s*<(?:\w+:)?([A-Za-z_]+)")
_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_VIM = "urn:vim25"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_PASSED = ("Content-Type", "Cookie", "SOAPAction", "Accept-Encoding")
_RETURNED = ("Content-Type", "Set-Cookie", "Content-Encoding")
_PEER_S = 60.0


@dataclass(slots=True)
class Fault:
    """What goes wrong: `fault` is a vSphere type such as NoDiskSpace, `status` one of HTTP."""

    method: str
    fault: str = ""
    status: int = 0
    cut: str = ""
    """ "before" or "after" the simulator was asked."""
    delay_s: float = 0.0
    after: int = 0
    """So many calls of the method pass first."""
    times: int = -1


class Door:
    """A TLS server on a free port of the loopback before the peer's port."""

    def __init__(self, papers: Papers, peer: int) -> None:
        self.peer = peer
        self.calls: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self._lock = threading.Lock()
        door = self

        class Handler(_Handler):
            owner = door

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(papers.certificate, papers.key)
        # The handshake happens in the thread of the connection: one that never comes must not keep others out.
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @contextmanager
    def failing(self, method: str, **how: Any) -> Iterator[Fault]:
        """Calls of the method fail inside the block."""
        fault = Fault(method, **how)
        self.faults.append(fault)
        try:
            yield fault
        finally:
            self.faults.remove(fault)

    def met(self, method: str) -> Fault | None:
        """The fault that this call meets, counted."""
        with self._lock:
            self.calls[method] += 1
            for fault in self.faults:
                if fault.method not in (method, "*") or fault.times == 0:
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: Door
    timeout = _PEER_S
    disable_nagle_algorithm = True
    _line: http.client.HTTPConnection | None = None

    def do_POST(self) -> None:
        self._handle()

    def do_GET(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        named = _METHOD.search(body) if self.command == "POST" else None
        method = named.group(1).decode() if named else self.command
        fault = self.owner.met(method)
        if fault is None:
            self._pass_on(body)
            return
        time.sleep(fault.delay_s)
        if fault.cut == "before":
            self._cut()
        elif fault.cut == "after":
            self._ask(body)
            self._cut()
        elif fault.status:
            self._answer(fault.status, b"", {"Retry-After": "7"})
        elif fault.fault:
            self._answer(500, soap_fault(fault.fault), {"Content-Type": "text/xml; charset=utf-8"})
        else:
            self._pass_on(body)

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if self._line is None:
            self._line = http.client.HTTPConnection("127.0.0.1", self.owner.peer, timeout=_PEER_S)
        headers = {name: self.headers[name] for name in _PASSED if self.headers.get(name)}
        self._line.request(self.command, self.path, body or None, headers)
        response = self._line.getresponse()
        found = {name: value for name in _RETURNED if (value := response.getheader(name))}
        return response.status, found, response.read()

    def _pass_on(self, body: bytes) -> None:
        status, headers, content = self._ask(body)
        self._answer(status, content, headers)

    def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.close()

    def finish(self) -> None:
        if self._line is not None:
            self._line.close()
        try:
            super().finish()
        except (OSError, ValueError):
            # The line was cut on purpose, or the client has gone.
            self.close_connection = True

    def handle(self) -> None:
        try:
            super().handle()
        except (OSError, http.client.HTTPException, ValueError):
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Quiet: a test says what it needs to."""


def soap_fault(kind: str) -> bytes:
    """A vSphere fault as a server sends it."""
    envelope = etree.Element(f"{{{_ENVELOPE}}}Envelope", nsmap={"soapenv": _ENVELOPE, "xsi": _XSI})
    fault = etree.SubElement(etree.SubElement(envelope, f"{{{_ENVELOPE}}}Body"), f"{{{_ENVELOPE}}}Fault")
    etree.SubElement(fault, "faultcode").text = "ServerFaultCode"
    etree.SubElement(fault, "faultstring").text = f"a made-up {kind}"
    detail = etree.SubElement(fault, "detail")
    etree.SubElement(
        detail, f"{{{_VIM}}}{kind}Fault", {f"{{{_XSI}}}type": kind}, nsmap=cast(dict[str, str], {None: _VIM})
    )
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")
