"""The right to open one console once: issue, redeem, revoke, sweep.

A token has 256 random bits and exists in the browser only; we keep its hash, and of the session's key a hash too, so
that neither can be used by who reads the table. A grant is bound to user (or guest link), session, machine and kind,
and waits 60 s.
"""

from __future__ import annotations

import functools
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from kvweb.accounts.access import allowed
from kvweb.accounts.models import User
from providers.base import CARRIED_CONSOLES, ConsoleKind, PowerState
from vms.choices import Presence
from vms.console.closing import Code, Refused
from vms.console.signals import announce
from vms.models import ConsoleGrant, GuestLink, VirtualMachine

#: States in which no provider has a console to show.
WITHOUT_CONSOLE = {PowerState.STOPPED, PowerState.CRASHED, PowerState.SUSPENDED}
KEPT_FOR = timedelta(days=90)
#: The same words whatever was wrong with a grant.
USED_UP = "This right to open the console was used already or is too old."
#: What admission asks of a grant and what it is for.
DECIDES = [
    *("uuid", "vm", "user", "guest_link", "kind", "view_only"),
    *(
        "vm__uuid",
        "vm__external_id",
        "vm__name",
        "vm__project",
        "vm__provider",
        "vm__presence",
        "vm__power",
        "vm__consoles",
    ),
    *(f"vm__provider__{name}" for name in ("kind", "name", "config", "sealed", "capabilities", "is_enabled")),
    *(f"user__{name}" for name in ("username", "first_name", "last_name", "password", "is_active", "is_superuser")),
]


@dataclass(frozen=True, slots=True)
class Issued:
    grant: ConsoleGrant
    token: str

    def __repr__(self) -> str:
        return f"Issued({self.grant.uuid})"


def hashed(secret: str) -> str:
    """The form in which tokens and session keys are kept: both are random, so a plain hash cannot be guessed back."""
    return hashlib.sha256(secret.encode()).hexdigest()


#: Who a grant is for: a person, or the link by which a guest came.
Holder = User | GuestLink


def check(vm: VirtualMachine, kind: ConsoleKind, holder: Holder) -> None:
    """Raise Refused when `holder` may not open this console now; asks our own rows only."""
    if isinstance(holder, GuestLink):
        _check_link(holder, vm, kind)
    elif not allowed(holder, "vm.console", vm):
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


def _check_link(link: GuestLink, vm: VirtualMachine, kind: ConsoleKind) -> None:
    """A link opens one console of one machine, until it expires, and is never worth more than who made it."""
    is_over = link.revoked_at is not None or link.expires_at <= timezone.now()
    if is_over or link.vm_id != vm.pk or link.kind != kind or not allowed(link.created_by, "vm.share", vm):
        raise Refused(Code.NOT_ALLOWED, "This guest link does not work any more.")


def issue(
    vm: VirtualMachine,
    kind: ConsoleKind,
    *,
    user: User | None = None,
    guest_link: GuestLink | None = None,
    session_key: str,
    address: str | None = None,
    view_only: bool = False,
) -> Issued:
    """A new grant and its token, which is nowhere else. Raises Refused."""
    if not session_key:
        raise Refused(Code.NO_SESSION)
    holder = _holder(user, guest_link)
    if kind not in CARRIED_CONSOLES and (view_only or guest_link is not None):
        # Nothing of it passes through the portal, so nothing could be kept from the machine.
        raise Refused(Code.NOT_ALLOWED, "With a viewer of one's own nobody can only watch.")
    check(vm, kind, holder)
    now = timezone.now()
    recent = ConsoleGrant.objects.filter(_of(holder), created_at__gt=now - timedelta(minutes=1)).count()
    if recent >= settings.CONSOLE_GRANTS_PER_MINUTE:
        raise Refused(Code.TOO_MANY, "Too many consoles were opened in the last minute. Wait a little.")
    token = secrets.token_urlsafe(32)
    grant = ConsoleGrant.objects.create(
        vm=vm,
        user=user,
        guest_link=guest_link,
        session_key=hashed(session_key),
        kind=kind.value,
        token_hash=hashed(token),
        view_only=view_only or (guest_link is not None and not guest_link.may_type),
        expires_at=now + timedelta(seconds=settings.CONSOLE_GRANT_S),
        address=address,
    )
    return Issued(grant, token)


