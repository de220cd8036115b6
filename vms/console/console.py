"""One console from the redeemed grant to its end: connecting, open, closing, closed."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import uuid
from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from django.conf import settings

from vms.console.admission import Ticket
from vms.console.closing import Closing, Code
from vms.console.framing import Broken, ConsoleSocket, Gone
from vms.console.handshake import PROTOCOL, Request
from vms.console.loop import READ, WRITE, Loop
from vms.console.relay import Relay
from vms.console.targets import Target

if TYPE_CHECKING:
    from vms.console.serial_hub import Hub
    from vms.console.serial_seat import Seat

#: How long the browser may take to answer our close frame.
FAREWELL_S = 2.0
FIRST_PING_S = 1.5
#: How long before a console ends that nobody uses its page is told.
IDLE_WARNING_S = 600.0
#: How long a browser has to answer when there is reason to think that it is gone.
DOUBT_S = 3.0
#: More than this many messages of a page in so many seconds are no person's.
MOST_SAID, SAID_WITHIN_S = 20, 10.0
BROWSER_LEFT = Closing(Code.NORMAL, "The browser closed the console.")


class Stage(Enum):
    CONNECTING = auto()
    OPEN = auto()
    CLOSING = auto()
    CLOSED = auto()


class Owner(Protocol):
    """Who is told of a console's life."""

    def opening(self, console: Console) -> None:
        """Machine and browser are joined and nothing was carried yet."""

    def opened(self, console: Console) -> None: ...

    def heard(self, console: Console, message: Mapping[str, object]) -> None:
        """Its page said something."""

    def closed(self, console: Console) -> None: ...


