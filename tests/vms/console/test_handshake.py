"""What is refused before there is a websocket, and what is read from a good request."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.vms.console.browser import Browser
from vms.console.handshake import HEAD_BYTES, BadRequest, Reader, Request

GRANT = "0d9a34b5-6d6c-4a4e-9f8a-1c2f3a4b5c6d"
PATH = f"/ws/console/{GRANT}"


def head(path: str = PATH, /, **changed: str | None) -> bytes:
    return Browser.request(None, path, "secret", "sess", **changed)  # type: ignore[arg-type]


def read(data: bytes, *, trust_forwarded: bool = True) -> Request | None:
    return Reader(trust_forwarded=trust_forwarded).feed(data, "198.51.100.9")


def test_a_good_request() -> None:
    request = read(head())
    assert request is not None
    assert request.grant_id == UUID(GRANT)
    assert (request.token, request.session_key, request.protocol) == ("secret", "sess", "kvweb.console")
    assert request.address == "192.0.2.7"
    assert "secret" not in repr(request)
    assert "sess" not in repr(request)


def test_it_may_come_byte_by_byte() -> None:
    reader, data = Reader(trust_forwarded=True), head()
    for position in range(len(data) - 1):
        assert reader.feed(data[position : position + 1], None) is None
    assert reader.feed(data[-1:], None) is not None


def test_without_a_proxy_of_ours_nothing_forwarded_is_believed() -> None:
    request = read(head(), trust_forwarded=False)
    assert request is not None
    assert request.address == "198.51.100.9"
    with pytest.raises(BadRequest) as error:
        read(head(Host="portal.test", Origin="https://portal.test"), trust_forwarded=False)
    assert error.value.status == 403


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Origin": "http://evil.test"}, 403),
        ({"Origin": "https://portal.test"}, 403),
        ({"Origin": "http://portal.test:8080"}, 403),
        ({"Origin": "http://portal.test.evil.test"}, 403),
        ({"Origin": "http://portal.test/"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": None}, 403),
        ({"Origin": "http://evil.test\r\nOrigin: http://portal.test"}, 400),
        ({"Host": "portal.test\r\nHost: evil.test"}, 400),
        ({"Host": ""}, 400),
        ({"Upgrade": None}, 426),
        ({"Sec-WebSocket-Version": "8"}, 426),
        ({"Sec-WebSocket-Key": None}, 426),
        ({"Sec-WebSocket-Protocol": None}, 400),
        ({"Sec-WebSocket-Protocol": "kvweb.console"}, 400),
        ({"Sec-WebSocket-Protocol": "kvweb.token.x"}, 400),
        ({"Sec-WebSocket-Protocol": "kvweb.console, kvweb.token.x, kvweb.token.y"}, 400),
    ],
)
def test_what_is_refused(changed: dict[str, str | None], status: int) -> None:
    with pytest.raises(BadRequest) as error:
        read(head(**changed))
    assert error.value.status == status


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/ws/console/",
        f"{PATH}/",
        f"{PATH}?token=1",
        "/ws/console/../../etc/passwd",
        PATH.upper(),
        f"http://x{PATH}",
    ],
)
def test_other_paths_lead_nowhere(path: str) -> None:
    with pytest.raises(BadRequest) as error:
        read(head(path))
    assert error.value.status == 404


@pytest.mark.parametrize("origin", ["https://other.example", "https://a.wild.example", "https://b.a.wild.example"])
def test_trusted_origins_open_consoles_too(origin: str, settings: object) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://other.example", "https://*.wild.example"]  # type: ignore[attr-defined]
    assert read(head(Origin=origin)) is not None


@pytest.mark.parametrize("origin", ["http://a.wild.example", "https://wild.example.evil", "https://awild.example"])
def test_a_star_is_for_sub_domains_only(origin: str, settings: object) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://*.wild.example"]  # type: ignore[attr-defined]
    with pytest.raises(BadRequest):
        read(head(Origin=origin))


def test_other_host_names_are_refused_when_they_are_listed(settings: object) -> None:
    settings.ALLOWED_HOSTS = ["portal.example"]  # type: ignore[attr-defined]
    with pytest.raises(BadRequest) as error:
        read(head())
    assert error.value.status == 400


def test_behind_tls_the_forwarded_scheme_counts() -> None:
    assert read(head(X_Forwarded_Proto="https", Origin="https://portal.test")) is not None


@pytest.mark.parametrize("data", [b"A" * (HEAD_BYTES + 1), b"GET / HTTP/1.1\r\nX: " + b"y" * (HEAD_BYTES + 1)])
def test_a_request_without_end_is_cut(data: bytes) -> None:
    with pytest.raises(BadRequest) as error:
        read(data)
    assert error.value.status in {400, 431}


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00\x01", b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET\r\n\r\n"])
def test_what_is_no_request(data: bytes) -> None:
    with pytest.raises(BadRequest):
        read(data + b"\r\n\r\n")


def test_nothing_may_follow_before_the_answer() -> None:
    with pytest.raises(BadRequest):
        read(head() + b"\x82\x80\0\0\0\0")


@pytest.mark.parametrize(
    "changed",
    [
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"\r\n", b"\n"),
        (b"Host: ", b"Host : "),
        (b"Host: ", b"Host:\r\n "),
        (b"Host: ", b"Host: \0"),
        (b"Host: ", b"Content-Length: 3\r\nHost: "),
        (b"Host: ", b"Transfer-Encoding: chunked\r\nHost: "),
        (b"Connection: Upgrade\r\n", b""),
    ],
)
def test_what_two_readers_could_understand_differently_is_refused(changed: tuple[bytes, bytes]) -> None:
    assert changed[0] in head()
    with pytest.raises(BadRequest):
        read(head().replace(*changed))
