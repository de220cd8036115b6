"""What is written down of consoles: many at once, each in its person's name, and nobody's lost for another's sake."""

from __future__ import annotations

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from kvweb.accounts.models import User
from kvweb.audit.models import AuditEntry
from providers.base import ConsoleKind
from tests.conftest import MakeVm
from vms.console import grants, logbook
from vms.console.admission import Ticket
from vms.models import ConsoleGrant, ConsoleSession, VirtualMachine

pytestmark = pytest.mark.django_db(transaction=True)


def opened(vm: VirtualMachine, user: User) -> logbook.Opened:
    """As the proxy tells of it when the console is carried."""
    grant = grants.issue(vm, ConsoleKind.SERIAL, user=user, session_key="s").grant
    ticket = Ticket(
        grant_pk=grant.pk,
        user_pk=user.pk,
        guest_link_pk=None,
        name=str(user),
        vm_pk=vm.pk,
        vm_uuid=str(vm.uuid),
        external_id=vm.external_id,
        provider_pk=vm.provider_id,
        kind=ConsoleKind.SERIAL,
        view_only=False,
        vm_name=vm.name,
        project_pk=vm.project_id,
        username=user.get_username(),
        guest_of="",
        address="192.0.2.7",
        may_lead=False,
        session_key="s",
    )
    return logbook.Opened(ticket, uuid.uuid4(), drives=True, at=timezone.now())


def ended(begun: logbook.Opened) -> logbook.Ended:
    return logbook.Ended(begun.ticket, begun, 30, 4, "The browser closed the console.", timezone.now())


def test_a_beginning_and_its_end_fit_into_one_moment(make_vm: MakeVm, alice: User) -> None:
    begun = opened(make_vm(power="running", name="web-1"), alice)
    logbook.write([begun, ended(begun)])
    session = ConsoleSession.objects.get()
    assert (session.user, session.is_open, session.bytes_to_browser) == (alice, False, 30)
    assert ConsoleGrant.objects.get().closed_at is not None
    entries = AuditEntry.objects.filter(verb__startswith="vm.console.").order_by("id")
    assert [(each.verb, each.actor, each.subject_name) for each in entries] == [
        ("vm.console.opened", alice, "web-1"),
        ("vm.console.closed", alice, "web-1"),
    ]


def test_a_machine_that_is_gone_takes_nobody_elses_row_with_it(make_vm: MakeVm, alice: User) -> None:
    first, gone = make_vm(power="running"), make_vm(power="running", name="gone")
    notes = [opened(gone, alice), opened(first, alice)]
    gone.delete()
    logbook.write(notes)
    assert [session.vm for session in ConsoleSession.objects.all()] == [first]
    logbook.write([ended(note) for note in notes])
    assert not ConsoleSession.objects.get().is_open


def test_ten_openings_cost_as_many_statements_as_one(make_vm: MakeVm, alice: User) -> None:
    def statements(count: int) -> int:
        notes = [opened(make_vm(power="running", name=f"vm-{count}-{number}"), alice) for number in range(count)]
        with CaptureQueriesContext(
            connection,
        ) as seen:
            logbook.write(notes)
        return len(seen)

    assert statements(10) == statements(1) <= 6