class Console:
    """`ticket` is None for a browser that was refused and only waits to be told why."""

    __slots__ = (
        "_is_warned",
        "_is_watched",
        "_loop",
        "_owner",
        "_ping_due",
        "_pinged_at",
        "_protocol",
        "_said",
        "_said_since",
        "_seen",
        "_sock",
        "_ws",
        "closing",
        "endpoint",
        "endpoint_due",
        "id",
        "relay",
        "since",
        "stage",
        "ticket",
    )

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        request: Request,
        ticket: Ticket | None,
        owner: Owner,
    ) -> None:
        self._loop, self._sock, self._owner = loop, sock, owner
        self._protocol = request.protocol
        on_text = self._text if request.protocol == PROTOCOL else None
        self._ws = ConsoleSocket(sock, on_pong=self._heard, on_text=on_text)
        self._said, self._said_since = 0, 0.0
        self.id = uuid.uuid4()
        self._is_warned = self._is_watched = False
        self._ping_due = self._pinged_at = 0.0
        self._seen = -1
        self.ticket = ticket
        self.relay: Relay | Seat | None = None
        self.endpoint = ""
        self.closing: Closing | None = None
        self.stage = Stage.CONNECTING
        self.since = time.monotonic()
        self.endpoint_due = self.since + settings.CONSOLE_ENDPOINT_CHECK_S
        try:
            self._ws.open(request.headers)
        except Gone:
            self._drop(BROWSER_LEFT)

    # -- life ----------------------------------------------------------------------------------------------------------

    def carry(self, target: Target) -> None:
        """Join browser and machine."""
        ticket = self.ticket
        if self.stage is not Stage.CONNECTING or ticket is None:
            target.machine.close()
            return
        relay = Relay(
            self._loop,
            self._ws,
            target.machine,
            kind=ticket.kind,
            password=target.password,
            on_end=self.end,
        )
        self._join(ticket, relay, target.endpoint)

    def sit(self, hub: Hub) -> None:
        """Join browser and a serial line that others may watch too."""
        if self.stage is Stage.CONNECTING and self.ticket is not None:
            self._join(self.ticket, hub.seat(self._ws, say=self.say, on_end=self.end), hub.endpoint)

    def _join(self, ticket: Ticket, relay: Relay | Seat, endpoint: str) -> None:
        self.relay, self.endpoint = relay, endpoint
        self.stage = Stage.OPEN
        # Who drives is decided before the first byte is read.
        self._owner.opening(self)
        self.say(
            type="open",
            you=self.id.hex,
            kind=ticket.kind.value,
            view_only=ticket.view_only,
            drives=self.drives,
            life_s=ticket.life_s,
        )
        # A page that only just opened would answer late and look slow.
        self._ping_due = time.monotonic() + FIRST_PING_S
        if self.stage is Stage.OPEN:
            relay.start()
        if self.stage is Stage.OPEN:
            self._owner.opened(self)

    @property
    def drives(self) -> bool:
        """Whether what its person does reaches the machine."""
        return self.relay is not None and self.relay.drives

    def drive(self, on: bool) -> None:
        if self.relay is not None:
            self.relay.drive(on)

    def _text(self, data: bytes) -> None:
        """What the page says beside the machine's bytes. Raises Broken."""
        try:
            message = json.loads(data)
        except (ValueError, RecursionError):
            raise Broken(Closing(Code.UNSUPPORTED)) from None
        if not isinstance(message, dict):
            raise Broken(Closing(Code.UNSUPPORTED))
        now = time.monotonic()
        if now - self._said_since > SAID_WITHIN_S:
            self._said, self._said_since = 0, now
        self._said += 1
        if self._said > MOST_SAID:
            raise Broken(Closing(Code.TOO_MUCH))
        if message.get("type") == "here":
            # A page that heard nothing for a while asks whether its line lives; nobody else is told.
            self.say(type="here")
            return
        self._owner.heard(self, message)

    def say(self, **message: object) -> None:
        """Tell our page something; a client that chose plain bytes is told nothing."""
        if self._protocol == PROTOCOL and self.stage in {Stage.CONNECTING, Stage.OPEN}:
            try:
                self._ws.say(json.dumps(message))
            except Gone:
                self.end(BROWSER_LEFT)

    def end(self, closing: Closing) -> None:
        """Close with this code; the first reason counts."""
        if self.stage in {Stage.CLOSING, Stage.CLOSED}:
            return
        self.closing = closing
        self.stage = Stage.CLOSING
        if self.relay is not None:
            self.relay.stop()
        try:
            self._ws.end(closing)
        except Gone:
            self._drop(closing)
            return
        if self._ws.is_closed or closing.code is Code.NORMAL:
            self._drop(closing)
            return
        self._loop.after(FAREWELL_S, lambda: self._drop(closing))
        self._loop.watch(self._sock, READ | WRITE if self._ws.is_full else READ, self._say_goodbye)
        self._is_watched = True

    def _say_goodbye(self, events: int) -> None:
        """Send the rest and wait for the browser's close frame, so that it reads the reason."""
        if self.stage is Stage.CLOSED:
            return
        try:
            if events & WRITE:
                self._ws.flush()
                if not self._ws.is_full:
                    self._loop.change(self._sock, READ, self._say_goodbye)
            if events & READ:
                self._ws.receive()
        except (Gone, Broken):
            self._drop()
        else:
            if self._ws.is_closed:
                self._drop()

    def _drop(self, closing: Closing | None = None) -> None:
        if self.stage is Stage.CLOSED:
            return
        self.closing = self.closing or closing
        self.stage = Stage.CLOSED
        if self._is_watched:
            self._loop.forget(self._sock)
        self._sock.close()
        self._owner.closed(self)

    # -- the tick ------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Called every second: limits, and pings by which a browser that vanished is noticed."""
        relay = self.relay
        if self.stage is not Stage.OPEN or relay is None:
            return
        if now - self.since > settings.CONSOLE_LIFE_S:
            self.end(Closing(Code.TIME_UP))
        elif settings.CONSOLE_IDLE_S and now - relay.used_at > settings.CONSOLE_IDLE_S:
            self.end(Closing(Code.TIME_UP, "Nobody used this console for a long time."))
        elif self._is_warned != self._ends_soon(now - relay.used_at):
            self._is_warned = not self._is_warned
            left_s = int(settings.CONSOLE_IDLE_S - (now - relay.used_at))
            self.say(type="idle", seconds=left_s if self._is_warned else None)
        elif now >= self._ping_due:
            # With bytes waiting for the browser, their going on is as good as a pong.
            if self._pinged_at or (self._ws.is_full and self._seen == relay.from_machine):
                self.end(Closing(Code.NORMAL, "The browser does not answer."))
                return
            self._ping_due, self._seen = now + settings.CONSOLE_PING_S, relay.from_machine
            relay.keep_alive()
            if not self._ws.is_full and self.stage is Stage.OPEN:
                self._pinged_at = now
                try:
                    self._ws.ping()
                except Gone:
                    self.end(BROWSER_LEFT)

    def _ends_soon(self, idle_s: float) -> bool:
        """Whether this console ends in a moment unless somebody uses it; the moment is short where the limit is."""
        limit_s: float = settings.CONSOLE_IDLE_S
        return limit_s > 0 and limit_s - idle_s < min(IDLE_WARNING_S, limit_s / 2)

    def doubt(self) -> None:
        """Have the browser show that it is there; one that does not is taken for gone in a moment."""
        now = time.monotonic()
        if self.stage is not Stage.OPEN or self._ws.is_full:
            return
        if self._pinged_at:
            self._ping_due = min(self._ping_due, now + DOUBT_S)
            return
        self._pinged_at, self._ping_due = now, now + DOUBT_S
        # Who cannot be reached any more will not have answered at the next tick.
        with contextlib.suppress(Gone):
            self._ws.ping()

    def _heard(self) -> None:
        """The browser answered a ping."""
        if self._pinged_at:
            latency_ms = (time.monotonic() - self._pinged_at) * 1000
            self._pinged_at = 0.0
            self.say(type="latency", ms=round(latency_ms, 1))