def redeem(
    grant_id: UUID,
    token: str,
    *,
    user: User | None = None,
    guest_link: GuestLink | None = None,
    session_key: str,
    address: str | None = None,
    known: ConsoleGrant | None = None,
) -> ConsoleGrant:
    """Use the grant up and return it with its machine. Raises Refused, with the same words whatever was wrong.

    `known` is its row as `find` read it a moment ago, which spares reading it again.
    """
    now = timezone.now()
    mine = _of(_holder(user, guest_link)) & Q(uuid=grant_id, token_hash=hashed(token), session_key=hashed(session_key))
    # One statement decides: of two connections with the same token one changes the row.
    changed = ConsoleGrant.objects.filter(
        mine, redeemed_at=None, revoked_at=None, closed_at=None, expires_at__gt=now
    ).update(redeemed_at=now, address=address)
    if changed != 1:
        raise Refused(Code.NOT_ALLOWED, USED_UP)
    grant = known or find(grant_id)
    if grant is None:
        raise Refused(Code.GONE)
    return grant


def find(grant_id: UUID) -> ConsoleGrant | None:
    """The grant's row with whom and what it is for, in one query, and only what decides: each column costs time."""
    return _with_what_decides().filter(uuid=grant_id).first()


@functools.cache
def _with_what_decides() -> QuerySet[ConsoleGrant]:
    """Guests are few: their link is read when there is one."""
    return ConsoleGrant.objects.select_related("vm__provider", "user").only(*DECIDES).order_by("pk")


def _holder(user: User | None, guest_link: GuestLink | None) -> Holder:
    holder = user or guest_link
    if holder is None or (user is not None and guest_link is not None):
        raise ValueError("A grant is for a person or for a guest.")
    return holder


def _of(holder: Holder) -> Q:
    return Q(guest_link=holder) if isinstance(holder, GuestLink) else Q(user=holder)


def revoke(
    *,
    grant: ConsoleGrant | None = None,
    vm: VirtualMachine | None = None,
    user: User | None = None,
    guest_link: GuestLink | None = None,
    session: str = "",
    why: str = "",
) -> int:
    """Take back what matches all that is given: unused grants die, open consoles close at once. Returns how many.

    `why` is the sentence that the person at an open console reads.
    """
    wanted = Q()
    if grant is not None:
        wanted &= Q(pk=grant.pk)
    if vm is not None:
        wanted &= Q(vm=vm)
    if user is not None:
        wanted &= Q(user=user)
    if guest_link is not None:
        wanted &= Q(guest_link=guest_link)
    if session:
        wanted &= Q(session_key=hashed(session))
    if not wanted:
        raise ValueError("Say whose consoles are meant.")
    standing = ConsoleGrant.objects.filter(wanted, revoked_at=None, closed_at=None)
    count = standing.update(revoked_at=timezone.now(), revoked_why=why[:120])
    if count:
        announce()
    return count


def close_left_open(before: datetime) -> int:
    """What looks open from before the console service started was lost with the process before it.

    Only that: a grant that counts as closed is not found by who takes it back, and its console would go on.
    """
    now = timezone.now()
    return ConsoleGrant.objects.filter(closed_at=None, redeemed_at__lt=before).update(
        closed_at=now, end_reason="The console service was restarted."
    )


def sweep() -> int:
    """Delete grants that were never used an hour after their time, and the history of used ones after 90 days."""
    now = timezone.now()
    unused = Q(redeemed_at=None, expires_at__lt=now - timedelta(hours=1))
    count, _ = ConsoleGrant.objects.filter(unused | Q(created_at__lt=now - KEPT_FOR)).delete()
    return count


def _word(kind: ConsoleKind) -> str:
    return {ConsoleKind.VNC: "screen", ConsoleKind.SERIAL: "serial console", ConsoleKind.SPICE: "SPICE screen"}[kind]
