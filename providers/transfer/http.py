"""Asking a web server for a file: each redirect is checked as the first address was, and nothing is waited for long.

The standard library's client is used, because the connection must be made to an address that was checked before, and
because the answer is read as it comes, without anything in between.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from providers.base import FetchRules, InvalidRequest, NotFound, Unreachable
from providers.transfer.addresses import allowed_addresses

CONNECT_S = 15.0
#: A server that says nothing for this long has gone.
SILENCE_S = 30.0
#: … and one that keeps talking must bring this much in each such span; slower ones never end.
SPAN_S, LEAST_BYTES = 60.0, 64 * 1024
#: Pieces that come slowly are passed on after this long.
_GATHER_S = 0.25
_REDIRECTS = {301, 302, 303, 307, 308}
_HOPS_MOST = 8
PIECE_BYTES = 1024 * 1024


@dataclass
class Answer:
    """A file that a server is sending. `length` is None where the server does not say it."""

    url: str
    length: int | None
    _response: http.client.HTTPResponse

    def pieces(self) -> Iterator[bytes]:
        """What comes, piece by piece; raises Unreachable when it is cut short, or comes too slowly to ever end."""
        received, span_began, span_bytes = 0, time.monotonic(), 0
        while piece := self._piece():
            received += len(piece)
            span_bytes += len(piece)
            yield piece
            if time.monotonic() - span_began > SPAN_S:
                if span_bytes < LEAST_BYTES:
                    raise Unreachable("The server sends so slowly that it would never end.")
                span_began, span_bytes = time.monotonic(), 0
        if self.length is not None and received != self.length:
            raise Unreachable(
                "The server broke off in the middle of the file.", f"{received} of {self.length} bytes from {self.url}"
            )

    def _piece(self) -> bytes:
        """A whole piece, or what came within a moment: each step waits for silence only, never for a whole piece."""
        steps, size, end = [], 0, time.monotonic() + _GATHER_S
        while size < PIECE_BYTES and time.monotonic() < end:
            try:
                step = self._response.read1(PIECE_BYTES - size)
            except (OSError, http.client.HTTPException) as exc:
                raise Unreachable("The server broke off in the middle of the file.", _words(exc)) from exc
            if not step:
                break
            steps.append(step)
            size += len(step)
        return b"".join(steps)


@contextmanager
def ask(url: str, rules: FetchRules) -> Iterator[Answer]:
    """The server's answer with the file. Raises InvalidRequest for an address that may not be asked, NotFound where
    there is nothing, Unreachable for all that may be different later."""
    for _ in range(_HOPS_MOST):
        connection = _connected(url, rules)
        try:
            response = _asked(connection, url)
            if response.status in _REDIRECTS:
                url = urljoin(url, response.headers.get("Location") or url)
                continue
            _demand_file(response, url)
            length = response.headers.get("Content-Length", "")
            yield Answer(url, int(length) if length.isdigit() else None, response)
        finally:
            connection.close()
        return
    raise Unreachable("The address leads in circles.", url)


def read_small(url: str, rules: FetchRules, *, most: int = 1024 * 1024) -> str:
    """A small text, for instance a list of checksums."""
    with ask(url, rules) as answer:
        content = b""
        for piece in answer.pieces():
            content += piece
            if len(content) > most:
                raise InvalidRequest("The list of checksums is much too long to be one.", url, field="checksum")
    return content.decode(errors="replace")


def check_url(url: str, rules: FetchRules) -> SplitResult:
    """The parts of an address that may be asked; raises InvalidRequest."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise InvalidRequest("This is no web address.", str(exc), field="url") from exc
    if parts.scheme not in {"https", "http"} or not parts.hostname or port == 0:
        raise InvalidRequest("Give an address that begins with https://.", field="url")
    if parts.scheme == "http" and not rules.http:
        raise InvalidRequest(
            "Only https addresses are fetched: http cannot show that the file is genuine.", field="url"
        )
    if parts.username or parts.password:
        raise InvalidRequest("Addresses with a user name or password in them are not fetched.", field="url")
    if not url.isascii() or any(character <= " " for character in url):
        raise InvalidRequest("The address has characters that no address has; copy it again.", field="url")
    return parts


def _connected(url: str, rules: FetchRules) -> http.client.HTTPConnection:
    parts = check_url(url, rules)
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    failure: Exception | None = None
    for address in allowed_addresses(host, port, rules.networks):
        line: socket.socket | None = None
        try:
            line = socket.create_connection((address, port), timeout=CONNECT_S)
            if is_tls:
                line = ssl.create_default_context().wrap_socket(line, server_hostname=host)
        except ssl.SSLCertVerificationError as exc:
            raise Unreachable(f"The certificate of “{host}” is not to be trusted.", str(exc)) from exc
        except OSError as exc:
            failure = exc
            if line is not None:
                line.close()
            continue
        line.settimeout(SILENCE_S)
        # Given its socket, the client connects nowhere itself; it adds the port to the Host header where it must.
        connection: http.client.HTTPConnection
        connection = (http.client.HTTPSConnection if is_tls else http.client.HTTPConnection)(host, port)
        connection.sock = line
        return connection
    raise Unreachable(f"“{host}” does not answer.", _words(failure))


def _asked(connection: http.client.HTTPConnection, url: str) -> http.client.HTTPResponse:
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        # As it lies there: an encoding on the way would change what the checksum is of.
        connection.request("GET", path, headers={"Accept-Encoding": "identity", "User-Agent": "kvweb"})
        return connection.getresponse()
    except (OSError, http.client.HTTPException) as exc:
        raise Unreachable(f"“{parts.hostname}” does not answer.", _words(exc)) from exc


def _demand_file(response: http.client.HTTPResponse, url: str) -> None:
    status = response.status
    if status in {404, 410}:
        raise NotFound("There is no file at this address.", url, field="url")
    if status in {401, 403}:
        raise InvalidRequest("The server does not give this file to everybody.", f"{status} {url}", field="url")
    if status != 200:
        raise Unreachable(f"The server answered with an error ({status}).", url)


def _words(exc: Exception | None) -> str:
    return f"{type(exc).__name__}: {exc}" if exc else ""
