"""Links by which a colleague without an account opens one console: made, shown once, used, taken back.

The secret stands behind the # of the link, so it is in no server's log and in no Referer; the database holds its hash.
Who shows it gets a session of their own that knows this one link, and then grants like everybody else.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.core.cache import cache
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from kvweb.accounts.models import User
from kvweb.audit.services import record
from providers.base import ConsoleKind
from vms.console import grants
from vms.console.closing import Code, Refused
from vms.models import GuestLink, VirtualMachine

logger = logging.getLogger(__name__)

#: Attempts with any secret from one address within a minute.
ATTEMPTS_PER_MINUTE = 20
#: The same whatever was wrong: nobody learns which links exist.
NO_SUCH_LINK = "This link does not work: it is incomplete, has expired, or was taken back. Ask for a new one."


@dataclass(frozen=True, slots=True)
class Made:
    link: GuestLink
    secret: str = field(repr=False)


def create(vm: VirtualMachine, *, user: User, kind: str, hours: int, guest_name: str, may_type: bool = False) -> Made:
    """A new link and its secret, which is nowhere else."""
    secret = secrets.token_urlsafe(32)
    with transaction.atomic():
        link = GuestLink.objects.create(
            vm=vm,
            kind=ConsoleKind(kind).value,
            guest_name=guest_name,
            secret_hash=grants.hashed(secret),
            may_type=may_type,
            created_by=user,
            expires_at=timezone.now() + timedelta(hours=hours),
        )
        _record(link, "vm.guest_link.created", user, {"hours": hours, "may_type": may_type})
    return Made(link, secret)


def revoke(link: GuestLink, *, user: User) -> None:
    """It opens nothing any more, and what was opened by it closes."""
    with transaction.atomic():
        link.revoked_at = timezone.now()
        link.save(update_fields=["revoked_at"])
        _record(link, "vm.guest_link.revoked", user, {})
    grants.revoke(guest_link=link, why="The guest link was taken back.")


def enter(uuid: UUID, secret: str, *, address: str | None) -> GuestLink:
    """The link that this secret belongs to. Raises Refused, with the same words whatever was wrong."""
    if _tries_too_often(address):
        raise Refused(Code.TOO_MANY, "Too many attempts. Wait a minute.")
    link = GuestLink.objects.select_related("vm__provider", "created_by").filter(uuid=uuid).first()
    is_right = constant_time_compare(link.secret_hash if link else "", grants.hashed(secret))
    if link is None or not is_right or not works(link):
        raise Refused(Code.NOT_ALLOWED, NO_SUCH_LINK)
    GuestLink.objects.filter(pk=link.pk).update(used_at=timezone.now())
    return link


def works(link: GuestLink) -> bool:
    """Whether it still opens its console, apart from the machine's state."""
    try:
        grants.check(link.vm, ConsoleKind(link.kind), link)
    except Refused as refused:
        return refused.closing.code is not Code.NOT_ALLOWED
    return True


def sweep() -> int:
    """Delete links 90 days after their end; sessions keep whom they were for."""
    before = timezone.now() - grants.KEPT_FOR
    count, _ = GuestLink.objects.filter(Q(expires_at__lt=before) | Q(revoked_at__lt=before)).delete()
    return count


def _tries_too_often(address: str | None) -> bool:
    """Nobody guesses 256 bits; this only keeps guessing from being a load."""
    name = f"guest-link-attempts:{address}"
    try:
        cache.add(name, 0, 60)
        return int(cache.incr(name)) > ATTEMPTS_PER_MINUTE
    except Exception as exc:
        logger.info("Attempts with guest links are not counted: %s", exc)
        return False


def _record(link: GuestLink, verb: str, user: User, details: dict[str, object]) -> None:
    record(
        verb,
        subject=link.vm.subject,
        subject_name=link.vm.name,
        actor=user,
        project_id=link.vm.project_id,
        details={"kind": link.kind, "guest": link.guest_name, "link": str(link.uuid), **details},
    )
