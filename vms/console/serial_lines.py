"""The serial lines of all machines: opened for who comes first, or to be kept; ended when nobody needs them.

What they say is written by a thread of its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from providers.base import ConsoleKind
from providers.models import Provider
from vms.console.admission import Ticket
from vms.console.closing import Closing, Code
from vms.console.loop import Loop
from vms.console.serial_hub import TAIL_BYTES, Hub
from vms.console.serial_log import ENDED, LISTENING, RESTARTED, STARTED, UNHEARD, Writer, folder_of
from vms.console.serial_seat import LEFT
from vms.console.targets import Found, Target, Targets

logger = logging.getLogger(__name__)

#: How long a line that nobody watches any more is kept open: pages are reloaded.
LINGER_S = 2.0
#: After a line could not be listened to, and at most.
RETRY_S, RETRY_MOST_S = 10.0, 300.0
ENDPOINT_CHECK_S = 30.0


class Sitter(Protocol):
    """What a hub needs of a console."""

    ticket: Ticket | None

    def sit(self, hub: Hub) -> None: ...

    def end(self, closing: Closing) -> None: ...


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

    def note_restart(self, vm_uuid: str) -> None:
        """The guest began anew and its line is the same one: what comes from now on is of its next start."""
        line = next((each for each in self._lines.values() if each.wanted.vm_uuid == vm_uuid), None)
        if line is not None and line.hub is not None:
            self._write(line, line.hub)
            self._safely(line, lambda: line.writer.mark(RESTARTED))

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
            on_end=lambda hub, closing: self._ended(line, hub, closing),
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

    def _ended(self, line: _Line, hub: Hub, closing: Closing) -> None:
        if self._lines.get(line.wanted.vm_pk) is line:
            del self._lines[line.wanted.vm_pk]
        self._write(line, hub)
        word = UNHEARD if closing.code in {LEFT.code, Code.RESTARTING} else ENDED
        self._safely(line, lambda: line.writer.mark(word))

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
