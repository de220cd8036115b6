"""One browser at a serial line; what `Relay` is to a screen. It is given what the line says, and may type."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from vms.console.closing import Closing, Code
from vms.console.framing import Broken, ConsoleSocket, Gone
from vms.console.loop import READ, WRITE

if TYPE_CHECKING:
    from vms.console.serial_hub import Hub

#: A browser that is so far behind the others is left out.
BEHIND_BYTES = 1024 * 1024
LEFT = Closing(Code.NORMAL, "The browser closed the console.")


class Say(Protocol):
    def __call__(self, **message: object) -> None: ...


class Seat:
    """One browser. Bytes that it is given are only lent."""

    __slots__ = (
        "_behind",
        "_hub",
        "_interest",
        "_say",
        "_skipped",
        "_ws",
        "drives",
        "from_browser",
        "from_machine",
        "is_running",
        "on_end",
        "used_at",
    )

    def __init__(self, hub: Hub, ws: ConsoleSocket, *, say: Say, on_end: Callable[[Closing], None]) -> None:
        self._hub, self._ws, self._say, self.on_end = hub, ws, say, on_end
        self._interest = self._behind = self._skipped = 0
        self.drives = self.is_running = False
        self.from_browser = self.from_machine = 0
        self.used_at = time.monotonic()

    @property
    def is_full(self) -> bool:
        return self._ws.is_full

    def drive(self, on: bool) -> None:
        """Whether what comes from here is typed."""
        self.drives = on

    def start(self) -> None:
        self.is_running = True
        tail, seconds_ago = self._hub.last_screenful()
        self._hub.take_seat(self)
        if tail:
            self._say(type="replay", bytes=len(tail), seconds_ago=seconds_ago)
            self.give(tail)
        self.update()

    def stop(self) -> None:
        if self.is_running:
            self.is_running = False
            self._watch(0)
            self._hub.leave_seat(self)

    def keep_alive(self) -> None:
        self._hub.keep_alive()

    def give(self, data: memoryview | bytes) -> None:
        """Bytes of the machine; `data` is only lent."""
        if not self.is_running:
            return
        if self._skipped or (self._ws.is_full and self._behind > BEHIND_BYTES):
            self._skipped += len(data)
            return
        try:
            self._ws.push(data)
        except Gone:
            self.on_end(LEFT)
            return
        self.from_machine += len(data)
        self._hub.loop.went_out(len(data))
        self._behind = self._behind + len(data) if self._ws.is_full else 0
        self.update()

    def update(self) -> None:
        if self.is_running:
            self._watch((0 if self._hub.is_full else READ) | (WRITE if self._ws.is_full else 0))

    def _ready(self, events: int) -> None:
        if not self.is_running:
            return
        try:
            if events & WRITE:
                self._ws.flush()
                if not self._ws.is_full:
                    self._catch_up()
            if events & READ and not self._hub.is_full:
                for message in self._ws.receive():
                    self._take(message)
            if self._ws.is_closed:
                raise Gone
        except Gone:
            self.on_end(LEFT)
        except Broken as broken:
            self.on_end(broken.closing)
        else:
            self.update()
            self._hub.update()

    def _take(self, message: bytes) -> None:
        self.from_browser += len(message)
        self.used_at = time.monotonic()
        if self.drives:
            self._hub.type(message)

    def _catch_up(self) -> None:
        self._behind = 0
        if self._skipped:
            skipped, self._skipped = self._skipped, 0
            tail, _ = self._hub.last_screenful()
            tail = tail[-skipped:]
            self._say(type="skipped", bytes=skipped - len(tail))
            self.give(tail)

    def _watch(self, wanted: int) -> None:
        if wanted == self._interest:
            return
        if not self._interest:
            self._hub.loop.watch(self._ws.socket, wanted, self._ready)
        elif wanted:
            self._hub.loop.change(self._ws.socket, wanted, self._ready)
        else:
            self._hub.loop.forget(self._ws.socket)
        self._interest = wanted
