"""A machine whose console its provider carries in a websocket: we are the client there.

The handshake is made while a thread may wait for it, h11 reads the answer; afterwards nothing blocks. What comes is
passed on as it comes, frame by frame or in parts of one: the bytes are a stream, and a provider's frames may be long.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

import h11

from providers.base import AuthenticationFailed, ProviderError, Unreachable, WebSocketConsole
from vms.console.framing import BINARY, CLOSE, CONTROL_BYTES, PING, PONG, TEXT, Gone, unmasked
from vms.console.machine import PORTION, received_into, sent_of

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HEAD_BYTES = 16 * 1024
PORTS = {"ws": 80, "wss": 443}
#: Ours to say; a driver that sets one of these is wrong.
OWN_HEADERS = {"host", "upgrade", "connection", "sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol"}


def secured(sock: socket.socket, context: ssl.SSLContext | None, name: str) -> ssl.SSLSocket:
    """TLS around a connected socket; the plain one is closed when that fails. Raises ProviderError and OSError."""
    try:
        return (context or ssl.create_default_context()).wrap_socket(sock, server_hostname=name)
    except ssl.SSLCertVerificationError as exc:
        sock.close()
        raise Unreachable(
            "The certificate of the provider's console service is not trusted.", exc.verify_message
        ) from exc
    except BaseException:
        sock.close()
        raise


def connected(target: WebSocketConsole, within_s: float) -> Upstream:
    """Connect and shake hands; blocks, not longer than that. Raises ProviderError and OSError."""
    deadline = time.monotonic() + within_s
    address = urlsplit(target.url)
    if address.scheme not in PORTS or not address.hostname:
        raise ProviderError("The provider named a console address that is no websocket.")
    sock = socket.create_connection((address.hostname, address.port or PORTS[address.scheme]), timeout=within_s)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(max(0.1, deadline - time.monotonic()))
        if address.scheme == "wss":
            sock = secured(sock, target.tls, address.hostname)
        return Upstream(sock, _shaken(sock, target, address, deadline))
    except BaseException:
        sock.close()
        raise


def _shaken(sock: socket.socket, target: WebSocketConsole, address: SplitResult, deadline: float) -> bytes:
    """Ask for the upgrade; the bytes that came right behind the answer."""
    key = base64.b64encode(os.urandom(16)).decode()
    headers = [
        ("Host", address.netloc.rpartition("@")[2]),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", key),
    ]
    if target.subprotocols:
        headers.append(("Sec-WebSocket-Protocol", ", ".join(target.subprotocols)))
    headers += [(name, value) for name, value in target.headers.items() if name.lower() not in OWN_HEADERS]
    path = f"{address.path or '/'}?{address.query}" if address.query else address.path or "/"
    spoken = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
    try:
        sock.sendall(spoken.send(h11.Request(method="GET", target=path, headers=headers)) or b"")
        answer = _answer(sock, spoken, deadline)
    except (h11.LocalProtocolError, h11.RemoteProtocolError, UnicodeError) as exc:
        raise Unreachable("The provider's console service does not speak HTTP.", str(exc)) from exc
    if answer.status_code in {401, 403}:
        raise AuthenticationFailed("The provider's console service refused the portal.", f"HTTP {answer.status_code}")
    if not isinstance(answer, h11.InformationalResponse):
        raise Unreachable("The provider's console service did not open the console.", f"HTTP {answer.status_code}")
    told = {bytes(name).lower(): bytes(value).decode("latin-1").strip() for name, value in answer.headers}
    wanted = base64.b64encode(hashlib.sha1((key + GUID).encode(), usedforsecurity=False).digest()).decode()
    if told.get(b"sec-websocket-accept") != wanted or told.get(b"upgrade", "").lower() != "websocket":
        raise Unreachable("The provider's console service answered something that is no websocket.")
    chosen = told.get(b"sec-websocket-protocol", "")
    if chosen and chosen not in target.subprotocols:
        raise Unreachable("The provider's console service chose a protocol that nobody offered.", chosen[:80])
    rest, _ = spoken.trailing_data
    return bytes(rest)


def _answer(sock: socket.socket, spoken: h11.Connection, deadline: float) -> h11.InformationalResponse | h11.Response:
    seen = 0
    while True:
        event = spoken.next_event()
        if isinstance(event, h11.Response) or (
            isinstance(event, h11.InformationalResponse) and event.status_code == 101
        ):
            return event
        if event is not h11.NEED_DATA:
            continue
        # The whole answer, not each byte of it.
        if seen > HEAD_BYTES or time.monotonic() > deadline:
            raise Unreachable("The provider's console service did not answer in time.")
        sock.settimeout(max(0.1, deadline - time.monotonic()))
        data = sock.recv(4096)
        if not data:
            raise Unreachable("The provider's console service closed the connection.")
        seen += len(data)
        spoken.receive_data(data)


class Upstream:
    """A `Machine` behind a websocket that stands. `early` came with the answer to the handshake."""

    __slots__ = ("_early", "_head", "_is_ended", "_left", "_waiting", "sock")

    #: Frames have headers.
    is_bare = False

    def __init__(self, sock: socket.socket, early: bytes = b"") -> None:
        sock.setblocking(False)
        self.sock = sock
        self._early = early
        self._waiting = b""
        #: The beginning of a frame whose header, or whose control message, is not whole yet.
        self._head = b""
        #: What is still to come of the data frame that is being passed on.
        self._left = 0
        self._is_ended = False

    @property
    def is_full(self) -> bool:
        return bool(self._waiting)

    @property
    def has_more(self) -> bool:
        return self._is_ended or bool(self._early)

    # -- from the provider ---------------------------------------------------------------------------------------------

    def receive(self) -> Sequence[memoryview | bytes]:
        if self._is_ended:
            raise Gone
        if self._early:
            early, self._early = self._early, b""
            return self._payloads(memoryview(early))
        count = received_into(self.sock, PORTION)
        return self._payloads(PORTION[:count]) if count else ()

    def _payloads(self, data: memoryview) -> list[memoryview]:
        """The bytes of data frames in `data`; answers pings, remembers what is cut off, notes the end."""
        found: list[memoryview] = []
        if self._head:
            data = memoryview(self._head + bytes(data))
            self._head = b""
        while data and not self._is_ended:
            if self._left:
                found.append(data[: self._left])
                taken = len(found[-1])
                self._left -= taken
                data = data[taken:]
                continue
            size, length = _header(data)
            opcode = data[0] & 0x0F
            if not size or (opcode >= CLOSE and len(data) < size + length):
                self._head = bytes(data)
                break
            payload, data = data[size:], data[size:]
            if opcode in {0, TEXT, BINARY}:
                self._left = length
                continue
            data = data[length:]
            self._heed(opcode, bytes(payload[:length]))
        if self._is_ended and not found:
            raise Gone
        return found

    def _heed(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            if not self._waiting:
                self._send(PONG, payload)
        elif opcode == CLOSE:
            # What came before it is still shown; the next read tells of the end.
            self._is_ended = True
            self._send(CLOSE, payload[:2])
        elif opcode != PONG:
            raise Gone

    # -- to the provider -----------------------------------------------------------------------------------------------

    def push(self, data: bytes) -> None:
        if data:
            self._send(BINARY, data)

    def flush(self) -> None:
        if self._waiting:
            sent = sent_of(self.sock, self._waiting)
            self._waiting = self._waiting[sent:]

    def keep_alive(self) -> None:
        if not self._waiting:
            self._send(PING, b"")

    def close(self) -> None:
        self.sock.close()

    def _send(self, opcode: int, data: bytes) -> None:
        length, mask = len(data), os.urandom(4)
        if length <= 125:
            header = struct.pack(">BB", 0x80 | opcode, 0x80 | length)
        elif length < 65536:
            header = struct.pack(">BBH", 0x80 | opcode, 0x80 | 126, length)
        else:
            header = struct.pack(">BBQ", 0x80 | opcode, 0x80 | 127, length)
        self._waiting += header + mask + unmasked(data, mask)
        self.flush()


def _header(data: memoryview) -> tuple[int, int]:
    """How long a frame's header and its payload are; (0, 0) while that cannot be told. Raises Gone."""
    if len(data) < 2:
        return 0, 0
    length = data[1] & 0x7F
    if data[0] & 0x70 or data[1] & 0x80 or (data[0] & 0x08 and length > CONTROL_BYTES):
        # Reserved bits, a mask that only clients use, a control message that is too long.
        raise Gone
    if length < 126:
        return 2, length
    size = 4 if length == 126 else 10
    if len(data) < size:
        return 0, 0
    return size, int.from_bytes(data[2:size], "big")
