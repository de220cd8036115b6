"""Whether open consoles may go on: session, account, right, machine. Asked for all at once, every few seconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from kvweb.accounts.models import User
from providers.base import ConsoleKind
from providers.models import Provider
from vms.console import grants
from vms.console.closing import Closing, Code, Refused
from vms.models import ConsoleGrant, GuestLink

#: Rows are large beside what we keep of a console, so they are looked at in portions.
BATCH = 200
#: What decides of a grant and its machine; the other columns are long, and thousands of rows are looked at.
DECIDES = [
    *("vm", "user", "guest_link", "kind", "revoked_at", "revoked_why"),
    *("vm__project", "vm__provider", "vm__presence", "vm__power", "vm__consoles"),
]
#: Where a session keeps the guest links whose secret it has shown.
GUEST_LINKS = "console_guest_links"


@dataclass(frozen=True, slots=True)
class Opened:
    """What the proxy remembers of a console: the row, and the session's key as the cookie had it."""

    grant_pk: int
    session_key: str


def signed_in(session_keys: Iterable[str], *, known: User | None = None) -> dict[str, User]:
    """Which of these sessions stand, and for whom; two queries, or one when theirs is the account that is `known`.

    The rows are asked and not the cache: a session that was deleted by hand must end too. A session whose account
    changed its password since is none.
    """
    sessions = Session.objects.filter(session_key__in=set(session_keys), expire_date__gt=timezone.now())
    told = {session.session_key: session.get_decoded() for session in sessions}
    wanted = {int(data[SESSION_KEY]) for data in told.values() if str(data.get(SESSION_KEY, "")).isdecimal()}
    users = {known.pk: known} if known is not None and known.is_active else {}
    if wanted - set(users):
        users = User.objects.filter(is_active=True).in_bulk(wanted)
    found: dict[str, User] = {}
    for key, data in told.items():
        if str(data.get(SESSION_KEY, "")).isdecimal():
            user = users.get(int(data[SESSION_KEY]))
            if user is not None and is_same_password(user, str(data.get(HASH_SESSION_KEY, ""))):
                found[key] = user
    return found


def guests_in(session_keys: Iterable[str]) -> dict[str, set[str]]:
    """Which guest links these sessions were let in by, as uuids; one query. Needs no account."""
    sessions = Session.objects.filter(session_key__in=set(session_keys), expire_date__gt=timezone.now())
    return {session.session_key: set(session.get_decoded().get(GUEST_LINKS, [])) for session in sessions}


def is_same_password(user: User, told: str) -> bool:
    """Whether a session that carries `told` was begun with the password that the account has now."""
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return any(constant_time_compare(told, each) for each in hashes)


def still_valid(opened: Opened) -> Closing | None:
    """None, or why this console must close."""
    return ended_among([opened]).get(opened.grant_pk)


def ended_among(consoles: Sequence[Opened]) -> dict[int, Closing]:
    """Those of the consoles that must close, by the grant's key; a few queries per 200 consoles."""
    ended: dict[int, Closing] = {}
    waiting = iter(consoles)
    while batch := list(islice(waiting, BATCH)):
        ended.update(_ended_in(batch))
    return ended


def _ended_in(batch: list[Opened]) -> dict[int, Closing]:
    people = signed_in(opened.session_key for opened in batch)
    rows = ConsoleGrant.objects.select_related("vm").only(*DECIDES).in_bulk([opened.grant_pk for opened in batch])
    links = GuestLink.objects.select_related("created_by").in_bulk(
        [row.guest_link_id for row in rows.values() if row.guest_link_id is not None]
    )
    # One object per provider: what it can is read from JSON once, not once a console.
    providers = Provider.objects.only("name", "capabilities", "is_enabled").in_bulk(
        {row.vm.provider_id for row in rows.values()}
    )
    for row in rows.values():
        row.vm.provider = providers[row.vm.provider_id]
        row.guest_link = links.get(row.guest_link_id) if row.guest_link_id is not None else None
    of_guests = [each.session_key for each in batch if each.grant_pk in rows and rows[each.grant_pk].guest_link_id]
    guests = guests_in(of_guests) if of_guests else {}
    ended: dict[int, Closing] = {}
    for opened in batch:
        grant = rows.get(opened.grant_pk)
        closing = _judge(grant, people.get(opened.session_key), guests.get(opened.session_key, set()))
        if closing is not None:
            ended[opened.grant_pk] = closing
    return ended


def _judge(grant: ConsoleGrant | None, user: User | None, guest_links: set[str]) -> Closing | None:
    if grant is None:
        return Closing(Code.GONE)
    if grant.revoked_at is not None:
        return Closing(Code.NOT_ALLOWED, grant.revoked_why or "The right to this console was taken back.")
    holder: grants.Holder
    if grant.guest_link is not None:
        if str(grant.guest_link.uuid) not in guest_links:
            return Closing(Code.NO_SESSION)
        holder = grant.guest_link
    elif user is None or user.pk != grant.user_id:
        return Closing(Code.NO_SESSION)
    else:
        holder = user
    try:
        # The user object is shared by all consoles of its session, and so is the look at its memberships.
        grants.check(grant.vm, ConsoleKind(grant.kind), holder)
    except Refused as refused:
        return refused.closing
    return None
