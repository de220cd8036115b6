"""A viewer on a person's own computer is a session: it is listed, and ends with the right it stands for."""

from __future__ import annotations

import configparser
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
from django.contrib.sessions.models import Session

from kvweb.accounts.models import Membership, User
from kvweb.audit.models import AuditEntry
from providers import pool
from providers.base import ConsoleKind, VmSpec
from providers.fake import viewers
from providers.fake.driver import FakeDriver
from providers.fake.testing import as_fake
from providers.models import Provider
from tests.conftest import MakeVm
from tests.vms.console.conftest import Stage
from vms.choices import Presence
from vms.console import grants, sessions, viewings
from vms.console.closing import Code
from vms.console.proxy import Proxy
from vms.models import ConsoleGrant, ConsoleSession, VirtualMachine

pytestmark = pytest.mark.django_db(transaction=True)

WITHIN_S = 5.0
StartProxy = Callable[[], tuple[Proxy, str]]


def wait_for(condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewings, "LOOK_S", 0.1)
    monkeypatch.setattr(viewings, "FIRST_RETRY_S", 0.1)


@pytest.fixture
def cloud(fake_provider: Provider) -> Iterator[FakeDriver]:
    driver = pool.connect(fake_provider)
    yield as_fake(driver)
    driver.close()


@dataclass
class Desk:
    """Where people sit who fetch files and open them."""

    stage: Stage
    cloud: FakeDriver

    def file(self, vm: VirtualMachine, user: User) -> str:
        """The password in it."""
        browser = self.stage.open(vm, user, ConsoleKind.SPICE)
        assert browser.wait_closed() == Code.NOT_CARRIED
        text = configparser.RawConfigParser()
        text.read_string(browser.said[-1]["text"])
        return text["virt-viewer"]["password"]

    def come(self, vm: VirtualMachine, password: str) -> bool:
        return viewers.come(self.cloud.cloud.store, vm.external_id, password)

    def is_there(self, vm: VirtualMachine) -> bool:
        return viewers.is_there(self.cloud.cloud.store, vm.external_id)

    def view(self, vm: VirtualMachine, user: User) -> ConsoleSession:
        """A file, a viewer with it, and the row that tells of both."""
        assert self.come(vm, self.file(vm, user))
        return listed(vm, user)


def listed(vm: VirtualMachine, user: User) -> ConsoleSession:
    found: list[ConsoleSession] = []

    def look() -> bool:
        found[:] = ConsoleSession.objects.filter(vm=vm, user=user, ended_at=None)
        return bool(found)

    assert wait_for(look)
    return found[0]


def ended(session: ConsoleSession) -> str:
    """Why it ended, or nothing when it did not."""
    with suppress(ConsoleSession.DoesNotExist):
        session.refresh_from_db()
    return session.end_reason if session.ended_at is not None else ""


@pytest.fixture
def desk(stage: Stage, cloud: FakeDriver) -> Desk:
    return Desk(stage, cloud)


@pytest.fixture
def make_running(make_vm: MakeVm, cloud: FakeDriver) -> Callable[[str], VirtualMachine]:
    def make(name: str) -> VirtualMachine:
        record = cloud.machines.create(VmSpec(name=name, memory_mib=64, start=True))
        return make_vm(name=name, external_id=record.external_id, power="running")

    return make


@pytest.fixture
def vm(make_running: Callable[[str], VirtualMachine]) -> VirtualMachine:
    return make_running("web-1")


def test_it_is_listed_from_when_to_when_and_where_from(desk: Desk, vm: VirtualMachine, alice: User) -> None:
    password = desk.file(vm, alice)
    assert not ConsoleSession.objects.exists()
    assert ConsoleGrant.objects.get().closed_at is None
    assert desk.come(vm, password)
    session = listed(vm, alice)
    assert (session.user, session.kind, session.address) == (alice, "spice", "192.0.2.33")
    viewers.leave(desk.cloud.cloud.store, vm.external_id)
    assert wait_for(lambda: ended(session) == "The viewer was closed.")
    assert not desk.come(vm, password)
    assert ConsoleGrant.objects.get().closed_at is not None
    verbs = AuditEntry.objects.filter(subject=vm.subject).order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["vm.console.viewer", "vm.console.opened", "vm.console.closed"]


