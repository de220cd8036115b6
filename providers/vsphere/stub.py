"""What carries calls to the server: one connection kept open, a deadline on each answer, the session renewed.

pyvmomi's own adapter waits for ever unless told otherwise, has no deadline for an answer that trickles, and makes
objects of everything; `raw` hands out the answer's XML instead, which is what reading a thousand VMs needs.
"""

from __future__ import annotations

import gzip
import http.client
import io
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

from providers.vsphere.errors import Answer, fault_is
from providers.vsphere.native import soap, support

#: A connection that nobody used so long may be closed at the other end by now.
_IDLE_S = 20.0
_PIECE = 1024 * 1024
#: Asking these again after a lost line changes nothing.
_READING = ("Retrieve", "ContinueRetrieve", "Fetch", "Find", "Query", "CurrentTime", "Login", "CreateContainerView")


class Stub(soap.SoapStubAdapterBase):  # type: ignore[misc]
    """Used by one thread at a time, but for `cancel`-like calls: a second call in the meantime gets its own line."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, timeout_s: float) -> None:
        super().__init__(version="vim.version.version10")
        self.host, self.port, self.timeout_s = host, port, timeout_s
        self.calls = 0
        self.cookie = ""
        self.requestContext: dict[str, str] = {}  # the base class reads it and does not make it
        self.renew: Callable[[], None] | None = None
        """Logs in again; called once for a call that found its session ended."""
        self.has_session = True
        """False when logging in again failed: the next call tries that first."""
        self._context = context
        self._lock = threading.Lock()
        self._idle: tuple[http.client.HTTPSConnection, float] | None = None

    # -- pyvmomi's side ---------------------------------------------------------------------------------------------

    def InvokeMethod(self, mo: Any, info: Any, args: Any, outerStub: Any = None) -> Any:  # noqa: N802, N803 - pyvmomi's
        del outerStub
        return self._answered(mo, info, args, self._object)

    def raw(self, mo: Any, method: str, *args: Any) -> bytes:
        """Call a method with all its arguments in their order, and take its answer's XML as it is."""
        info = mo._GetMethodInfo(method)
        body: bytes = self._answered(mo, info, args, lambda body, info: body)
        return body

    def _answered(self, mo: Any, info: Any, args: Any, read: Callable[[bytes, Any], Any]) -> Any:
        if self.renew and not self.has_session:
            self.renew()
        for attempt in (1, 2):
            request = self.SerializeRequest(mo, info, args)
            status, body = self.post(request, again=info.wsdlName.startswith(_READING))
            if status == http.HTTPStatus.OK:
                return read(body, info)
            fault = self._object(body, info)
            if attempt == 1 and self.renew and fault_is(fault, "vim.fault.NotAuthenticated"):
                self.renew()
                continue
            raise fault
        raise AssertionError("Two attempts, and neither ended.")

    def _object(self, body: bytes, info: Any) -> Any:
        return soap.SoapResponseDeserializer(self).Deserialize(io.BytesIO(body), info.result)

    # -- the line ---------------------------------------------------------------------------------------------------

    def post(self, request: bytes, *, again: bool) -> tuple[int, bytes]:
        """One SOAP call; only 200 and 500 come back, the two that SOAP uses."""
        headers = {"Cookie": self.cookie, "SOAPAction": self.versionId, "Content-Type": "text/xml; charset=utf-8"}
        status, body, cookie = self._exchange("POST", "/sdk", request, headers, again=again)
        if cookie:
            self.cookie = cookie.partition(";")[0]
        return status, body

    def get(self, path: str) -> bytes:
        """A plain document of the server's."""
        _, body, _ = self._exchange("GET", path, None, {}, again=True)
        return body

    def _exchange(
        self, verb: str, path: str, body: bytes | None, headers: dict[str, str], *, again: bool
    ) -> tuple[int, bytes, str]:
        self.calls += 1
        line, is_fresh = self._line()
        try:
            try:
                return self._once(line, verb, path, body, headers)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                if is_fresh or not again:
                    raise
                line.close()
                line, _ = self._line()
                return self._once(line, verb, path, body, headers)
        except BaseException:
            line.close()
            raise

    def _once(
        self, line: http.client.HTTPSConnection, verb: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, bytes, str]:
        until = time.monotonic() + self.timeout_s
        line.request(verb, path, body, {**headers, "Accept-Encoding": "gzip", "User-Agent": "kvweb"})
        response = line.getresponse()
        content = io.BytesIO()
        while piece := response.read(_PIECE):
            content.write(piece)
            if time.monotonic() > until:
                raise TimeoutError(f"The answer did not end within {self.timeout_s:g} s.")
        if response.status not in (http.HTTPStatus.OK, http.HTTPStatus.INTERNAL_SERVER_ERROR):
            raise Answer(response.status, response.reason, response.getheader("Retry-After", ""))
        self._keep(line)
        is_packed = response.getheader("Content-Encoding", "").lower() == "gzip"
        found = gzip.decompress(content.getvalue()) if is_packed else content.getvalue()
        return response.status, found, response.getheader("Set-Cookie", "")

    def _line(self) -> tuple[http.client.HTTPSConnection, bool]:
        """A connection, and whether it is a new one."""
        with self._lock:
            idle, self._idle = self._idle, None
        if idle is not None:
            line, used_at = idle
            if time.monotonic() - used_at < _IDLE_S:
                return line, False
            line.close()
        return http.client.HTTPSConnection(self.host, self.port, timeout=self.timeout_s, context=self._context), True

    def _keep(self, line: http.client.HTTPSConnection) -> None:
        with self._lock:
            if self._idle is None:
                self._idle = (line, time.monotonic())
                return
        line.close()

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, None
        if idle is not None:
            idle[0].close()

    # -- files of datastores ----------------------------------------------------------------------------------------

    def file_line(self) -> tuple[http.client.HTTPSConnection, dict[str, str]]:
        """A connection of its own for a long transfer, to be closed by the caller, and the session's header."""
        self.calls += 1
        line = http.client.HTTPSConnection(self.host, self.port, timeout=self.timeout_s, context=self._context)
        return line, {"Cookie": self.cookie}

    def line_to(self, url: str) -> tuple[http.client.HTTPSConnection, str]:
        """A connection to where a lease wants its files, to be closed by the caller, and the path there. Hosts are
        trusted as the server is; one that calls itself "*" is the server."""
        self.calls += 1
        parts = urlsplit(url)
        is_here = parts.hostname in (None, "*")
        host, port = (self.host, self.port) if is_here else (str(parts.hostname), parts.port or 443)
        line = http.client.HTTPSConnection(host, port, timeout=self.timeout_s, context=self._context)
        return line, parts.path + (f"?{parts.query}" if parts.query else "")


def file_path(path: str, *, datacenter: str, datastore: str) -> str:
    """Where a file of a datastore is to be had over HTTPS."""
    return f"/folder/{quote(path)}?dcPath={quote(datacenter, safe='')}&dsName={quote(datastore, safe='')}"


def newest_common(versions: list[str]) -> str:
    """pyvmomi's name of the first of these versions that it knows; the oldest it speaks where it knows none."""
    for version in versions:
        known = support.versionMap.get(f"vim25/{version}")
        if known:
            return str(known)
    return "vim.version.version10"
