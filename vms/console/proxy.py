"""The console proxy: one process, one loop, all consoles.

It admits (cookie, origin, grant), asks the driver where the console is, carries bytes, and ends consoles whose right,
session or machine went away. Queries and drivers run in threads; everything in this file runs in the loop's thread.
"""

from __future__ import annotations

import errno
import logging
import socket
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from kvweb.audit.services import record_many
from providers.base import ConsoleKind
from providers.models import Provider
from vms.console import listeners, logbook, sessions, standing
from vms.console.admission import Ticket, admit, may_lead
from vms.console.closing import Closing, Code
from vms.console.console import Console, Stage
from vms.console.database import Database
from vms.console.guest import Guest
from vms.console.handshake import Request
from vms.console.keyboard import Keyboards
from vms.console.loop import READ, Loop
from vms.console.places import Places
from vms.console.serial_lines import Hubs, Sitter, Wanted
from vms.console.sharing import Rooms
from vms.console.signals import Listener
from vms.console.targets import Found, Handed, Link, Target, Targets
from vms.console.viewings import Viewing, Viewings, left_open

logger = logging.getLogger(__name__)

TICK_S = 1.0
SWEEP_S = 3600.0
#: How often one provider is asked whether its consoles are where they were.
QUESTIONS_PER_S = 50
#: How often what was carried is written down.
NOTE_S = 10.0
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
        #: In the order in which they came.
        self._guests: dict[Guest, None] = {}
        self._consoles: set[Console] = set()
        #: One object per provider, the newest that a query brought, whatever the number of consoles.
        self._providers: dict[int, Provider] = {}
        self._rooms = Rooms(self.loop, self._ask_may_lead, self._note_driver)
        self._keyboards = Keyboards(self.loop, self._provider_of, self._note_typed)
        self._hubs = Hubs(self.loop, self._targets, self._not_seated)
        self._viewings = Viewings(
            self._targets,
            write=lambda note: self._database.note_together(logbook.write, note),
            ended=self._viewing_ended,
        )
        #: Consoles whose beginning was written down.
        self._opened: dict[Console, logbook.Opened] = {}
        #: Of each console what was written down last.
        self._noted: dict[Console, tuple[int, int]] = {}
        self._places = Places()
        self._is_checking = self._check_again = self._is_stopping = False
        self._signals: Listener | None = None
        if hear_signals:
            self._signals = Listener(
                on_check=lambda: self.loop.from_thread(self.check),
                on_vm=lambda vm_uuid: self.loop.from_thread(lambda: self._vm_changed(vm_uuid)),
                on_restart=lambda vm_uuid: self.loop.from_thread(lambda: self._hubs.note_restart(vm_uuid)),
            )

    # -- life ----------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until `stop` was called; returns when all consoles are closed and written down."""
        started = timezone.now()
        self._listener.setblocking(False)
        self.loop.watch(self._listener, READ, self._accept)
        self.loop.every(TICK_S, self._tick)
        self.loop.every(settings.CONSOLE_RECHECK_S, self.check)
        self.loop.every(NOTE_S, self._note)
        self.loop.every(SWEEP_S, lambda: self._database.do(listeners.sweep))
        # Consoles may be opened before this is done.
        self._database.do(lambda: left_open(started), lambda left: self._end_left(started, left))
        self._listen_to_kept()
        if self._signals is not None:
            self._signals.start()
        try:
            self.loop.run()
        finally:
            if self._signals is not None:
                self._signals.stop()
            self._hubs.close()
            self._keyboards.close()
            self._targets.close()
            self._database.close()
            self.loop.close()

    def _end_left(self, started: datetime, viewers: list[tuple[Provider, str]] | Closing) -> None:
        if not isinstance(viewers, Closing):
            self._viewings.close_left(viewers)
        self._database.note(lambda: sessions.end_left_open(started))

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
        self._viewings.end_all(Closing(Code.RESTARTING))
        self.loop.after(FAREWELL_S, self.loop.stop)
        self._stop_when_empty()

    def _stop_when_empty(self) -> None:
        if self._is_stopping and not self._consoles and not self._viewings:
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
                on_left=self._guest_left,
            )
            self._guests[guest] = None
            guest.begin()
            if len(self._guests) > settings.CONSOLE_GUESTS_MAX:
                # Whoever means it has sent a request within milliseconds: the one who waits longest has to go.
                next(iter(self._guests)).send_away(503, "Too many consoles are being opened.")

    def _guest_left(self, guest: Guest) -> None:
        self._guests.pop(guest, None)

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
        console = Console(self.loop, guest.sock, request, ticket, self)
        if console.stage is Stage.CLOSED:
            return
        self._consoles.add(console)
        if isinstance(result, Closing):
            console.end(result)
            return
        ticket, provider = result
        self._providers[provider.pk] = provider
        refusal = Closing(Code.RESTARTING) if self._is_stopping else self._places.refusal(ticket)
        if refusal is not None:
            console.end(refusal)
            return
        self._places.take(ticket)
        if ticket.kind is ConsoleKind.SERIAL:
            self._hubs.join(console, Wanted(ticket.vm_pk, ticket.vm_uuid, ticket.external_id, provider))
        else:
            self._targets.open(provider, ticket.external_id, ticket.kind, lambda found: self._found(console, found))

    def _not_seated(self, sitter: Sitter, found: Found) -> None:
        if isinstance(sitter, Console):
            self._found(sitter, found)

    def _found(self, console: Console, found: Found) -> None:
        match found:
            case Target():
                console.carry(found)
            case Link(url=url):
                console.say(type="link", url=url)
                console.end(Closing(Code.NOT_CARRIED, "This provider shows its consoles on a page of its own."))
            case Handed():
                self._hand(console, found)
            case Closing():
                console.end(found)

    def _hand(self, console: Console, file: Handed) -> None:
        """Give a viewer's file, once it is written down who got it; from here on it stands for the grant."""
        ticket = console.ticket
        if ticket is None:
            return
        viewing = self._viewings.begin(ticket, self._providers[ticket.provider_pk], file)

        def noted(failed: Closing | None) -> None:
            closing = failed or viewing.closing or (console.closing if console.stage is not Stage.CONNECTING else None)
            if closing is None:
                console.say(type="viewer", text=file.text, valid_s=file.valid_s)
                console.end(Closing(Code.NOT_CARRIED, "The viewer opens this screen by itself."))
            else:
                viewing.end(closing)
                console.end(closing)

        handed = logbook.entry(ticket, "vm.console.viewer", valid_s=file.valid_s)
        self._database.do(lambda: record_many([handed]), noted)

    def _viewing_ended(self, ticket: Ticket) -> None:
        self._places.give_back(ticket)
        self._stop_when_empty()

    # -- what consoles tell --------------------------------------------------------------------------------------------

    def opening(self, console: Console) -> None:
        self._rooms.enter(console)

    def opened(self, console: Console) -> None:
        if console.ticket is not None:
            opened = logbook.Opened(console.ticket, console.id, console.drives, timezone.now())
            self._opened[console] = opened
            self._database.note_together(logbook.write, opened)
        self._rooms.tell(console)

    def heard(self, console: Console, message: Mapping[str, object]) -> None:
        if message.get("type") == "keys":
            self._keyboards.heard(console, message)
        else:
            self._rooms.heard(console, message)

    def _provider_of(self, console: Console) -> Provider | None:
        return self._providers.get(console.ticket.provider_pk) if console.ticket is not None else None

    def _note_typed(self, console: Console, strokes: int, lasted_s: float) -> None:
        self._database.note(lambda: sessions.note_typed(console.id, strokes=strokes, lasted_s=lasted_s))

    def closed(self, console: Console) -> None:
        self._consoles.discard(console)
        self._noted.pop(console, None)
        self._keyboards.left(console)
        self._rooms.leave(console)
        ticket = console.ticket
        if ticket is not None and not self._viewings.took_over(ticket):
            self._places.give_back(ticket)
            self._write_down(console, ticket)
        self._stop_when_empty()

    def _write_down(self, console: Console, ticket: Ticket) -> None:
        relay, reason = console.relay, (console.closing or Closing(Code.NORMAL)).reason
        to_browser, to_machine = (relay.from_machine, relay.from_browser) if relay is not None else (0, 0)
        opened = self._opened.pop(console, None)
        self._database.note_together(
            logbook.write, logbook.Ended(ticket, opened, to_browser, to_machine, reason, timezone.now())
        )

    # -- staying open --------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = time.monotonic()
        self._hubs.tick()
        self._keyboards.tick(now)
        self._viewings.tick(now)
        for console in list(self._consoles):
            console.tick(now)
            if console.stage is Stage.OPEN and now >= console.endpoint_due:
                self._ask_endpoint(console, now)

    def check(self) -> None:
        """Compare all consoles with the rows, in a thread; a second wish meanwhile makes one more round."""
        if self._is_checking:
            self._check_again = True
            return
        tickets: dict[int, Console | Viewing] = {
            console.ticket.grant_pk: console for console in self._consoles if console.ticket is not None
        }
        # A connection that fetched a file may be there still while the file stands for its grant already.
        tickets |= self._viewings.by_grant()
        if not tickets or self._is_stopping:
            return
        opened = [standing.Opened(pk, console.ticket.session_key) for pk, console in tickets.items() if console.ticket]
        self._is_checking, self._check_again = True, False
        self._database.do(lambda: standing.ended_among(opened), lambda result: self._checked(tickets, result))

    def _checked(self, consoles: dict[int, Console | Viewing], ended: dict[int, Closing] | Closing) -> None:
        self._is_checking = False
        # A check that failed says nothing about rights; the next one is seconds away.
        if not isinstance(ended, Closing):
            for grant_pk, closing in ended.items():
                consoles[grant_pk].end(closing)
            self._viewings.tick(time.monotonic())
        if self._check_again:
            self.check()

    def _ask_may_lead(self, ticket: Ticket, answer: Callable[[bool], None]) -> None:
        self._database.do(lambda: may_lead(ticket), lambda told: answer(told is True))

    def _note_driver(self, console: Console) -> None:
        """The keyboard changed hands: pages are told at once."""
        if console.relay is not None and console.stage is Stage.OPEN:
            reading = _reading(console)
            self._database.note(lambda: sessions.note_used([reading]))

    def _note(self) -> None:
        """Write down what was carried; of consoles that nobody uses there is nothing to write."""
        changed = []
        for console in self._consoles:
            relay = console.relay
            if console.stage is not Stage.OPEN or relay is None:
                continue
            counted = (relay.from_machine, relay.from_browser)
            if self._noted.get(console) != counted:
                self._noted[console] = counted
                changed.append(_reading(console))
        if changed:
            self._database.note(lambda: sessions.note_used(changed))

    def _listen_to_kept(self) -> None:
        """Serial lines whose log is kept; asked for anew every few seconds."""
        if self._is_stopping:
            return

        def keep(told: dict[int, Wanted] | Closing) -> None:
            if not isinstance(told, Closing) and not self._is_stopping:
                self._hubs.keep(told)
            self.loop.after(settings.CONSOLE_RECHECK_S, self._listen_to_kept)

        self._database.do(listeners.wanted, keep)

    def _vm_changed(self, vm_uuid: str) -> None:
        now = time.monotonic()
        self._viewings.news_of(vm_uuid)
        mine = [each for each in self._consoles if each.ticket is not None and each.ticket.vm_uuid == vm_uuid]
        for console in mine:
            if console.stage is Stage.OPEN:
                self._ask_endpoint(console, now)
        if mine:
            self.check()

    def _ask_endpoint(self, console: Console, now: float) -> None:
        """The machine's console may be another one by now: providers give a freed port to the next machine."""
        ticket = console.ticket
        if ticket is None or not console.endpoint:
            # Of some consoles asking tells nothing: each answer is a new ticket.
            console.endpoint_due = now + settings.CONSOLE_LIFE_S
            return
        # Many consoles at one provider are asked for in turn, so that it has other things to do as well.
        pause_s = max(settings.CONSOLE_ENDPOINT_CHECK_S, self._places.at(ticket.provider_pk) / QUESTIONS_PER_S)
        console.endpoint_due = now + pause_s
        self._targets.ask(
            self._providers[ticket.provider_pk],
            ticket.external_id,
            ticket.kind,
            lambda told: _compare_endpoint(console, told),
        )


def _reading(console: Console) -> sessions.Reading:
    relay = console.relay
    if relay is None:
        raise ValueError("This console is not open.")
    return sessions.Reading(
        uuid=console.id,
        idle_s=time.monotonic() - relay.used_at,
        drives=relay.drives,
        to_browser=relay.from_machine,
        to_machine=relay.from_browser,
    )


def _compare_endpoint(console: Console, told: str | Closing) -> None:
    if isinstance(told, Closing):
        # That the provider does not answer is no reason to take away what works.
        if told.code in {Code.GONE, Code.NOT_RUNNING}:
            console.end(told)
    elif told != console.endpoint:
        console.end(Closing(Code.ENDED, "The machine was restarted and has a new console."))
