"""One serial line, many people: a single connection to each machine, whose bytes go to all who watch and into its log.

The quickest browser sets the pace at which the machine is read; one that cannot follow is told how much it missed. All
of it in the loop's thread; the log is written by a thread of its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from django.conf import settings

from providers.base import ConsoleKind
from providers.models import Provider
from vms.console.admission import Ticket
from vms.console.closing import Closing, Code
from vms.console.framing import Broken, ConsoleSocket, Gone
from vms.console.loop import READ, WRITE, Loop
from vms.console.machine import Machine
from vms.console.serial_log import ENDED, LISTENING, STARTED, Writer, folder_of
from vms.console.targets import Found, Target, Targets

logger = logging.getLogger(__name__)

#: The last screenful, for who comes later: 24 full lines with colours, and some more.
TAIL_BYTES = 8 * 1024
#: A browser that is so far behind the others is left out.
BEHIND_BYTES = 1024 * 1024
#: How long a line that nobody watches any more is kept open: pages are reloaded.
LINGER_S = 2.0
#: After a line could not be listened to, and at most.
RETRY_S, RETRY_MOST_S = 10.0, 300.0
ENDPOINT_CHECK_S = 30.0
LEFT = Closing(Code.NORMAL, "The browser closed the console.")


class Say(Protocol):
    def __call__(self, **message: object) -> None: ...


class Sitter(Protocol):
    """What a hub needs of a console."""

    ticket: Ticket | None

    def sit(self, hub: Hub) -> None: ...

    def end(self, closing: Closing) -> None: ...


class Seat:
    """One browser at the line; what `Relay` is to a screen."""

    __slots__ = (
        "_behind",
        "_hub",
        "_interest",
        "_on_end",
        "_say",
        "_skipped",
        "_ws",
        "drives",
        "from_browser",
        "from_machine",
        "is_running",
        "used_at",
    )

    def __init__(self, hub: Hub, ws: ConsoleSocket, *, say: Say, on_end: Callable[[Closing], None]) -> None:
        self._hub, self._ws, self._say, self._on_end = hub, ws, say, on_end
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
            self._on_end(LEFT)
            return
        self.from_machine += len(data)
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
            self._on_end(LEFT)
        except Broken as broken:
            self._on_end(broken.closing)
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
            seat._on_end(closing)
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


@dataclass(frozen=True, slots=True)
class Wanted:
    """A machine's serial line, and where to ask for it."""

    vm_pk: int
    vm_uuid: str
    external_id: str
    provider: Provider


@dataclass(slots=True)
class _Line:
    """One machine: opening (people wait), or open (there is a hub)."""

    wanted: Wanted
    writer: Writer
    waiting: list[Sitter] = field(default_factory=list)
    hub: Hub | None = None


