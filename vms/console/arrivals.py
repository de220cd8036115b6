"""Who comes with a grant, read in one query: the grant, its person and their session and role, machine and provider.

A console opens in milliseconds, and most of them went into asking Django four times. Whatever is unusual here (a guest,
somebody else's session, an unknown grant) is not decided here: admission looks at it the long way.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db.models import (
    CharField,
    DateTimeField,
    F,
    GenericIPAddressField,
    Model,
    OuterRef,
    QuerySet,
    Subquery,
    TextField,
    UUIDField,
)
from django.db.models.functions import Cast
from django.utils import timezone

from kvweb.accounts.access import know_role
from kvweb.accounts.models import Membership, User
from providers.base import ConsoleKind
from providers.models import Provider
from vms.console.grants import hashed
from vms.console.prepared import Rows, Slot, Update
from vms.console.standing import is_same_password
from vms.models import ConsoleGrant, VirtualMachine


def _columns(model: type[Model], *names: str) -> tuple[str, ...]:
    """In the order in which `from_db` wants their values."""
    return tuple(field.attname for field in model._meta.concrete_fields if field.attname in names)


_USER = _columns(User, "id", "username", "first_name", "last_name", "password", "is_active", "is_superuser")
_VM = _columns(
    VirtualMachine, "id", "uuid", "external_id", "name", "project_id", "provider_id", "presence", "power", "consoles"
)
_PROVIDER = _columns(Provider, "id", "kind", "name", "config", "sealed", "capabilities", "is_enabled")
#: Read as text, because it is nearly always the same as last time.
_TEXTS = ("config", "capabilities")
_NOW = Slot("now", DateTimeField())


@dataclass(frozen=True, slots=True)
class Arrival:
    """A person with a session of their own and a grant that was theirs a moment ago; nothing is used up yet."""

    grant_pk: int
    kind: ConsoleKind
    view_only: bool
    user: User
    vm: VirtualMachine


def _query() -> QuerySet[Any, Any]:
    session = Session.objects.filter(session_key=Slot("session_key", CharField()), expire_date__gt=_NOW)
    role = Membership.objects.filter(user=OuterRef("user"), project=OuterRef("vm__project"))
    return (
        ConsoleGrant.objects.filter(uuid=Slot("grant_id", UUIDField()), guest_link=None, user__is_active=True)
        .order_by()
        .values_list(
            *("id", "kind", "view_only"),
            Subquery(session.values("session_data")[:1]),
            Subquery(role.values("role")[:1]),
            *(f"user__{name}" for name in _USER),
            *(f"vm__{name}" for name in _VM),
            *(
                Cast(f"vm__provider__{name}", TextField()) if name in _TEXTS else F(f"vm__provider__{name}")
                for name in _PROVIDER
            ),
        )
    )


_looked_up = Rows(ConsoleGrant, _query)
#: Whether the grant can still be used is decided by the statement that uses it up, and by nothing before it.
_redeemed = Update(
    ConsoleGrant,
    lambda: ConsoleGrant.objects.filter(
        pk=Slot("grant_pk", ConsoleGrant._meta.pk),
        user=Slot("user_pk", User._meta.pk),
        token_hash=Slot("token_hash", CharField()),
        session_key=Slot("session_key", CharField()),
        redeemed_at=None,
        revoked_at=None,
        closed_at=None,
        expires_at__gt=_NOW,
    ),
    to={"redeemed_at": _NOW, "address": Slot("address", GenericIPAddressField())},
)
#: By its key each provider as its row was last read, so that what it can is read from JSON once and not each time.
_providers: dict[int, tuple[tuple[Any, ...], Provider]] = {}


def look(grant_id: UUID, session_key: str) -> Arrival | None:
    """None: this is not the usual case."""
    row = _looked_up.first(grant_id=grant_id, session_key=session_key, now=timezone.now())
    if row is None or row[3] is None:
        return None
    grant_pk, kind, view_only, session_data, role = row[:5]
    of_user, of_vm = 5 + len(_USER), 5 + len(_USER) + len(_VM)
    user = User.from_db(None, _USER, row[5:of_user])
    if not _is_session_of(session_data, user.pk, user.password):
        return None
    vm = VirtualMachine.from_db(None, _VM, row[of_user:of_vm])
    vm.provider = _provider(row[of_vm:])
    know_role(user, vm.project_id, role)
    return Arrival(grant_pk, ConsoleKind(kind), view_only, user, vm)


@functools.lru_cache(4096)
def _is_session_of(session_data: str, user_pk: int, password: str) -> bool:
    """Whether this is a session of the account as it is now. The same row says the same the next time as well."""
    told = SessionStore().decode(session_data)
    user = User(pk=user_pk, password=password)
    return str(told.get(SESSION_KEY, "")) == str(user_pk) and is_same_password(
        user, str(told.get(HASH_SESSION_KEY, ""))
    )


def redeem(arrival: Arrival, *, token: str, session_key: str, address: str | None) -> bool:
    """Use the grant up; of two connections with the same token one succeeds."""
    changed = _redeemed.run(
        grant_pk=arrival.grant_pk,
        user_pk=arrival.user.pk,
        token_hash=hashed(token),
        session_key=hashed(session_key),
        address=address,
        now=timezone.now(),
    )
    return changed == 1


def _provider(row: tuple[Any, ...]) -> Provider:
    """The provider of these columns; the same object as long as they say the same."""
    known = _providers.get(row[0])
    if known is not None and known[0] == row:
        return known[1]
    values = [json.loads(told) if name in _TEXTS else told for name, told in zip(_PROVIDER, row, strict=True)]
    provider = Provider.from_db(None, _PROVIDER, values)
    _providers[provider.pk] = row, provider
    return provider
