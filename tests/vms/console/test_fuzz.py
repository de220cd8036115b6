"""Ten thousand random handshakes, frames and messages: nothing gets in that should not, and nothing else breaks."""

from __future__ import annotations

import base64
import contextlib
import random
import socket
import struct
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.vms.console.browser import BINARY, CLOSE, ORIGIN, PING, PONG, TEXT, frame
from vms.console.closing import Refused
from vms.console.framing import MESSAGE_BYTES, Broken, ConsoleSocket, Gone
from vms.console.handshake import BadRequest, Reader, Request
from vms.console.rfb_input import INPUT, Input
from vms.console.upstream import Upstream

#: Each example is tried as it is and so many times damaged: to damage one is much quicker than to think of one.
DAMAGED = 9


def times(count: int) -> settings:
    """`count` tries, most of which are damaged copies of an example."""
    examples = count // (1 + DAMAGED)
    return settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def tries(data: bytes) -> Iterator[bytes]:
    """The example and its damaged copies, always the same ones."""
    chance = random.Random(data)
    yield data
    for _ in range(DAMAGED):
        yield damaged(data, chance)


def damaged(data: bytes, chance: random.Random) -> bytes:
    """A bit is flipped, a piece is lost, there twice, elsewhere, or noise; or several of that."""
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice([1, 1, 2, 4, 30]))
        piece = data[start:end]
        match chance.randrange(5):
            case 0 if piece:
                piece = bytes([piece[0] ^ 1 << chance.randrange(8)]) + piece[1:]
            case 1:
                piece = b""
            case 2:
                piece *= 2
            case 3:
                other = chance.randrange(len(data) + 1)
                piece = data[other : other + len(piece)]
            case _:
                piece = chance.randbytes(len(piece) or 1)
        data = data[:start] + piece + data[end:]
    return data


# -- handshakes --------------------------------------------------------------------------------------------------------

GRANT = "/ws/console/00000000-0000-4000-8000-000000000001"
GOOD: list[tuple[bytes, bytes]] = [
    (b"Host", b"portal.test"),
    (b"Origin", ORIGIN.encode()),
    (b"Upgrade", b"websocket"),
    (b"Connection", b"Upgrade"),
    (b"Sec-WebSocket-Version", b"13"),
    (b"Sec-WebSocket-Key", base64.b64encode(bytes(16))),
    (b"Sec-WebSocket-Protocol", b"kvweb.console, kvweb.token.abc"),
    (b"Cookie", b"kvweb_session=key"),
    (b"X-Forwarded-Proto", b"http"),
    (b"X-Forwarded-For", b"192.0.2.7"),
]
names = st.sampled_from(
    [name for name, _ in GOOD] + [b"Transfer-Encoding", b"Content-Length", b"Expect", b"X-Forwarded-Host"]
)
values = st.one_of(
    st.sampled_from(
        [value for _, value in GOOD] + [b"", b"null", b"chunked", b"5", b"http://portal.test.evil", b"evil"]
    ),
    st.binary(max_size=40),
)
headers = st.one_of(
    st.permutations(GOOD),
    # One header of a good request is left out, there twice, or has another value.
    st.tuples(st.integers(0, len(GOOD) - 1), st.lists(st.tuples(names, values), max_size=2)).map(
        lambda told: [each for place, each in enumerate(GOOD) if place != told[0]] + told[1]
    ),
    st.lists(st.tuples(names, values), max_size=12),
)
lines = st.one_of(
    st.just(f"GET {GRANT} HTTP/1.1".encode()),
    st.sampled_from(
        [
            b"POST /ws/console/x HTTP/1.1",
            f"GET http://evil.test{GRANT} HTTP/1.1".encode(),
            f"GET {GRANT}/../../x HTTP/1.1".encode(),
            f"GET {GRANT}?token=abc HTTP/1.1".encode(),
            f"GET {GRANT} HTTP/1.0".encode(),
            b"GET /ws/console/%00 HTTP/1.1",
        ]
    ),
    st.binary(max_size=80),
)
whole = st.tuples(lines, headers).map(
    lambda told: b"\r\n".join([told[0], *(name + b": " + value for name, value in told[1]), b"", b""])
)
requests = st.one_of(whole, whole, whole, st.binary(max_size=400))


@pytest.fixture(autouse=True)
def _portal(settings: object) -> None:
    settings.ALLOWED_HOSTS = ["portal.test"]  # type: ignore[attr-defined]


@times(4000)
@given(data=requests, cut=st.integers(0, 400))
def test_no_handshake_gets_through_without_what_it_needs(data: bytes, cut: int) -> None:
    for tried in tries(data):
        _shake(tried, cut)


def _shake(data: bytes, cut: int) -> None:
    reader, request = Reader(trust_forwarded=True), None
    with contextlib.suppress(BadRequest):
        for portion in (data[:cut], data[cut:]):
            if portion and request is None:
                request = reader.feed(portion, None)
    if request is not None:
        _is_right(request, data)


