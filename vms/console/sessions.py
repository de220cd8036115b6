"""Open consoles as rows: written by the console service when one opens, is used and ends; closed by people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

from django.db import transaction
from django.db.models import BigIntegerField, DateTimeField, QuerySet, UUIDField
from django.utils import timezone

from kvweb.accounts.models import User
from kvweb.audit.context import Acting, acting_as
from kvweb.audit.services import record
from kvweb.events.services import News, publish_many
from vms.console import grants
from vms.console.prepared import Slot, Update
from vms.models import ConsoleSession

KEPT_FOR = timedelta(days=365)
#: Rows that are written in one transaction.
BATCH = 100


@dataclass(frozen=True, slots=True)
class Reading:
    """What the console service counted of one open console."""

    uuid: UUID
    #: Seconds since a key, the mouse or a character came from there.
    idle_s: float
    drives: bool
    to_browser: int
    to_machine: int


_used = Update(
    ConsoleSession,
    lambda: ConsoleSession.objects.filter(uuid=Slot("uuid", UUIDField()), ended_at=None),
    to={
        "active_at": Slot("active_at", DateTimeField()),
        "bytes_to_browser": Slot("to_browser", BigIntegerField()),
        "bytes_to_machine": Slot("to_machine", BigIntegerField()),
    },
)


def note_used(readings: Iterable[Reading]) -> None:
    """Bytes, last use and keyboard of consoles that were used since the last call. Only the keyboard is news."""
    waiting = iter(readings)
    while batch := list(islice(waiting, BATCH)):
        now = timezone.now()
        # Neither rows nor one long statement: thousands at a time are too much to hold.
        with transaction.atomic():
            _used.run_all(
                [
                    {
                        "uuid": reading.uuid,
                        "active_at": now - timedelta(seconds=reading.idle_s),
                        "to_browser": reading.to_browser,
                        "to_machine": reading.to_machine,
                    }
                    for reading in batch
                ]
            )
        for drives in (False, True):
            if uuids := [reading.uuid for reading in batch if reading.drives is drives]:
                _note_drivers(uuids, drives=drives)


def _note_drivers(uuids: list[UUID], *, drives: bool) -> None:
    """Those of them who took or lost the keyboard, which is news."""
    for session in ConsoleSession.objects.filter(uuid__in=uuids, ended_at=None, drives=not drives).select_related("vm"):
        session.drives = drives
        session.save(update_fields=["drives"])
        _tell(session, "changed")


def note_typed(uuid: UUID, *, strokes: int, lasted_s: float) -> None:
    """Keys were pressed through the provider; which ones is nobody's business."""
    session = _with_vm().filter(uuid=uuid).first()
    if session is not None:
        _audit(session, "vm.console.typed", {"strokes": strokes, "lasted_s": lasted_s})


def end_left_open(before: datetime) -> int:
    """What looks open from before the console service started was lost with the process before it."""
    grants.close_left_open(before)
    left = list(_with_vm().filter(ended_at=None, opened_at__lt=before))
    for session in left:
        with transaction.atomic():
            _end(session, "The console service was restarted.")
    return len(left)


def close(session: ConsoleSession, *, user: User) -> None:
    """Take the console away from who has it; it closes at once, at the latest within five seconds."""
    why = "You closed this console from another page." if session.user_id == user.pk else f"{user} closed this console."
    if session.grant is not None:
        grants.revoke(grant=session.grant, why=why)
    record(
        "vm.console.taken",
        subject=session.vm.subject,
        subject_name=session.vm.name,
        actor=user,
        project_id=session.vm.project_id,
        details={"kind": session.kind, "who": session.who, "console": str(session.uuid)},
    )


def sweep() -> int:
    """Delete the history of consoles after a year; what was audited stays."""
    count, _ = ConsoleSession.objects.filter(ended_at__lt=timezone.now() - KEPT_FOR).delete()
    return count


def _with_vm() -> QuerySet[ConsoleSession]:
    return ConsoleSession.objects.select_related("vm", "user", "guest_link__created_by")


def _end(session: ConsoleSession, reason: str) -> None:
    session.ended_at, session.end_reason, session.drives = timezone.now(), reason[:120], False
    session.save()
    _audit(
        session,
        "vm.console.closed",
        {
            "bytes_to_browser": session.bytes_to_browser,
            "bytes_to_machine": session.bytes_to_machine,
            "lasted_s": round((session.ended_at - session.opened_at).total_seconds(), 1),
            "reason": reason,
        },
    )
    _tell(session, "changed")


def _audit(session: ConsoleSession, verb: str, details: dict[str, object]) -> None:
    """In the name of who is at the console; a guest has only a name, and the entry says whose guest it was."""
    if session.guest_link is not None:
        details = {**details, "guest_of": session.guest_link.created_by.get_username()}
    name = session.user.get_username() if session.user is not None else session.who
    with acting_as(Acting(session.user_id, name, session.address)):
        record(
            verb,
            subject=session.vm.subject,
            subject_name=session.vm.name,
            project_id=session.vm.project_id,
            details={"kind": session.kind, "console": str(session.uuid), **details},
        )


def _tell(session: ConsoleSession, topic: str) -> None:
    project_id = session.vm.project_id
    of_machine = News(f"vm-consoles:{session.vm.uuid}", project_id)
    publish_many([News(session.subject, project_id, topic), of_machine])
