"""record(verb, subject, …): called by services, inside the transaction of the change that it tells of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kvweb.audit.context import Acting, acting
from kvweb.audit.models import AuditEntry

if TYPE_CHECKING:
    from kvweb.accounts.models import Project, User


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was done, for `record_many`; `details` must be free of secrets."""

    verb: str
    subject: str
    who: Acting
    subject_name: str = ""
    project_id: int | None = None
    details: dict[str, Any] = field(default_factory=dict)


def record_many(entries: Iterable[Entry]) -> None:
    """Write what several people did with one statement, for services that look after many at a time."""
    AuditEntry.objects.bulk_create(
        AuditEntry(
            verb=entry.verb,
            subject=entry.subject,
            subject_name=entry.subject_name,
            actor_id=entry.who.user_id,
            actor_name=entry.who.user_name,
            project_id=entry.project_id,
            details=entry.details,
            address=entry.who.address,
        )
        for entry in entries
    )


def record(
    verb: str,
    *,
    subject: str,
    subject_name: str = "",
    actor: User | None = None,
    project: Project | None = None,
    project_id: int | None = None,
    details: dict[str, Any] | None = None,
) -> AuditEntry:
    """Write one entry; `details` must be free of secrets. Without `actor` it is who acts in this request or job."""
    who = acting()
    return AuditEntry.objects.create(
        verb=verb,
        subject=subject,
        subject_name=subject_name,
        actor_id=actor.pk if actor else who.user_id,
        actor_name=actor.get_username() if actor else who.user_name,
        project_id=project.pk if project else project_id,
        details=details or {},
        address=who.address,
    )
