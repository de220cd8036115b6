"""What the console service writes down of its consoles' beginnings and ends: many in one transaction, no row read.

A ticket knows all that the rows and entries say, so an opening costs three inserts. Reading the grant with its machine
and person for each cost ten times that, and took the interpreter from the consoles that were just carried.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import BigIntegerField, BooleanField, CharField, DateTimeField, UUIDField

from kvweb.audit.context import Acting
from kvweb.audit.services import Entry, record_many
from kvweb.events.services import News, publish_many
from vms.console.admission import Ticket
from vms.console.prepared import Slot, Update
from vms.models import ConsoleGrant, ConsoleSession

logger = logging.getLogger(__name__)

#: Rows that are written in one transaction.
BATCH = 100
_REASON_LENGTH = 120


@dataclass(frozen=True, slots=True)
class Opened:
    """A console was joined with its machine."""

    ticket: Ticket
    uuid: UUID
    drives: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """A redeemed grant is over; `opened` is None when no console was carried for it."""

    ticket: Ticket
    opened: Opened | None
    to_browser: int
    to_machine: int
    reason: str
    at: datetime


Note = Opened | Ended

_COUNTED = {
    "bytes_to_browser": Slot("to_browser", BigIntegerField()),
    "bytes_to_machine": Slot("to_machine", BigIntegerField()),
    "end_reason": Slot("reason", CharField()),
}
_grant_ended = Update(
    ConsoleGrant,
    lambda: ConsoleGrant.objects.filter(pk=Slot("pk", BigIntegerField())),
    to=_COUNTED | {"closed_at": Slot("at", DateTimeField())},
)
_session_ended = Update(
    ConsoleSession,
    lambda: ConsoleSession.objects.filter(uuid=Slot("uuid", UUIDField()), ended_at=None),
    to=_COUNTED | {"ended_at": Slot("at", DateTimeField()), "drives": Slot("drives", BooleanField())},
)


def write(notes: Sequence[Note]) -> None:
    """Write `notes` down, in their order: the end of a console never before its beginning."""
    for start in range(0, len(notes), BATCH):
        batch = notes[start : start + BATCH]
        try:
            _write(batch)
        except IntegrityError as exc:
            # A machine was deleted meanwhile, and its rows with it. The others' are written all the same.
            if len(batch) == 1:
                logger.info("Nothing is left to write a console's note to: %s", exc)
                continue
            for note in batch:
                write([note])


def _write(notes: Sequence[Note]) -> None:
    with transaction.atomic():
        openings = [note for note in notes if isinstance(note, Opened)]
        if openings:
            ConsoleSession.objects.bulk_create([_row(note) for note in openings])
        ended = [note for note in notes if isinstance(note, Ended) and _end(note)]
        record_many([*map(_opened_entry, openings), *map(_ended_entry, ended)])
        publish_many([*_news(openings, "created"), *_news(ended, "changed")])


def _row(note: Opened) -> ConsoleSession:
    ticket = note.ticket
    return ConsoleSession(
        uuid=note.uuid,
        vm_id=ticket.vm_pk,
        grant_id=ticket.grant_pk,
        user_id=ticket.user_pk,
        guest_link_id=ticket.guest_link_pk,
        who=ticket.who,
        kind=ticket.kind.value,
        view_only=ticket.view_only,
        drives=note.drives,
        address=ticket.address,
        active_at=note.at,
    )


def _end(note: Ended) -> bool:
    """Whether a console's row ended with it; with the machine's row it is gone, and nothing is news any more."""
    values = {
        "at": note.at,
        "to_browser": note.to_browser,
        "to_machine": note.to_machine,
        "reason": note.reason[:_REASON_LENGTH],
    }
    _grant_ended.run(pk=note.ticket.grant_pk, **values)
    return note.opened is not None and _session_ended.run(uuid=note.opened.uuid, drives=False, **values) == 1


def _opened_entry(note: Opened) -> Entry:
    return entry(note.ticket, "vm.console.opened", note.uuid, view_only=note.ticket.view_only)


def _ended_entry(note: Ended) -> Entry:
    begun = note.opened
    return entry(
        note.ticket,
        "vm.console.closed",
        begun.uuid if begun is not None else None,
        bytes_to_browser=note.to_browser,
        bytes_to_machine=note.to_machine,
        lasted_s=round((note.at - begun.at).total_seconds(), 1) if begun is not None else 0.0,
        reason=note.reason,
    )


def entry(ticket: Ticket, verb: str, console: UUID | None = None, **details: object) -> Entry:
    """In the name of who is at the console; a guest has only a name, and the entry says whose guest it was."""
    if console is not None:
        details["console"] = str(console)
    if ticket.guest_of:
        details["guest_of"] = ticket.guest_of
    return Entry(
        verb=verb,
        subject=f"vm:{ticket.vm_uuid}",
        subject_name=ticket.vm_name,
        project_id=ticket.project_pk,
        details={"kind": ticket.kind.value, **details},
        who=Acting(ticket.user_pk, ticket.username or ticket.who, ticket.address),
    )


def _news(notes: Iterable[Opened | Ended], topic: str) -> Iterator[News]:
    for note in notes:
        begun = note.opened if isinstance(note, Ended) else note
        if begun is not None:
            yield News(f"console:{begun.uuid}", note.ticket.project_pk, topic)
            yield News(f"vm-consoles:{note.ticket.vm_uuid}", note.ticket.project_pk)
