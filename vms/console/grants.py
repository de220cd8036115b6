"""The right to open one console once: issue, redeem, revoke, sweep.

A token has 256 random bits and exists in the browser only; we keep its hash, and of the session's key a hash too, so
that neither can be used by who reads the table. A grant is bound to user, session, machine and kind, and waits 60 s.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from kvweb.accounts.access import allowed
from kvweb.accounts.models import User
from kvweb.audit.context import Acting, acting_as
from kvweb.audit.services import record
from providers.base import ConsoleKind, PowerState
from vms.choices import Presence
from vms.console.closing import Code, Refused
from vms.console.signals import announce
from vms.models import ConsoleGrant, VirtualMachine

#: States in which no provider has a console to show.
WITHOUT_CONSOLE = {PowerState.STOPPED, PowerState.CRASHED, PowerState.SUSPENDED}
KEPT_FOR = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Issued:
    grant: ConsoleGrant
    token: str

    def __repr__(self) -> str:
        return f"Issued({self.grant.uuid})"


def hashed(secret: str) -> str:
    """The form in which tokens and session keys are kept: both are random, so a plain hash cannot be guessed back."""
    return hashlib.sha256(secret.encode()).hexdigest()


def check(vm: VirtualMachine, kind: ConsoleKind, user: User) -> None:
    """Raise Refused when `user` may not open this console now; asks our own rows only."""
    if not allowed(user, "vm.console", vm):
        raise Refused(Code.NOT_ALLOWED)
    if vm.presence == Presence.DELETED:
        raise Refused(Code.GONE)
    if vm.presence == Presence.MISSING:
        raise Refused(Code.GONE, "The provider does not list this machine any more.")
    if vm.presence == Presence.WANTED:
        raise Refused(Code.NOT_RUNNING, "The machine is not created yet.")
    if not vm.provider.is_enabled:
        raise Refused(Code.PROVIDER, f"“{vm.provider.name}” is disabled.")
    if not vm.has_console(kind):
        raise Refused(Code.NOT_CARRIED, f"This machine has no {_word(kind)}.")
    if vm.power in WITHOUT_CONSOLE:
        raise Refused(Code.NOT_RUNNING)


def issue(
    vm: VirtualMachine,
    kind: ConsoleKind,
    *,
    user: User,
    session_key: str,
    address: str | None = None,
    view_only: bool = False,
) -> Issued:
    """A new grant and its token, which is nowhere else. Raises Refused."""
    if not session_key:
        raise Refused(Code.NO_SESSION)
    check(vm, kind, user)
    now = timezone.now()
    recent = ConsoleGrant.objects.filter(user=user, created_at__gt=now - timedelta(minutes=1)).count()
    if recent >= settings.CONSOLE_GRANTS_PER_MINUTE:
        raise Refused(Code.TOO_MANY, "Too many consoles were opened in the last minute. Wait a little.")
    token = secrets.token_urlsafe(32)
    grant = ConsoleGrant.objects.create(
        vm=vm,
        user=user,
        session_key=hashed(session_key),
        kind=kind.value,
        token_hash=hashed(token),
        view_only=view_only,
        expires_at=now + timedelta(seconds=settings.CONSOLE_GRANT_S),
        address=address,
    )
    return Issued(grant, token)


def redeem(grant_id: UUID, token: str, *, user: User, session_key: str, address: str | None = None) -> ConsoleGrant:
    """Use the grant up and return it with its machine. Raises Refused, with the same words whatever was wrong."""
    now = timezone.now()
    mine = Q(uuid=grant_id, token_hash=hashed(token), user=user, session_key=hashed(session_key))
    # One statement decides: of two connections with the same token one changes the row.
    changed = ConsoleGrant.objects.filter(
        mine, redeemed_at=None, revoked_at=None, closed_at=None, expires_at__gt=now
    ).update(redeemed_at=now, address=address)
    if changed != 1:
        raise Refused(Code.NOT_ALLOWED, "This right to open the console was used already or is too old.")
    return ConsoleGrant.objects.select_related("vm__provider", "user").get(uuid=grant_id)


def note_opened(grant_pk: int) -> None:
    grant = ConsoleGrant.objects.select_related("vm", "user").get(pk=grant_pk)
    _record(grant, "vm.console.opened", {"kind": grant.kind, "view_only": grant.view_only, "grant": str(grant.uuid)})


def note_closed(grant_pk: int, *, to_browser: int, to_machine: int, reason: str, was_open: bool) -> None:
    """Write down the end of a redeemed grant; `was_open` says that a console was really carried."""
    now = timezone.now()
    ConsoleGrant.objects.filter(pk=grant_pk).update(
        closed_at=now, bytes_to_browser=to_browser, bytes_to_machine=to_machine, end_reason=reason[:120]
    )
    # With the machine's row its grants are gone too; the entries about it stay.
    grant = ConsoleGrant.objects.select_related("vm", "user").filter(pk=grant_pk).first()
    if grant is not None and was_open:
        lasted_s = round((now - grant.redeemed_at).total_seconds(), 1) if grant.redeemed_at else 0
        _record(
            grant,
            "vm.console.closed",
            {
                "kind": grant.kind,
                "grant": str(grant.uuid),
                "bytes_to_browser": to_browser,
                "bytes_to_machine": to_machine,
                "lasted_s": lasted_s,
                "reason": reason,
            },
        )


def _record(grant: ConsoleGrant, verb: str, details: dict[str, object]) -> None:
    with acting_as(Acting(grant.user_id, grant.user.get_username(), grant.address)):
        record(
            verb,
            subject=grant.vm.subject,
            subject_name=grant.vm.name,
            project_id=grant.vm.project_id,
            details=details,
        )


def revoke(
    *, grant: ConsoleGrant | None = None, vm: VirtualMachine | None = None, user: User | None = None, session: str = ""
) -> int:
    """Take back what matches all that is given: unused grants die, open consoles close at once. Returns how many."""
    wanted = Q()
    if grant is not None:
        wanted &= Q(pk=grant.pk)
    if vm is not None:
        wanted &= Q(vm=vm)
    if user is not None:
        wanted &= Q(user=user)
    if session:
        wanted &= Q(session_key=hashed(session))
    if not wanted:
        raise ValueError("Say whose consoles are meant.")
    count = ConsoleGrant.objects.filter(wanted, revoked_at=None, closed_at=None).update(revoked_at=timezone.now())
    if count:
        announce()
    return count


def close_left_open() -> int:
    """When the proxy starts nothing is open: what looks so was lost with the process before it."""
    now = timezone.now()
    return (
        ConsoleGrant.objects.filter(closed_at=None)
        .exclude(redeemed_at=None)
        .update(closed_at=now, end_reason="The console service was restarted.")
    )


def sweep() -> int:
    """Delete grants that were never used an hour after their time, and the history of used ones after 90 days."""
    now = timezone.now()
    unused = Q(redeemed_at=None, expires_at__lt=now - timedelta(hours=1))
    count, _ = ConsoleGrant.objects.filter(unused | Q(created_at__lt=now - KEPT_FOR)).delete()
    return count


def _word(kind: ConsoleKind) -> str:
    return {ConsoleKind.VNC: "screen", ConsoleKind.SERIAL: "serial console"}[kind]
