"""The request that opens a console: read strictly, refused early. Nothing here touches the database.

The grant's id stands in the path; its token travels in the list of sub-protocols, since paths end up in logs.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.http.cookie import parse_cookie
from django.http.request import split_domain_port, validate_host
from django.utils.http import is_same_domain
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

#: More than a browser ever sends with our cookies.
HEAD_BYTES = 16 * 1024
PATH = re.compile(r"/ws/console/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
#: Ours carries sentences as text frames beside the machine's bytes; "binary" is what plain clients ask for.
PROTOCOL = "kvweb.console"
PLAIN_PROTOCOL = "binary"
TOKEN_PREFIX = "kvweb.token."  # noqa: S105 - the name of a field
#: Headers that decide; two of them are an attempt to make two readers disagree.
SINGLE = {b"host", b"origin", b"upgrade", b"sec-websocket-key", b"sec-websocket-version", b"cookie"} | {
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-forwarded-for",
}


class BadRequest(Exception):
    """Answered in HTTP, before there is a websocket; `status` and a short sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class Headers(Mapping[str, str]):
    """What websockify wants to read: a mapping whose names have no case; it is given them in small letters."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True, slots=True)
class Request:
    """A well-formed request for a console, from an origin of ours."""

    grant_id: UUID
    token: str = field(repr=False)
    session_key: str = field(repr=False)
    protocol: str
    address: str | None
    headers: Headers = field(repr=False)


class _Head:
    """What the parser found so far; it calls these methods."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_whole = False

    def on_url(self, part: bytes) -> None:
        self.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.is_whole = True


class Reader:
    """Collects a request's head; `feed` answers None until it is whole. Raises BadRequest."""

    def __init__(self, *, trust_forwarded: bool) -> None:
        self._head = _Head()
        self._parser: HttpRequestParser | None = HttpRequestParser(self._head)
        self._trust_forwarded = trust_forwarded
        self._seen = 0

    def feed(self, data: bytes, peer: str | None) -> Request | None:
        parser = self._parser
        if parser is None:
            raise BadRequest(400, "One request is enough.")
        self._seen += len(data)
        if self._seen > HEAD_BYTES:
            raise BadRequest(431, "The request is too large.")
        try:
            parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._parser = None
            if upgrade.args[0] < len(data):
                raise BadRequest(400, "A browser waits for the answer.") from upgrade
            return self._understand(parser.get_method(), parser.get_http_version(), peer)
        except HttpParserError as exc:
            raise BadRequest(400, "This is not a request.") from exc
        if self._head.is_whole:
            # Not an upgrade, whose head is all there is; the answer says what else is wrong with it.
            self._parser = None
            self._understand(parser.get_method(), parser.get_http_version(), peer)
            raise BadRequest(426, "Consoles are opened as websockets.")
        return None

    def _understand(self, method: bytes, version: str, peer: str | None) -> Request:
        headers = _headers(self._head.headers)
        match = PATH.fullmatch(self._head.target.decode("latin-1"))
        if method != b"GET" or match is None:
            raise BadRequest(404, "There is nothing here.")
        if (
            version != "1.1"
            or headers.get("upgrade", "").lower() != "websocket"
            or not headers.get("sec-websocket-key")
        ):
            raise BadRequest(426, "Consoles are opened as websockets.")
        if headers.get("sec-websocket-version") != "13":
            raise BadRequest(426, "This version of websockets is not spoken here.")
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            raise BadRequest(400, "A request for a console has nothing but a head.")
        check_origin(headers, trust_forwarded=self._trust_forwarded)
        offered = [word.strip() for word in headers.get("sec-websocket-protocol", "").split(",")]
        tokens = [word.removeprefix(TOKEN_PREFIX) for word in offered if word.startswith(TOKEN_PREFIX)]
        protocol = next((name for name in (PROTOCOL, PLAIN_PROTOCOL) if name in offered), "")
        if len(tokens) != 1 or not protocol:
            raise BadRequest(400, "The console's token is missing.")
        return Request(
            grant_id=UUID(match[1]),
            token=tokens[0],
            session_key=parse_cookie(headers.get("cookie", "")).get(settings.SESSION_COOKIE_NAME, ""),
            protocol=protocol,
            address=self._address(headers, peer),
            headers=Headers({**headers, "sec-websocket-protocol": protocol}),
        )

    def _address(self, headers: Mapping[str, str], peer: str | None) -> str | None:
        return _written_out(
            headers.get("x-forwarded-for", "").rsplit(",", 1)[-1].strip() if self._trust_forwarded else peer or ""
        )


def _headers(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    values: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name not in values:
            values[name] = value
        elif raw_name in SINGLE:
            raise BadRequest(400, "A header is there twice.")
        else:
            values[name] += f",{value}"
    return values


def check_origin(headers: Mapping[str, str], *, trust_forwarded: bool) -> None:
    """A page of another origin can make a browser connect here, cookie and all; this is what stops it."""
    scheme, host = "http", headers.get("host", "")
    if trust_forwarded:
        scheme = headers.get("x-forwarded-proto", scheme).rsplit(",", 1)[-1].strip()
        host = headers.get("x-forwarded-host", host).rsplit(",", 1)[-1].strip()
    if not _is_ours(host, tuple(settings.ALLOWED_HOSTS)):
        raise BadRequest(400, "This host name is not the portal's.")
    if not _may_open(headers.get("origin", ""), f"{scheme}://{host}", tuple(settings.CSRF_TRUSTED_ORIGINS)):
        raise BadRequest(403, "Consoles open from the portal's own pages only.")


# Browsers name the same few hosts and origins again and again, and come from the same addresses.
@functools.lru_cache(1024)
def _written_out(address: str) -> str | None:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return None


@functools.lru_cache(256)
def _is_ours(host: str, allowed_hosts: tuple[str, ...]) -> bool:
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, allowed_hosts)


@functools.lru_cache(256)
def _may_open(origin: str, ours: str, trusted: tuple[str, ...]) -> bool:
    return _is_same(origin, ours) or any(_is_trusted(origin, pattern) for pattern in trusted)


def _parts(origin: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(origin)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return None
    if not parts.hostname or parts.scheme not in {"http", "https"} or parts.path or parts.query or parts.fragment:
        return None
    return parts.scheme, parts.hostname.lower(), port


def _is_same(origin: str, ours: str) -> bool:
    parts = _parts(origin)
    return parts is not None and parts == _parts(ours)


def _is_trusted(origin: str, pattern: str) -> bool:
    """As Django reads CSRF_TRUSTED_ORIGINS: exact, or with a star for all sub-domains."""
    if "*" not in pattern:
        return _is_same(origin, pattern)
    parts, wanted = _parts(origin), _parts(pattern.replace("*", "star", 1))
    if parts is None or wanted is None:
        return False
    same_door = (parts[0], parts[2]) == (wanted[0], wanted[2])
    return same_door and is_same_domain(parts[1], wanted[1].removeprefix("star"))
