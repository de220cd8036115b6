"""The console proxy: one process, one loop, all consoles.

It admits (cookie, origin, grant), asks the driver where the console is, carries bytes, and ends consoles whose right,
session or machine went away. Queries and drivers run in threads; everything in this file runs in the loop's thread.
"""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections import Counter

from django.conf import settings

from providers.models import Provider
from vms.console import grants, standing
from vms.console.admission import Ticket, admit
from vms.console.closing import Closing, Code
from vms.console.console import Console, Stage
from vms.console.database import Database
from vms.console.guest import Guest
from vms.console.handshake import Request
from vms.console.loop import READ, Loop
from vms.console.signals import Listener
from vms.console.targets import Found, Link, Target, Targets

logger = logging.getLogger(__name__)

TICK_S = 1.0
SWEEP_S = 3600.0
ACCEPT_AT_ONCE = 64
#: How long a stopping proxy waits for browsers to take their close frames.
FAREWELL_S = 2.5


class Proxy:
    """`trust_forwarded`: only our own nginx can connect here, so its headers tell scheme, host and address."""

    def __init__(
        self,
        listener: socket.socket,
        *,
        trust_forwarded: bool,
        hear_signals: bool = True,
    ) -> None:
        self.loop = Loop()
        self._listener = listener
        self._trust_forwarded = trust_forwarded
        self._database = Database(self.loop)
        self._targets = Targets(self.loop)
        self._guests: set[Guest] = set()
        self._consoles: set[Console] = set()
        #: One object per provider, the newest that a query brought, whatever the number of consoles.
        self._providers: dict[int, Provider] = {}
        self._per_user: Counter[int] = Counter()
        self._per_vm: Counter[int] = Counter()
        self._is_checking = self._check_again = self._is_stopping = False
        self._signals: Listener | None = None
        if hear_signals:
            self._signals = Listener(
                on_check=lambda: self.loop.from_thread(self.check),
                on_vm=lambda vm_uuid: self.loop.from_thread(lambda: self._vm_changed(vm_uuid)),
            )

    # -- life ----------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until `stop` was called; returns when all consoles are closed and written down."""
        self._listener.setblocking(False)
        self.loop.watch(self._listener, READ, self._accept)
        self.loop.every(TICK_S, self._tick)
        self.loop.every(settings.CONSOLE_RECHECK_S, self.check)
        self.loop.every(SWEEP_S, lambda: self._database.do(grants.sweep))
        self._database.do(grants.close_left_open)
        if self._signals is not None:
            self._signals.start()
        try:
            self.loop.run()
        finally:
            if self._signals is not None:
                self._signals.stop()
            self._targets.close()
            self._database.close()
            self.loop.close()

    def stop(self) -> None:
        """Begin to stop; may be called from a signal handler or another thread."""
        self.loop.from_thread(self._stop)

    def _stop(self) -> None:
        if self._is_stopping:
            return
        self._is_stopping = True
        self.loop.forget(self._listener)
        self._listener.close()
        for guest in list(self._guests):
            guest.send_away(503, "The console service stops.")
        for console in list(self._consoles):
            console.end(Closing(Code.RESTARTING))
        self.loop.after(FAREWELL_S, self.loop.stop)
        self._stop_when_empty()

    def _stop_when_empty(self) -> None:
        if self._is_stopping and not self._consoles:
            self.loop.stop()

    # -- opening -------------------------------------------------------------------------------------------------------

    def _accept(self, events: int) -> None:
        del events
        for _ in range(ACCEPT_AT_ONCE):
            try:
                sock, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:
                if exc.errno not in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                    raise
                logger.error("No further consoles can be opened: %s", exc)
                self.loop.forget(self._listener)
                self.loop.after(1.0, self._accept_again)
                return
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            guest = Guest(
                self.loop,
                sock,
                address[0] if isinstance(address, tuple) else None,
                trust_forwarded=self._trust_forwarded,
                on_request=self._admit,
                on_left=self._guests.discard,
            )
            self._guests.add(guest)
            if len(self._guests) > settings.CONSOLE_GUESTS_MAX:
                guest.send_away(503, "Too many consoles are being opened.")

    def _accept_again(self) -> None:
        if not self._is_stopping:
            self.loop.watch(self._listener, READ, self._accept)

    def _admit(self, guest: Guest, request: Request) -> None:
        if self._is_stopping:
            guest.sock.close()
            return
        self._database.do(lambda: admit(request), lambda result: self._admitted(guest, request, result))

    def _admitted(self, guest: Guest, request: Request, result: tuple[Ticket, Provider] | Closing) -> None:
        ticket = None if isinstance(result, Closing) else result[0]
        console = Console(self.loop, guest.sock, request, ticket, self._closed)
        if console.stage is Stage.CLOSED:
            return
        self._consoles.add(console)
        if isinstance(result, Closing):
            console.end(result)
            return
        ticket, provider = result
        self._providers[provider.pk] = provider
        self._per_user[ticket.user_pk] += 1
        self._per_vm[ticket.vm_pk] += 1
        closing = self._too_many(ticket)
        if closing is not None:
            console.end(closing)
            return
        self._targets.open(provider, ticket.external_id, ticket.kind, lambda found: self._found(console, ticket, found))

    def _too_many(self, ticket: Ticket) -> Closing | None:
        if self._is_stopping:
            return Closing(Code.RESTARTING)
        if len(self._consoles) > settings.CONSOLES_MAX:
            return Closing(Code.TOO_MANY, "The portal carries as many consoles as it may.")
        if self._per_user[ticket.user_pk] > settings.CONSOLES_PER_USER:
            return Closing(Code.TOO_MANY, "You have too many consoles open. Close one.")
        if self._per_vm[ticket.vm_pk] > settings.CONSOLES_PER_VM:
            return Closing(Code.TOO_MANY, "This machine has too many consoles open.")
        return None

    def _found(self, console: Console, ticket: Ticket, found: Found) -> None:
        match found:
            case Target():
                console.carry(found)
                if console.stage is Stage.OPEN:
                    self._database.do(lambda: grants.note_opened(ticket.grant_pk))
            case Link(url=url):
                console.say(type="link", url=url)
                console.end(Closing(Code.NOT_CARRIED, "This provider shows its consoles on a page of its own."))
            case Closing():
                console.end(found)

    def _closed(self, console: Console) -> None:
        self._consoles.discard(console)
        ticket = console.ticket
        if ticket is not None:
            for counter, key in ((self._per_user, ticket.user_pk), (self._per_vm, ticket.vm_pk)):
                counter[key] -= 1
                if counter[key] <= 0:
                    del counter[key]
            self._write_down(console, ticket)
        self._stop_when_empty()

    def _write_down(self, console: Console, ticket: Ticket) -> None:
        relay, reason = console.relay, (console.closing or Closing(Code.NORMAL)).reason
        to_browser, to_machine = (relay.from_machine, relay.from_browser) if relay is not None else (0, 0)
        was_open = relay is not None
        self._database.do(
            lambda: grants.note_closed(
                ticket.grant_pk, to_browser=to_browser, to_machine=to_machine, reason=reason, was_open=was_open
            )
        )

    # -- staying open --------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = time.monotonic()
        for console in list(self._consoles):
            console.tick(now)
            if console.stage is Stage.OPEN and now >= console.endpoint_due:
                self._ask_endpoint(console, now)

    def check(self) -> None:
        """Compare all consoles with the rows, in a thread; a second wish meanwhile makes one more round."""
        if self._is_checking:
            self._check_again = True
            return
        tickets = {console.ticket.grant_pk: console for console in self._consoles if console.ticket is not None}
        if not tickets or self._is_stopping:
            return
        opened = [standing.Opened(pk, console.ticket.session_key) for pk, console in tickets.items() if console.ticket]
        self._is_checking, self._check_again = True, False
        self._database.do(lambda: standing.ended_among(opened), lambda result: self._checked(tickets, result))

    def _checked(self, consoles: dict[int, Console], ended: dict[int, Closing] | Closing) -> None:
        self._is_checking = False
        # A check that failed says nothing about rights; the next one is seconds away.
        if not isinstance(ended, Closing):
            for grant_pk, closing in ended.items():
                consoles[grant_pk].end(closing)
        if self._check_again:
            self.check()

    def _vm_changed(self, vm_uuid: str) -> None:
        now = time.monotonic()
        mine = [each for each in self._consoles if each.ticket is not None and each.ticket.vm_uuid == vm_uuid]
        for console in mine:
            if console.stage is Stage.OPEN:
                self._ask_endpoint(console, now)
        if mine:
            self.check()

    def _ask_endpoint(self, console: Console, now: float) -> None:
        """The machine's console may be another one by now: providers give a freed port to the next machine."""
        console.endpoint_due = now + settings.CONSOLE_ENDPOINT_CHECK_S
        ticket = console.ticket
        if ticket is not None:
            self._targets.ask(
                self._providers[ticket.provider_pk],
                ticket.external_id,
                ticket.kind,
                lambda told: _compare_endpoint(console, told),
            )


def _compare_endpoint(console: Console, told: str | Closing) -> None:
    if isinstance(told, Closing):
        # That the provider does not answer is no reason to take away what works.
        if told.code in {Code.GONE, Code.NOT_RUNNING}:
            console.end(told)
    elif told != console.endpoint:
        console.end(Closing(Code.ENDED, "The machine was restarted and has a new console."))
