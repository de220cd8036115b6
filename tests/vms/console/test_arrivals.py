"""Who comes with a grant is read in one query and lets go of it in one statement, and nothing is taken for granted."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from kvweb.accounts.models import Membership, User
from providers.base import ConsoleKind
from providers.models import Provider
from vms.console import arrivals, grants
from vms.console.admission import admit
from vms.console.closing import Refused
from vms.console.handshake import PROTOCOL, Headers, Request
from vms.models import ConsoleGrant, VirtualMachine

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def coming(running_vm: VirtualMachine, alice: User, session_of: Callable[[User], str]) -> Callable[[], Request]:
    """alice's browser with a fresh grant for her machine."""
    session_key = session_of(alice)

    def come() -> Request:
        issued = grants.issue(running_vm, ConsoleKind.VNC, user=alice, session_key=session_key)
        return Request(issued.grant.uuid, issued.token, session_key, PROTOCOL, "192.0.2.7", Headers({}))

    return come


def test_who_comes_with_a_right_of_their_own_costs_two_statements(coming: Callable[[], Request]) -> None:
    request = coming()
    with CaptureQueriesContext(connection) as asked:
        admit(request)
    assert len(asked) == 2


def test_the_ticket_says_what_the_rows_say(
    coming: Callable[[], Request], running_vm: VirtualMachine, alice: User
) -> None:
    request = coming()
    ticket, provider = admit(request)
    grant = ConsoleGrant.objects.get()
    assert (grant.address, grant.redeemed_at is None) == ("192.0.2.7", False)
    assert (ticket.grant_pk, ticket.user_pk, ticket.guest_link_pk, ticket.name) == (grant.pk, alice.pk, None, "alice")
    assert (ticket.vm_pk, ticket.vm_uuid) == (running_vm.pk, str(running_vm.uuid))
    assert (ticket.external_id, ticket.kind, ticket.view_only) == (running_vm.external_id, ConsoleKind.VNC, False)
    assert (ticket.may_lead, ticket.session_key) == (True, request.session_key)
    known = Provider.objects.get()
    for name in ("pk", "kind", "name", "config", "sealed", "capabilities", "is_enabled"):
        assert getattr(provider, name) == getattr(known, name)


def test_the_long_way_comes_to_the_same(
    coming: Callable[[], Request], running_vm: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick, _ = admit(coming())
    monkeypatch.setattr(arrivals, "look", lambda *_: None)
    slow, _ = admit(coming())
    told = [
        {name: getattr(ticket, name) for name in ticket.__slots__ if name != "grant_pk"} for ticket in (quick, slow)
    ]
    assert told[0] == told[1]


def test_a_provider_that_was_changed_is_seen_at_the_next_console(coming: Callable[[], Request]) -> None:
    _, before = admit(coming())
    _, same = admit(coming())
    assert same is before
    Provider.objects.update(config={"another": "address"})
    _, after = admit(coming())
    assert after.config == {"another": "address"}
    Provider.objects.update(is_enabled=False)
    with pytest.raises(Refused):
        admit(coming())


def test_of_many_who_come_at_once_with_one_token_one_comes_in(coming: Callable[[], Request]) -> None:
    request = coming()

    def come(_: int) -> bool:
        try:
            admit(request)
        except Refused:
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(8) as people:
        came_in = list(people.map(come, range(8)))
    assert came_in.count(True) == 1


def lose_the_role(alice: User) -> None:
    Membership.objects.filter(user=alice).delete()


def become_a_viewer(alice: User) -> None:
    Membership.objects.filter(user=alice).update(role="viewer")


def be_switched_off(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)


def have_another_password(alice: User) -> None:
    alice.set_password("another one")
    alice.save()


@pytest.mark.parametrize("change", [lose_the_role, become_a_viewer, be_switched_off, have_another_password])
def test_what_went_since_the_grant_was_given_is_gone(
    change: Callable[[User], None], coming: Callable[[], Request], alice: User
) -> None:
    request = coming()
    change(alice)
    with pytest.raises(Refused):
        admit(request)


def test_somebody_elses_session_or_id_is_not_decided_the_short_way(
    coming: Callable[[], Request], bob: User, session_of: Callable[[User], str]
) -> None:
    request: Any = coming()
    assert arrivals.look(request.grant_id, session_of(bob)) is None
    assert arrivals.look(request.grant_id, "") is None
    assert arrivals.look(uuid.uuid4(), request.session_key) is None
    assert ConsoleGrant.objects.get().redeemed_at is None
