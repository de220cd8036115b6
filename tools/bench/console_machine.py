"""The other end of measured consoles: a screen that sends, takes or answers. Run as a process: its ports go to stdout.

Whatever carries the bytes, the beginning is RFB's handshake without a password, as the portal expects of a screen. A
connection to "line" begins without one: it is a serial line.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import threading

HELLO = b"RFB 003.008\n"
#: So many bytes taken are answered by one.
SINK_BYTES = 32 * 1024 * 1024


def shaken(sock: socket.socket) -> None:
    """The server's side of the handshake."""
    sock.sendall(HELLO)
    sock.recv(12, socket.MSG_WAITALL)
    sock.sendall(b"\x01\x01")
    sock.recv(1, socket.MSG_WAITALL)
    sock.sendall(bytes(4))
    sock.recv(1, socket.MSG_WAITALL)


def source(sock: socket.socket, size: int) -> None:
    shaken(sock)
    data = bytes(size)
    while True:
        sock.sendall(data)


def sink(sock: socket.socket) -> None:
    shaken(sock)
    taken = 0
    buffer = bytearray(256 * 1024)
    while count := sock.recv_into(buffer):
        taken += count
        if taken >= SINK_BYTES:
            taken -= SINK_BYTES
            sock.sendall(b"\0")


def line(sock: socket.socket) -> None:
    while data := sock.recv(4096):
        sock.sendall(data)


def screen(sock: socket.socket) -> None:
    """A key comes back as it went."""
    shaken(sock)
    line(sock)


def idle(listener: socket.socket) -> None:
    """Thousands of screens on which nothing happens but echoes; one thread for all of them."""
    waiting = selectors.DefaultSelector()
    listener.setblocking(False)
    waiting.register(listener, selectors.EVENT_READ)
    steps: dict[socket.socket, int] = {}
    answers = {0: b"\x01\x01", 1: bytes(4), 2: b""}
    while True:
        for key, _ in waiting.select():
            if key.fileobj is listener:
                with contextlib.suppress(BlockingIOError):
                    sock, _ = listener.accept()
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    sock.sendall(HELLO)
                    steps[sock] = 0
                    waiting.register(sock, selectors.EVENT_READ)
                continue
            sock = key.fileobj  # type: ignore[assignment]
            try:
                data = sock.recv(4096)
            except OSError:
                data = b""
            if not data:
                waiting.unregister(sock)
                sock.close()
                del steps[sock]
            elif steps[sock] in answers:
                # Each step of a client is one small message, and the next comes after the answer.
                sock.sendall(answers[steps[sock]])
                steps[sock] += 1
            else:
                sock.sendall(data)


def main() -> None:
    ports = {}
    for name in ("source65536", "source1400", "sink", "line", "screen", "idle"):
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        ports[name] = listener.getsockname()[1]
        threading.Thread(target=_serve, args=(name, listener), daemon=True).start()
    print(json.dumps(ports), flush=True)
    threading.Event().wait()


def _serve(name: str, listener: socket.socket) -> None:
    if name == "idle":
        idle(listener)
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_talk, args=(name, sock), daemon=True).start()


def _talk(name: str, sock: socket.socket) -> None:
    with contextlib.suppress(OSError), sock:
        if name.startswith("source"):
            source(sock, int(name.removeprefix("source")))
        elif name == "sink":
            sink(sock)
        elif name == "screen":
            screen(sock)
        else:
            line(sock)


if __name__ == "__main__":
    main()