def test_what_is_taken_back_disconnects_it_within_five_seconds(
    desk: Desk, make_running: Callable[[str], VirtualMachine], alice: User, bob: User, root: User
) -> None:
    """Nobody tells the service. All of it at once, each on a machine of its own."""
    reasons = {
        "closed": "root closed this console.",
        "signed out": "You are signed out.",
        "left": "You may not open this console.",
        "deleted": "The machine does not exist any more.",
        "waiting": "",
    }
    vms = {name: make_running(name.replace(" ", "-")) for name in reasons}
    opened = {name: desk.view(vm, bob if name == "left" else alice) for name, vm in vms.items() if name != "waiting"}
    unused = desk.file(vms["waiting"], bob)
    sessions.close(opened["closed"], user=root)
    key = ConsoleGrant.objects.get(vm=vms["signed out"]).session_key
    Session.objects.filter(pk__in=[each.pk for each in Session.objects.all() if grants.hashed(each.pk) == key]).delete()
    Membership.objects.filter(user=bob).delete()
    VirtualMachine.objects.filter(pk=vms["deleted"].pk).update(presence=Presence.DELETED)
    began = time.monotonic()
    for name, session in opened.items():
        assert wait_for(lambda session=session: bool(ended(session))), name  # type: ignore[misc]
        assert ended(session) == reasons[name]
        assert not desk.is_there(vms[name])
    # A file that nobody has opened yet is nothing any more, either.
    assert wait_for(lambda: ConsoleGrant.objects.get(vm=vms["waiting"]).closed_at is not None)
    assert not desk.come(vms["waiting"], unused)
    assert time.monotonic() - began < WITHIN_S + 1


def test_the_next_file_takes_the_screen_over(desk: Desk, vm: VirtualMachine, alice: User, bob: User) -> None:
    first = desk.view(vm, alice)
    second = desk.view(vm, bob)
    assert wait_for(lambda: bool(ended(first)))
    assert ended(first) == f"{bob} got a file for this screen."
    assert desk.is_there(vm)
    assert ConsoleSession.objects.get(ended_at=None) == second


def test_a_file_that_nobody_opened_counts_no_longer(
    desk: Desk, vm: VirtualMachine, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewers, "VALID_S", 1)
    monkeypatch.setattr(viewings, "GRACE_S", 0.0)
    password = desk.file(vm, alice)
    assert wait_for(lambda: ConsoleGrant.objects.get().end_reason == "Nobody opened the file in time.")
    assert not desk.come(vm, password)
    assert not ConsoleSession.objects.exists()


def test_it_counts_as_an_open_console(
    desk: Desk, vm: VirtualMachine, alice: User, settings: pytest.FixtureRequest
) -> None:
    settings.CONSOLES_PER_USER = 1  # type: ignore[attr-defined]
    session = desk.view(vm, alice)
    assert desk.stage.open(vm, alice, ConsoleKind.SERIAL).wait_closed() == Code.TOO_MANY
    sessions.close(session, user=alice)
    desk.stage.check_now()
    assert wait_for(lambda: ended(session) == "You closed this console from another page.")
    desk.stage.open(vm, alice, ConsoleKind.SERIAL).wait_open()


def test_it_ends_with_the_machine_and_with_its_time(
    desk: Desk, make_running: Callable[[str], VirtualMachine], alice: User, settings: pytest.FixtureRequest
) -> None:
    stopped, long = make_running("stopped"), make_running("long")
    one, other = desk.view(stopped, alice), desk.view(long, alice)
    assert desk.cloud.power is not None
    desk.cloud.power.stop(stopped.external_id, force=True)
    assert wait_for(lambda: ended(one) == "The machine was stopped or restarted.")
    assert not ended(other)
    settings.CONSOLE_LIFE_S = 0.1  # type: ignore[attr-defined]
    assert wait_for(lambda: ended(other) == "The time of this console is up.")
    assert not desk.is_there(long)


def test_a_provider_that_does_not_answer_is_asked_until_it_is_closed(
    desk: Desk, vm: VirtualMachine, alice: User
) -> None:
    session = desk.view(vm, alice)
    desk.cloud.cloud.set_fault("consoles.close_viewer", kind="unreachable", times=2)
    grants.revoke(user=alice)
    desk.stage.check_now()
    assert wait_for(lambda: bool(ended(session)))
    assert not desk.is_there(vm)


def test_it_does_not_outlive_the_service(desk: Desk, vm: VirtualMachine, alice: User, start_proxy: StartProxy) -> None:
    session = desk.view(vm, alice)
    desk.stage.proxy.stop()
    assert wait_for(lambda: ended(session) == "The portal's console service restarts.")
    assert not desk.is_there(vm)
    # Here one was killed: its row and its viewer are left behind.
    proxy, path = start_proxy()
    desk.stage.proxy, desk.stage.path = proxy, path
    left = desk.view(vm, alice)
    proxy._viewings._all.clear()
    start_proxy()
    assert wait_for(lambda: not desk.is_there(vm))
    assert wait_for(lambda: ended(left) == "The console service was restarted.")
