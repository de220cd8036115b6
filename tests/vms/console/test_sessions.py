"""A row for each open console: who, where, since when, from where, how it ended; and closing one from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from kvweb.accounts.models import Membership, Project, Role, User
from kvweb.audit.models import AuditEntry
from kvweb.events.models import Event
from tests.conftest import MakeVm
from tests.vms.console.conftest import Stage
from tests.vms.console.test_proxy import eventually
from vms import history
from vms.console import sessions
from vms.console.closing import Code
from vms.models import ConsoleSession, VirtualMachine

ClientOf = Callable[[User], Client]


@pytest.fixture
def maria(project: Project) -> User:
    """Manages the project."""
    user = User.objects.create_user("maria")
    Membership.objects.create(user=user, project=project, role=Role.MANAGER)
    return user


@pytest.fixture
def opened(make_vm: MakeVm, bob: User) -> ConsoleSession:
    """Bob is at a machine's screen."""
    vm = make_vm(power="running", name="web-1")
    return ConsoleSession.objects.create(
        vm=vm, user=bob, who="bob", kind="vnc", address="192.0.2.9", drives=True, active_at=timezone.now()
    )


@pytest.mark.django_db(transaction=True)
def test_an_open_console_is_a_row_from_its_beginning_to_its_end(
    stage: Stage, running_vm: VirtualMachine, alice: User
) -> None:
    with stage.open(running_vm, alice).wait_open() as browser:
        browser.send(b"secret words")
        browser.read(12)
        assert eventually(ConsoleSession.objects.exists)
        session = ConsoleSession.objects.get()
        assert (session.user, session.who, session.vm, session.kind) == (alice, str(alice), running_vm, "serial")
        assert (session.address, session.is_open, session.drives) == ("192.0.2.7", True, True)
        stage.proxy.loop.from_thread(stage.proxy._note)
        assert eventually(lambda: ConsoleSession.objects.get().bytes_to_machine == 12)
    assert eventually(lambda: not ConsoleSession.objects.get().is_open)
    session.refresh_from_db()
    assert (session.bytes_to_browser, session.bytes_to_machine) == (12, 12)
    assert session.end_reason == "The browser closed the console."
    assert not session.drives
    assert list(Event.objects.filter(subject=session.subject).values_list("topic", flat=True)) == ["created", "changed"]
    closed = AuditEntry.objects.get(verb="vm.console.closed")
    assert closed.details["lasted_s"] >= 0
    assert "secret" not in str(closed.details)
    words = [(entry.words, entry.note) for entry in history.of(running_vm)]
    assert words[0][0] == "Left a console"
    assert "12 bytes seen, 12 bytes sent" in words[0][1]
    assert words[1] == ("Opened a console", "Serial console, from 192.0.2.7")


@pytest.mark.django_db(transaction=True)
def test_a_manager_closes_a_console_within_five_seconds(
    stage: Stage, running_vm: VirtualMachine, bob: User, maria: User, client_of: ClientOf
) -> None:
    browser = stage.open(running_vm, bob).wait_open()
    assert eventually(ConsoleSession.objects.exists)
    answer = client_of(maria).post(f"/consoles/{ConsoleSession.objects.get().uuid}/close", follow=True)
    assert "is being closed" in answer.content.decode()
    # Nothing tells the service here: it looks by itself.
    browser.sock.settimeout(6)
    assert browser.wait_closed() == Code.NOT_ALLOWED
    assert browser.close_reason == "maria closed this console."
    assert eventually(lambda: ConsoleSession.objects.get().end_reason == "maria closed this console.")
    taken = AuditEntry.objects.get(verb="vm.console.taken")
    assert (taken.actor, taken.details["who"]) == (maria, str(bob))


@pytest.mark.django_db(transaction=True)
def test_a_killed_service_leaves_no_open_rows(stage: Stage, opened: ConsoleSession, start_proxy: Any) -> None:
    del stage
    start_proxy()
    assert eventually(lambda: not ConsoleSession.objects.get(pk=opened.pk).is_open)
    opened.refresh_from_db()
    assert opened.end_reason == "The console service was restarted."


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("who", "sees", "may_close"),
    [
        ("charlie", False, False),
        ("alice", False, False),
        ("bob", True, True),
        ("maria", True, True),
        ("root", True, True),
    ],
)
def test_who_sees_a_console_and_may_close_it(
    who: str, sees: bool, may_close: bool, opened: ConsoleSession, maria: User, request: pytest.FixtureRequest,
    client_of: ClientOf,
) -> None:  # fmt: skip
    user = maria if who == "maria" else request.getfixturevalue(who)
    client = client_of(user)
    page = client.get("/consoles/").content.decode()
    assert ("web-1" in page) is sees
    assert ("192.0.2.9" in page) is sees
    assert (f"/consoles/{opened.uuid}/close" in page) is may_close
    assert (str(opened.uuid) in client.get(f"/consoles/rows?ids={opened.uuid}").content.decode()) is sees
    assert client.post(f"/consoles/{opened.uuid}/close").status_code == (302 if sees else 404)
    assert AuditEntry.objects.filter(verb="vm.console.taken").exists() is may_close


@pytest.mark.django_db
def test_a_manager_of_another_project_sees_nothing(opened: ConsoleSession, charlie: User, client_of: ClientOf) -> None:
    Membership.objects.create(user=charlie, project=Project.objects.create(name="Quay"), role=Role.MANAGER)
    client = client_of(charlie)
    assert "web-1" not in client.get("/consoles/").content.decode()
    assert client.post(f"/consoles/{opened.uuid}/close").status_code == 404


@pytest.mark.django_db
def test_a_console_that_is_closed_already_says_so(opened: ConsoleSession, root: User, client_of: ClientOf) -> None:
    ConsoleSession.objects.update(ended_at=timezone.now(), end_reason="The machine closed its console.")
    answer = client_of(root).post(f"/consoles/{opened.uuid}/close", headers={"HX-Request": "true"})
    assert answer.status_code == 409
    assert "closed already" in answer.headers["HX-Trigger"]
    client = client_of(root)
    assert "web-1" not in client.get("/consoles/").content.decode()
    assert "The machine closed its console." in client.get("/consoles/?state=ended&q=web").content.decode()
    assert "web-1" not in client.get("/consoles/?state=ended&q=nobody").content.decode()


@pytest.mark.django_db
def test_what_is_written_down_of_many_consoles_costs_few_queries(
    opened: ConsoleSession, django_assert_max_num_queries: Any
) -> None:
    others = [
        ConsoleSession.objects.create(vm=opened.vm, who=f"p{n}", kind="vnc", active_at=timezone.now())
        for n in range(20)
    ]
    readings = [sessions.Reading(one.uuid, 1.0, False, 5, 6) for one in others]
    with django_assert_max_num_queries(4):
        sessions.note_used(readings)
    assert ConsoleSession.objects.filter(bytes_to_browser=5, bytes_to_machine=6).count() == 20


@pytest.mark.django_db
def test_the_machines_page_says_who_is_there(
    opened: ConsoleSession, alice: User, charlie: User, client_of: ClientOf
) -> None:
    address = f"/vms/{opened.vm.uuid}/console"
    page = client_of(alice).get(address).content.decode()
    assert "Open now" in page
    assert "Has the keyboard" in page
    assert client_of(charlie).get(address).status_code == 404
