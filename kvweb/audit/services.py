"""record(verb, subject, …): called by services, inside the transaction of the change that it tells of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kvweb.audit.context import acting
from kvweb.audit.models import AuditEntry

if TYPE_CHECKING:
    from kvweb.accounts.models import Project, User


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