def _is_right(request: Request, data: bytes) -> None:
    """Independent of the reader: lines of the request, and each of what decides exactly once."""
    first, *lines = data.lstrip(b"\r\n").split(b"\n")
    parted = [line.strip().partition(b":") for line in lines]
    told = [(name.lower(), value.strip()) for name, colon, value in parted if colon]
    assert first.split(b" ")[:2] == [b"GET", f"/ws/console/{request.grant_id}".encode()]
    for wanted in (b"origin", b"upgrade", b"host", b"sec-websocket-key"):
        assert len([name for name, _ in told if name == wanted]) == 1, wanted
    # A host's name has no case.
    assert dict(told)[b"origin"].lower() == ORIGIN.encode()
    assert request.token
    assert f"kvweb.token.{request.token}".encode("latin-1") in data


# -- frames ------------------------------------------------------------------------------------------------------------

payloads = st.one_of(st.binary(max_size=140), st.one_of(st.integers(0, 3000), st.just(9000)).map(bytes))
good_frames = st.builds(frame, payloads, st.sampled_from([BINARY, PING, PONG]), fin=st.just(True))
any_frames = st.builds(
    frame,
    st.binary(max_size=140),
    st.one_of(st.sampled_from([0, TEXT, BINARY, CLOSE, PING, PONG]), st.integers(0, 15)),
    fin=st.booleans(),
    masked=st.sampled_from([True, True, True, False]),
    length=st.one_of(st.just(-1), st.just(-1), st.integers(0, 1 << 62)),
)
streams = st.one_of(
    st.lists(good_frames, max_size=4).map(b"".join),
    st.lists(any_frames, max_size=5).map(b"".join),
    st.binary(max_size=300),
)


@times(4000)
@given(data=streams, step=st.one_of(st.integers(1, 50), st.just(50_000)))
def test_frames_end_the_console_or_are_what_was_sent(data: bytes, step: int) -> None:
    for tried in tries(data):
        _frames(tried, step)


def _frames(data: bytes, step: int) -> None:
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        browser, got = ConsoleSocket(ours, on_pong=lambda: None), b""
        try:
            for start in range(0, min(len(data), 40 * step), step):
                theirs.sendall(data[start : start + step])
                got += b"".join(bytes(message) for message in browser.receive())
        except (Broken, Gone):
            pass
        assert len(browser._recv_buffer) + len(browser._long or b"") <= MESSAGE_BYTES + 14
        assert _carried(data).startswith(got)


def _carried(data: bytes) -> bytes:
    """What a reader that does not look for mistakes finds: binary messages and their continuations, uncovered."""
    found, position = b"", 0
    while len(data) - position >= 2:
        opcode, length, size = data[position] & 0x0F, data[position + 1] & 0x7F, 2
        if length >= 126:
            size = 4 if length == 126 else 10
            length = int.from_bytes(data[position + 2 : position + size], "big")
        mask = data[position + size : position + size + 4]
        position += size + 4
        if len(data) - position < length or len(mask) < 4:
            break
        if opcode in {0, BINARY}:
            pad = (mask * (length // 4 + 1))[:length]
            part = int.from_bytes(data[position : position + length], "big") ^ int.from_bytes(pad, "big")
            found += part.to_bytes(length, "big")
        position += length
    return found


# -- what a vendor and a viewer send -----------------------------------------------------------------------------------


@times(1000)
@given(data=streams, step=st.integers(1, 60))
def test_a_vendors_frames_end_the_console_or_are_passed_on(data: bytes, step: int) -> None:
    for tried in tries(data):
        _vendors_frames(tried, step)


def _vendors_frames(data: bytes, step: int) -> None:
    ours, theirs = socket.socketpair()
    with closing(theirs), closing(Upstream(ours)) as machine, contextlib.suppress(Gone):
        for start in range(0, min(len(data), 40 * step), step):
            theirs.sendall(data[start : start + step])
            machine.receive()
        assert len(machine._head) <= 140


messages = st.one_of(
    st.binary(min_size=7, max_size=7).map(lambda rest: b"\x04" + rest),
    st.binary(min_size=5, max_size=5).map(lambda rest: b"\x05" + rest),
    st.binary(max_size=300).map(lambda text: struct.pack(">BxxxI", 6, len(text)) + text),
    st.binary(min_size=9, max_size=9).map(lambda rest: b"\x03" + rest),
    st.binary(min_size=19, max_size=19).map(lambda rest: b"\x00" + rest),
    st.binary(max_size=12),
)


@times(1000)
@given(parts=st.lists(messages, max_size=8), step=st.integers(1, 40))
def test_of_a_viewers_messages_only_looking_gets_through_however_they_are_cut(parts: list[bytes], step: int) -> None:
    for tried in tries(b"".join(parts)):
        _look(b"\x00" + tried, step)


def _look(data: bytes, step: int) -> None:
    passed = b""
    viewer = Input(drives=False)
    with contextlib.suppress(Refused):
        for start in range(0, len(data), step):
            passed += viewer.feed(data[start : start + step])
    # Read again as another viewer's: nothing in it is input.
    again, driver = Input(drives=False), Input(drives=True)
    assert again.feed(passed) == passed
    assert driver.feed(passed) == passed
    assert driver.let_go() == b""
    if len(passed) > 1:
        assert passed[1] not in INPUT