class Hubs:
    """The serial lines of all machines."""

    def __init__(self, loop: Loop, targets: Targets, on_found: Callable[[Sitter, Found], None]) -> None:
        self._loop, self._targets, self._on_found = loop, targets, on_found
        self._lines: dict[int, _Line] = {}
        #: Machines that are listened to while nobody watches, and when those that did not answer are tried again.
        self._kept: dict[int, Wanted] = {}
        self._retry: dict[int, tuple[float, float]] = {}
        # One thread: what a line said is written in the order in which it was said.
        self._disk = ThreadPoolExecutor(1, "serial-log")
        self._asked_at = time.monotonic()

    # -- people --------------------------------------------------------------------------------------------------------

    def join(self, console: Sitter, wanted: Wanted) -> None:
        """Seat this console at the machine's line; the provider is asked where it is, as for every console."""
        line = self._lines.get(wanted.vm_pk)
        if line is None:
            self._open(wanted, [console])
        elif line.hub is None:
            line.waiting.append(console)
        else:
            hub = line.hub
            self._targets.ask(
                wanted.provider,
                wanted.external_id,
                ConsoleKind.SERIAL,
                lambda told: self._compared(console, wanted, hub, told),
            )

    def _compared(self, console: Sitter, wanted: Wanted, hub: Hub, told: str | Closing) -> None:
        if isinstance(told, Closing):
            console.end(told)
            return
        if told != hub.endpoint:
            hub.end(Closing(Code.ENDED, "The machine was restarted and has a new console."))
        if hub.is_over:
            self.join(console, wanted)
        else:
            console.sit(hub)

    # -- while nobody watches ------------------------------------------------------------------------------------------

    def keep(self, wanted: Mapping[int, Wanted]) -> None:
        """Listen to these machines, and to no others, also while nobody watches."""
        self._kept = dict(wanted)
        now = time.monotonic()
        for vm_pk, one in self._kept.items():
            due, _ = self._retry.get(vm_pk, (0.0, 0.0))
            if vm_pk not in self._lines and now >= due:
                self._open(one, [])
        for line in list(self._lines.values()):
            if line.hub is not None and not line.hub.seats and line.wanted.vm_pk not in self._kept:
                self._linger(line.hub)
        for vm_pk in set(self._retry) - set(self._kept):
            del self._retry[vm_pk]

    def tick(self) -> None:
        """Called every second: write down what was said; now and then look after lines that nobody watches."""
        for line in self._lines.values():
            if line.hub is not None:
                self._write(line, line.hub)
        if time.monotonic() - self._asked_at > ENDPOINT_CHECK_S:
            self._asked_at = time.monotonic()
            for line in list(self._lines.values()):
                if line.hub is not None and not line.hub.seats:
                    line.hub.keep_alive()
                    self._ask(line.wanted, line.hub)

    def _ask(self, wanted: Wanted, hub: Hub) -> None:
        def compare(told: str | Closing) -> None:
            is_gone = isinstance(told, Closing) and told.code in {Code.GONE, Code.NOT_RUNNING}
            if is_gone or (isinstance(told, str) and told != hub.endpoint):
                hub.end(Closing(Code.ENDED))

        self._targets.ask(wanted.provider, wanted.external_id, ConsoleKind.SERIAL, compare)

    # -- opening and ending --------------------------------------------------------------------------------------------

    def _open(self, wanted: Wanted, waiting: list[Sitter]) -> None:
        line = _Line(wanted, Writer(folder_of(wanted.vm_uuid)), waiting)
        self._lines[wanted.vm_pk] = line
        self._targets.open(
            wanted.provider, wanted.external_id, ConsoleKind.SERIAL, lambda found: self._found(line, found)
        )

    def _found(self, line: _Line, found: Found) -> None:
        if not isinstance(found, Target):
            self._lines.pop(line.wanted.vm_pk, None)
            self._try_later(line.wanted.vm_pk)
            for console in line.waiting:
                self._on_found(console, found)
            return
        self._retry.pop(line.wanted.vm_pk, None)
        writer, endpoint = line.writer, found.endpoint

        def look_back() -> tuple[bytes, float | None]:
            try:
                tail, written_at = writer.tail(TAIL_BYTES), writer.written_at()
                writer.mark(LISTENING if writer.endpoint() == endpoint else STARTED)
                writer.keep_endpoint(endpoint)
            except OSError as exc:
                logger.error("The serial log of %s cannot be written: %s", line.wanted.vm_uuid, exc)
                return b"", None
            return tail, written_at

        def ready() -> None:
            tail, written_at = look_back()
            self._loop.from_thread(lambda: self._seat_all(line, found, tail, written_at))

        self._disk.submit(ready)

    def _seat_all(self, line: _Line, target: Target, tail: bytes, written_at: float | None) -> None:
        hub = Hub(
            self._loop,
            target.machine,
            target.endpoint,
            tail=tail,
            written_at=written_at,
            on_empty=self._linger,
            on_end=lambda hub, closing: self._ended(line, hub),
        )
        line.hub = hub
        waiting, line.waiting = line.waiting, []
        for console in waiting:
            console.sit(hub)
        hub.start()
        if not hub.seats:
            self._linger(hub)

    def _linger(self, hub: Hub) -> None:
        def leave() -> None:
            kept = any(line.hub is hub and line.wanted.vm_pk in self._kept for line in self._lines.values())
            if not hub.seats and not kept:
                hub.end(LEFT)

        self._loop.after(LINGER_S, leave)

    def _ended(self, line: _Line, hub: Hub) -> None:
        if self._lines.get(line.wanted.vm_pk) is line:
            del self._lines[line.wanted.vm_pk]
        self._write(line, hub)
        self._safely(line, lambda: line.writer.mark(ENDED))

    def _try_later(self, vm_pk: int) -> None:
        _, pause = self._retry.get(vm_pk, (0.0, RETRY_S / 2))
        pause = min(pause * 2, RETRY_MOST_S)
        self._retry[vm_pk] = (time.monotonic() + pause, pause)

    def _write(self, line: _Line, hub: Hub) -> None:
        if hub.unwritten:
            data, hub.unwritten = bytes(hub.unwritten), bytearray()
            self._safely(line, lambda: line.writer.write(data))

    def _safely(self, line: _Line, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except OSError as exc:
                logger.error("The serial log of %s cannot be written: %s", line.wanted.vm_uuid, exc)

        self._disk.submit(run)

    def close(self) -> None:
        """End all lines and wait until what they said is written."""
        for line in list(self._lines.values()):
            if line.hub is not None:
                line.hub.end(Closing(Code.RESTARTING))
        self._disk.shutdown(wait=True)
