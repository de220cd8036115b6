"""admit(request): who stands behind the cookie, and whether the token is theirs. Runs in a worker thread."""

from __future__ import annotations

from dataclasses import dataclass, field

from providers.base import ConsoleKind
from providers.models import Provider
from vms.console import grants, standing
from vms.console.closing import Code, Refused
from vms.console.handshake import Request


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the proxy keeps of a redeemed grant; thousands of them, so no rows."""

    grant_pk: int
    user_pk: int
    vm_pk: int
    vm_uuid: str
    external_id: str
    provider_pk: int
    kind: ConsoleKind
    view_only: bool
    session_key: str = field(repr=False)


def admit(request: Request) -> tuple[Ticket, Provider]:
    """Redeem the grant; what it opens, and the machine's provider as its row is now. Raises Refused.

    The session is looked at before the token: a token without its session is not even used up.
    """
    user = standing.signed_in([request.session_key]).get(request.session_key) if request.session_key else None
    if user is None:
        raise Refused(Code.NO_SESSION)
    grant = grants.redeem(
        request.grant_id, request.token, user=user, session_key=request.session_key, address=request.address
    )
    grants.check(grant.vm, ConsoleKind(grant.kind), user)
    ticket = Ticket(
        grant_pk=grant.pk,
        user_pk=user.pk,
        vm_pk=grant.vm_id,
        vm_uuid=str(grant.vm.uuid),
        external_id=grant.vm.external_id,
        provider_pk=grant.vm.provider_id,
        kind=ConsoleKind(grant.kind),
        view_only=grant.view_only,
        session_key=request.session_key,
    )
    return ticket, grant.vm.provider
