"""Machines whose consoles a test can look into: sockets on this host, and a driver that points to them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

from providers.base import ConsoleKind, ConsoleTarget, TcpConsole


class Machine:
    """A console's other end on a port of its own; remembers every byte it got, and echoes when asked to."""

    def __init__(self, *, echo: bool = True, greeting: bytes = b"") -> None:
        self.got = bytearray()
        self.connections: list[socket.socket] = []
        self._echo, self._greeting = echo, greeting
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def target(self) -> ConsoleTarget:
        return TcpConsole(host="127.0.0.1", port=self.port)

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                self.connections.append(sock)
                self._changed.notify_all()
            threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def _talk(self, sock: socket.socket) -> None:
        try:
            if self._greeting:
                sock.sendall(self._greeting)
            while data := sock.recv(65536):
                with self._changed:
                    self.got += data
                    self._changed.notify_all()
                if self._echo:
                    sock.sendall(data)
        except OSError:
            pass

    def wait_for(self, condition: Callable[[], bool], timeout: float = 15.0) -> bool:
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    def hang_up(self) -> None:
        """The machine was switched off: all its connections end."""
        self.wait_for(lambda: bool(self.connections), 0.5)
        for sock in self.connections:
            sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self.connections.clear()

    def close(self) -> None:
        self._listener.close()
        if self.connections:
            self.hang_up()


class Directory:
    """What providers say about where consoles are: by the machine's external id, an answer, an error or a call."""

    def __init__(self) -> None:
        self.answers: dict[str, ConsoleTarget | Exception | Callable[[], ConsoleTarget]] = {}
        self.asked: list[tuple[str, ConsoleKind]] = []
        #: What was pressed on keyboards, and the error that pressing shall raise.
        self.pressed: list[list[int]] = []
        self.keys_fail: Exception | None = None

    def driver(self, provider: object) -> Any:
        """In place of `pool.connect`."""
        del provider
        return _Driver(self)


class _Driver:
    is_alive = True

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.consoles = self

    def open(self, external_id: str, kind: ConsoleKind) -> ConsoleTarget:
        self._directory.asked.append((external_id, kind))
        answer = self._directory.answers[external_id]
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer

    def send_keys(self, external_id: str, strokes: Any, *, hold_ms: int = 20) -> None:
        del external_id, hold_ms
        if self._directory.keys_fail is not None:
            raise self._directory.keys_fail
        self._directory.pressed += [list(stroke) for stroke in strokes]

    def close(self) -> None:
        pass
