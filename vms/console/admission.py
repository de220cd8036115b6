"""admit(request): who stands behind the cookie, and whether the token is theirs. Runs in a worker thread."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from django.conf import settings

from kvweb.accounts.access import allowed
from kvweb.accounts.models import User
from providers.base import ConsoleKind
from providers.models import Provider
from vms.console import arrivals, grants, standing
from vms.console.arrivals import Arrival
from vms.console.closing import Code, Refused
from vms.console.handshake import Request
from vms.models import GuestLink, VirtualMachine


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the proxy keeps of a redeemed grant; thousands of them, so no rows."""

    grant_pk: int
    #: None for a guest, who has a link instead.
    user_pk: int | None
    guest_link_pk: int | None
    #: As the others at this console read it.
    name: str
    vm_pk: int
    vm_uuid: str
    external_id: str
    provider_pk: int
    kind: ConsoleKind
    view_only: bool
    #: What is written down of this console, so that nothing has to be read for it.
    vm_name: str
    project_pk: int
    username: str
    #: Who made the guest's link.
    guest_of: str
    address: str | None
    #: Could take the keyboard from others when they came; asked again when they do.
    may_lead: bool
    session_key: str = field(repr=False)
    #: When a guest's link ends, in Unix time; None for people.
    link_ends_at: float | None = None

    @property
    def life_s(self) -> int:
        """How long a console may last that opens now."""
        if self.link_ends_at is None:
            return int(settings.CONSOLE_LIFE_S)
        return int(min(settings.CONSOLE_LIFE_S, max(self.link_ends_at - time.time(), 0)))

    @property
    def holder(self) -> str:
        """Who counts as one when consoles are counted: a person, or a guest link."""
        return f"user:{self.user_pk}" if self.user_pk is not None else f"guest:{self.guest_link_pk}"

    @property
    def who(self) -> str:
        """As rows and entries name them, which tell guests from people."""
        return self.name if self.user_pk is not None else f"{self.name} (guest)"


def admit(request: Request) -> tuple[Ticket, Provider]:
    """Redeem the grant; what it opens, and the machine's provider as its row is now. Raises Refused.

    The session is looked at before the token: a token without its session is not even used up.
    """
    arrival = arrivals.look(request.grant_id, request.session_key)
    return _admit_the_long_way(request) if arrival is None else _admit_usual(request, arrival)


def _admit_usual(request: Request, arrival: Arrival) -> tuple[Ticket, Provider]:
    """A person whose own session it is; two statements, nearly all of it is checking."""
    user, vm = arrival.user, arrival.vm
    if not arrivals.redeem(arrival, token=request.token, session_key=request.session_key, address=request.address):
        raise Refused(Code.NOT_ALLOWED, grants.USED_UP)
    grants.check(vm, arrival.kind, user)
    return _ticket(arrival.grant_pk, vm, arrival.kind, request, user=user, view_only=arrival.view_only), vm.provider


def _admit_the_long_way(request: Request) -> tuple[Ticket, Provider]:
    """Guests, and whoever is to be told what is wrong."""
    known = grants.find(request.grant_id)
    link = known.guest_link if known is not None else None
    holder = _person(request, known.user if known is not None else None) if link is None else _guest(request, link)
    grant = grants.redeem(
        request.grant_id,
        request.token,
        user=None if isinstance(holder, GuestLink) else holder,
        guest_link=link,
        session_key=request.session_key,
        address=request.address,
        known=known,
    )
    grants.check(grant.vm, ConsoleKind(grant.kind), holder)
    ticket = _ticket(
        grant.pk,
        grant.vm,
        ConsoleKind(grant.kind),
        request,
        user=grant.user,
        guest_link=grant.guest_link,
        view_only=grant.view_only,
    )
    return ticket, grant.vm.provider


def _ticket(
    grant_pk: int,
    vm: VirtualMachine,
    kind: ConsoleKind,
    request: Request,
    *,
    user: User | None,
    guest_link: GuestLink | None = None,
    view_only: bool,
) -> Ticket:
    return Ticket(
        grant_pk=grant_pk,
        user_pk=user.pk if user is not None else None,
        guest_link_pk=guest_link.pk if guest_link is not None else None,
        name=guest_link.guest_name if guest_link is not None else str(user),
        vm_pk=vm.pk,
        vm_uuid=str(vm.uuid),
        external_id=vm.external_id,
        provider_pk=vm.provider_id,
        kind=kind,
        view_only=view_only,
        vm_name=vm.name,
        project_pk=vm.project_id,
        username=user.get_username() if user is not None else "",
        guest_of=guest_link.created_by.get_username() if guest_link is not None else "",
        address=request.address,
        may_lead=user is not None and allowed(user, "vm.share", vm),
        session_key=request.session_key,
        link_ends_at=guest_link.expires_at.timestamp() if guest_link is not None else None,
    )


def may_lead(ticket: Ticket) -> bool:
    """Whether this ticket's person may take the keyboard from others now."""
    user = User.objects.filter(pk=ticket.user_pk, is_active=True).first() if ticket.user_pk is not None else None
    vm = VirtualMachine.objects.filter(pk=ticket.vm_pk).first()
    return user is not None and vm is not None and allowed(user, "vm.share", vm)


def _person(request: Request, known: User | None) -> User:
    """Whose session this is, be it the grant's own person (`known`) or somebody else."""
    if not request.session_key:
        raise Refused(Code.NO_SESSION)
    user = standing.signed_in([request.session_key], known=known).get(request.session_key)
    if user is None:
        raise Refused(Code.NO_SESSION)
    return user


def _guest(request: Request, link: GuestLink) -> GuestLink:
    """A guest has no account: their session has shown the link's secret."""
    shown = standing.guests_in([request.session_key]) if request.session_key else {}
    if str(link.uuid) not in shown.get(request.session_key, set()):
        raise Refused(Code.NO_SESSION)
    return link
