"""Viewers on people's own computers: nothing of them passes here, but who has one open is known, and it is ended.

From its file on each stands for its grant as an open console does: it is looked at every few seconds, and whatever ends
it (a right that went, a person, the time) makes the provider disconnect it, again and again until that is done.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import ip_address

from django.conf import settings
from django.utils import timezone

from providers.base import ConsoleKind, Driver, NotSupported, ViewerRecord, ViewerState
from providers.models import Provider
from vms.console.admission import Ticket
from vms.console.closing import Closing, Code
from vms.console.logbook import Ended, Note, Opened
from vms.console.targets import Handed, Targets
from vms.models import ConsoleGrant

LOOK_S = 2.0
#: A provider that does not answer is asked again after so long, and then ever less often.
FIRST_RETRY_S, LAST_RETRY_S = 2.0, 30.0
#: A file counts as unused when its time is over by so much: clocks differ, and news take their time.
GRACE_S = 5.0
#: What a provider answers when there is nothing left that could be closed.
_DONE = {Code.GONE, Code.NOT_CARRIED}


@dataclass(slots=True, eq=False)
class Viewing:
    """One file that was handed out, and the viewer that came with it."""

    ticket: Ticket
    provider: Provider
    #: The driver's name for the file.
    name: str
    #: Until when a viewer may come, by the monotonic clock.
    until: float
    since: float
    opened: Opened | None = None
    closing: Closing | None = None
    is_asked: bool = False
    due: float = 0.0
    retry_s: float = FIRST_RETRY_S

    def end(self, closing: Closing) -> None:
        """Close it with the next tick; the first reason counts."""
        if self.closing is None:
            self.closing, self.due = closing, 0.0


class Viewings:
    """All of the service; used in the loop's thread only.

    `write` writes a note down; `ended` is told of each ticket whose viewer is surely gone.
    """

    def __init__(self, targets: Targets, *, write: Callable[[Note], None], ended: Callable[[Ticket], None]) -> None:
        self._targets, self._write, self._ended = targets, write, ended
        self._all: list[Viewing] = []
        #: Grants that were taken over from the browser's connection, which ends with the file.
        self._taken_over: set[int] = set()
        #: Machines whose viewers were left by the process before this one, and when they are tried next.
        self._left: dict[tuple[Provider, str], float] = {}

    def __len__(self) -> int:
        return len(self._all)

    def begin(self, ticket: Ticket, provider: Provider, handed: Handed) -> Viewing:
        """Stand for the grant from now on. Whoever had a viewer at this machine was disconnected by the new file."""
        for other in [each for each in self._all if each.ticket.vm_pk == ticket.vm_pk]:
            self._over(other, other.closing or Closing(Code.ENDED, f"{ticket.who} got a file for this screen."))
        self._left.pop((provider, ticket.external_id), None)
        now = time.monotonic()
        viewing = Viewing(ticket, provider, handed.ticket, now + handed.valid_s + GRACE_S, now)
        self._all.append(viewing)
        self._taken_over.add(ticket.grant_pk)
        return viewing

    def took_over(self, ticket: Ticket) -> bool:
        """Whether a connection that closed was one that only fetched a file; asked once of each."""
        is_ours = ticket.grant_pk in self._taken_over
        self._taken_over.discard(ticket.grant_pk)
        return is_ours

    def by_grant(self) -> dict[int, Viewing]:
        return {viewing.ticket.grant_pk: viewing for viewing in self._all}

    def end_all(self, closing: Closing) -> None:
        for viewing in self._all:
            viewing.end(closing)
        self.tick(time.monotonic())

    def news_of(self, vm_uuid: str) -> None:
        for viewing in self._all:
            if viewing.ticket.vm_uuid == vm_uuid:
                viewing.due = 0.0

    def close_left(self, machines: Iterable[tuple[Provider, str]]) -> None:
        """Nobody stands for those viewers any more: they go."""
        self._left |= dict.fromkeys(machines, 0.0)

    def tick(self, now: float) -> None:
        """Called every second."""
        for viewing in list(self._all):
            if now - viewing.since > settings.CONSOLE_LIFE_S:
                viewing.end(Closing(Code.TIME_UP))
            if viewing.is_asked or now < viewing.due:
                continue
            viewing.is_asked, viewing.due = True, now + LOOK_S
            if viewing.closing is None:
                self._look(viewing)
            else:
                self._close(viewing, viewing.closing)
        for machine in [each for each, due in self._left.items() if now >= due]:
            self._left[machine] = now + LAST_RETRY_S
            self._close_left(machine)

    # -- looking -------------------------------------------------------------------------------------------------------

    def _look(self, viewing: Viewing) -> None:
        external_id, name = viewing.ticket.external_id, viewing.name

        def ask(driver: Driver) -> ViewerRecord:
            if driver.consoles is None:
                raise NotSupported
            return driver.consoles.viewer(external_id, name)

        self._targets.do(viewing.provider, ask, lambda told: self._looked(viewing, told))

    def _looked(self, viewing: Viewing, told: ViewerRecord | Closing) -> None:
        viewing.is_asked = False
        if viewing not in self._all or viewing.closing is not None:
            return
        if isinstance(told, Closing):
            # That the provider does not answer is no reason to take away what works.
            if told.code is Code.NOT_RUNNING:
                self._over(viewing, Closing(Code.NOT_RUNNING, "The machine was stopped or restarted."))
            elif told.code in _DONE:
                self._over(viewing, told)
            else:
                self._wait(viewing)
            return
        viewing.retry_s = FIRST_RETRY_S
        if told.address and viewing.opened is None:
            self._open(viewing, told.address)
        if told.state is ViewerState.GONE:
            viewing.end(Closing(Code.NORMAL, "The viewer was closed."))
        elif told.state is ViewerState.UNSEEN:
            viewing.end(Closing(Code.PROVIDER, "The portal lost sight of the viewer."))
        elif told.state is ViewerState.WAITING and time.monotonic() > viewing.until:
            viewing.end(Closing(Code.NORMAL, "Nobody opened the file in time."))

    def _open(self, viewing: Viewing, address: str) -> None:
        with suppress(ValueError):
            # It connects from where it is, which need not be where the browser was.
            viewing.ticket = replace(viewing.ticket, address=str(ip_address(address)))
        viewing.since = time.monotonic()
        viewing.opened = Opened(viewing.ticket, uuid.uuid4(), True, timezone.now())
        self._write(viewing.opened)

    # -- closing -------------------------------------------------------------------------------------------------------

    def _close(self, viewing: Viewing, closing: Closing) -> None:
        def closed(told: object) -> None:
            viewing.is_asked = False
            if viewing not in self._all:
                return
            if isinstance(told, Closing) and told.code not in _DONE:
                self._wait(viewing)
            else:
                self._over(viewing, closing)

        self._targets.do(viewing.provider, _closing(viewing.ticket.external_id, viewing.name), closed)

    def _over(self, viewing: Viewing, closing: Closing) -> None:
        self._all.remove(viewing)
        self._write(Ended(viewing.ticket, viewing.opened, 0, 0, closing.reason, timezone.now()))
        self._ended(viewing.ticket)

    @staticmethod
    def _wait(viewing: Viewing) -> None:
        viewing.due = time.monotonic() + viewing.retry_s
        viewing.retry_s = min(viewing.retry_s * 2, LAST_RETRY_S)

    def _close_left(self, machine: tuple[Provider, str]) -> None:
        provider, external_id = machine

        def closed(told: object) -> None:
            if not isinstance(told, Closing) or told.code in _DONE:
                self._left.pop(machine, None)

        self._targets.do(provider, _closing(external_id, ""), closed)


def _closing(external_id: str, name: str) -> Callable[[Driver], None]:
    def close(driver: Driver) -> None:
        if driver.consoles is not None:
            driver.consoles.close_viewer(external_id, name)

    return close


def left_open(before: datetime) -> list[tuple[Provider, str]]:
    """Machines at which somebody may have a viewer by a grant of the process before this one."""
    grants = ConsoleGrant.objects.filter(kind=ConsoleKind.SPICE, redeemed_at__lt=before, closed_at=None)
    found = {(grant.vm.provider, grant.vm.external_id) for grant in grants.select_related("vm__provider")}
    return sorted(found, key=lambda each: each[1])
