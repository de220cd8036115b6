"""One console from the redeemed grant to its end: connecting, open, closing, closed."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from enum import Enum, auto

from django.conf import settings

from vms.console.admission import Ticket
from vms.console.closing import Closing, Code
from vms.console.framing import Broken, ConsoleSocket, Gone
from vms.console.handshake import PROTOCOL, Request
from vms.console.loop import READ, WRITE, Loop
from vms.console.relay import Relay
from vms.console.targets import Target

#: How long the browser may take to answer our close frame.
FAREWELL_S = 2.0
FIRST_PING_S = 1.5
BROWSER_LEFT = Closing(Code.NORMAL, "The browser closed the console.")


class Stage(Enum):
    CONNECTING = auto()
    OPEN = auto()
    CLOSING = auto()
    CLOSED = auto()


class Console:
    """`ticket` is None for a browser that was refused and only waits to be told why."""

    __slots__ = (
        "_is_watched",
        "_loop",
        "_on_closed",
        "_ping_due",
        "_pinged_at",
        "_protocol",
        "_seen",
        "_sock",
        "_ws",
        "closing",
        "endpoint",
        "endpoint_due",
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
        on_closed: Callable[[Console], None],
    ) -> None:
        self._loop, self._sock, self._on_closed = loop, sock, on_closed
        self._protocol = request.protocol
        self._ws = ConsoleSocket(sock, on_pong=self._heard)
        self._is_watched = False
        self._ping_due = self._pinged_at = 0.0
        self._seen = -1
        self.ticket = ticket
        self.relay: Relay | None = None
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
            target.sock.close()
            return
        self.endpoint = target.endpoint
        self.relay = Relay(
            self._loop,
            self._ws,
            target.sock,
            kind=ticket.kind,
            password=target.password,
            view_only=ticket.view_only,
            on_end=self.end,
        )
        self.stage = Stage.OPEN
        self.say(type="open", view_only=ticket.view_only, life_s=int(settings.CONSOLE_LIFE_S))
        # A page that only just opened would answer late and look slow.
        self._ping_due = time.monotonic() + FIRST_PING_S
        if self.stage is Stage.OPEN:
            self.relay.start()

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
        self._on_closed(self)

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
        elif now >= self._ping_due:
            # With bytes waiting for the browser, their going on is as good as a pong.
            if self._pinged_at or (self._ws.is_full and self._seen == relay.from_machine):
                self.end(Closing(Code.NORMAL, "The browser does not answer."))
                return
            self._ping_due, self._seen = now + settings.CONSOLE_PING_S, relay.from_machine
            if not self._ws.is_full:
                self._pinged_at = now
                try:
                    self._ws.ping()
                except Gone:
                    self.end(BROWSER_LEFT)

    def _heard(self) -> None:
        """The browser answered a ping."""
        if self._pinged_at:
            latency_ms = (time.monotonic() - self._pinged_at) * 1000
            self._pinged_at = 0.0
            self.say(type="latency", ms=round(latency_ms, 1))
