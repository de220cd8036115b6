"""One serial line, many people: a single connection to a machine, whose bytes go to all who watch and into its log.

The quickest browser sets the pace at which the machine is read; one that cannot follow is told how much it missed. All
of it in the loop's thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from django.conf import settings

from vms.console.closing import Closing, Code
from vms.console.framing import ConsoleSocket, Gone
from vms.console.loop import READ, WRITE, Loop
from vms.console.machine import Machine
from vms.console.serial_seat import Say, Seat

#: The last screenful, for who comes later: 24 full lines with colours, and some more.
TAIL_BYTES = 8 * 1024


class Hub:
    """One machine's line while it is connected."""

    def __init__(
        self,
        loop: Loop,
        machine: Machine,
        endpoint: str,
        *,
        tail: bytes,
        written_at: float | None,
        on_empty: Callable[[Hub], None],
        on_end: Callable[[Hub, Closing], None],
    ) -> None:
        self.loop, self.endpoint = loop, endpoint
        self._machine, self._on_empty, self._on_end = machine, on_empty, on_end
        self.seats: set[Seat] = set()
        #: What is to be written into the log; bounded, so that a line that runs wild costs no more.
        self.unwritten = bytearray()
        self.is_over = False
        self._tail = bytearray(tail)
        self._said_at = written_at
        self._interest = 0
        self._was_full = False

    @property
    def is_full(self) -> bool:
        """Whether the machine does not take what is typed."""
        return self._machine.is_full

    def start(self) -> None:
        if self._machine.has_more:
            self._ready(READ)
        self.update()

    def seat(self, ws: ConsoleSocket, *, say: Say, on_end: Callable[[Closing], None]) -> Seat:
        return Seat(self, ws, say=say, on_end=on_end)

    def take_seat(self, seat: Seat) -> None:
        self.seats.add(seat)
        self.update()

    def leave_seat(self, seat: Seat) -> None:
        self.seats.discard(seat)
        if not self.seats and not self.is_over:
            self._on_empty(self)
        self.update()

    def last_screenful(self) -> tuple[bytes, int | None]:
        """What was said last, from the beginning of a line, and how many seconds ago."""
        tail = bytes(self._tail[-TAIL_BYTES:])
        if len(self._tail) >= TAIL_BYTES:
            tail = tail.partition(b"\n")[2] or tail
        return tail, None if self._said_at is None else max(0, round(time.time() - self._said_at))

    def type(self, data: bytes) -> None:
        """Raises nothing: where the machine is gone the line ends."""
        if self.is_over:
            return
        try:
            self._machine.push(data)
        except Gone:
            self.end(Closing(Code.ENDED))
        else:
            self.loop.went_out(len(data))
            self.update()

    def keep_alive(self) -> None:
        try:
            self._machine.keep_alive()
        except Gone:
            self.end(Closing(Code.ENDED))

    def end(self, closing: Closing) -> None:
        if self.is_over:
            return
        self.is_over = True
        self._watch(0)
        self._machine.close()
        for seat in list(self.seats):
            seat.on_end(closing)
        self._on_end(self, closing)

    def update(self) -> None:
        """The quickest seat sets the pace; with nobody there the log alone is written, as fast as the line is."""
        if self.is_over:
            return
        reads = not self.seats or any(not seat.is_full for seat in self.seats)
        self._watch((READ if reads else 0) | (WRITE if self._machine.is_full else 0))
        if self._was_full != self._machine.is_full:
            self._was_full = self._machine.is_full
            for seat in self.seats:
                seat.update()

    def _ready(self, events: int) -> None:
        if self.is_over:
            return
        try:
            if events & WRITE:
                self._machine.flush()
            portions = self._machine.receive() if events & READ else ()
        except Gone:
            self.end(Closing(Code.ENDED))
            return
        for portion in portions:
            self._said(portion)
        self.update()

    def _said(self, portion: memoryview | bytes) -> None:
        self._said_at = time.time()
        self._tail += portion[-TAIL_BYTES:]
        if len(self._tail) > 2 * TAIL_BYTES:
            del self._tail[:-TAIL_BYTES]
        self.unwritten += portion[-settings.SERIAL_LOG_BYTES :]
        if len(self.unwritten) > 2 * settings.SERIAL_LOG_BYTES:
            del self.unwritten[: -settings.SERIAL_LOG_BYTES]
        for seat in list(self.seats):
            seat.give(portion)

    def _watch(self, wanted: int) -> None:
        if wanted == self._interest:
            return
        if not self._interest:
            self.loop.watch(self._machine.sock, wanted, self._ready)
        elif wanted:
            self.loop.change(self._machine.sock, wanted, self._ready)
        else:
            self.loop.forget(self._machine.sock)
        self._interest = wanted
