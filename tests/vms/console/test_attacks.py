"""What somebody would try who wants a console that is not theirs, or wants nobody to have one. The table of all such
attempts, these and those in other files, is in docs/console-security.md."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from kvweb.accounts.models import User
from providers.base import ConsoleKind, TcpConsole
from tests.conftest import MakeVm
from tests.vms.console.browser import Browser, Refusal
from tests.vms.console.conftest import Stage
from tests.vms.console.machines import Directory, Machine
from tests.vms.console.test_proxy import eventually
from vms.choices import Presence
from vms.console import grants
from vms.console.closing import Code
from vms.models import ConsoleGrant, VirtualMachine

pytestmark = pytest.mark.django_db(transaction=True)


# -- another machine's console -----------------------------------------------------------------------------------------


@pytest.fixture
def other_vm(make_vm: MakeVm) -> VirtualMachine:
    return make_vm(power="running")


def test_a_grant_opens_its_own_machine_whatever_else_the_browser_asks_for(
    stage: Stage, running_vm: VirtualMachine, other_vm: VirtualMachine, alice: User, directory: Directory
) -> None:
    """There is no place to name another one: the address holds the grant's id, and the grant its machine."""
    session = stage.session_of(alice)
    mine = grants.issue(running_vm, ConsoleKind.SERIAL, user=alice, session_key=session)
    others = grants.issue(other_vm, ConsoleKind.SERIAL, user=alice, session_key=session)
    crossed = stage.browser().open(f"/ws/console/{others.grant.uuid}", mine.token, session)
    assert crossed.wait_closed() == Code.NOT_ALLOWED
    for path in (f"/ws/console/{mine.grant.uuid}/{other_vm.uuid}", f"/ws/console/{mine.grant.uuid}?vm={other_vm.uuid}"):
        with pytest.raises(Refusal) as error:
            stage.browser().open(path, mine.token, session)
        assert error.value.status == 404
    assert directory.asked == []
    stage.browser().open(f"/ws/console/{mine.grant.uuid}", mine.token, session).wait_open()
    assert {asked for asked, _ in directory.asked} == {running_vm.external_id}


def test_the_freed_port_of_a_deleted_machine_leads_nobody_to_its_next_owner(
    stage: Stage, running_vm: VirtualMachine, make_vm: MakeVm, alice: User, bob: User, directory: Directory,
    machine: Machine,
) -> None:  # fmt: skip
    """alice holds a right to the old machine and a console of it; the port is the new machine's then."""
    session = stage.session_of(alice)
    kept = grants.issue(running_vm, ConsoleKind.SERIAL, user=alice, session_key=session)
    watching = stage.open(running_vm, alice).wait_open()
    VirtualMachine.objects.filter(pk=running_vm.pk).update(presence=Presence.DELETED)
    machine.hang_up()
    assert watching.wait_closed() in {Code.ENDED, Code.GONE}
    next_vm = make_vm(power="running")
    directory.answers[next_vm.external_id] = machine.target
    theirs = stage.open(next_vm, bob).wait_open()
    late = stage.browser().open(f"/ws/console/{kept.grant.uuid}", kept.token, session)
    assert late.wait_closed() == Code.GONE
    theirs.send(b"secret")
    assert theirs.read(6) == b"secret"
    assert len(machine.connections) == 1


def test_a_console_whose_port_now_belongs_to_another_machine_closes_without_any_news(
    stage: Stage, running_vm: VirtualMachine, alice: User, machine: Machine, directory: Directory
) -> None:
    browser = stage.open(running_vm, alice).wait_open()
    directory.answers[running_vm.external_id] = TcpConsole(host="127.0.0.1", port=machine.port + 1)
    began = time.monotonic()
    assert browser.wait_closed() == Code.ENDED
    assert time.monotonic() - began < 6


# -- what is taken back ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["the account is switched off", "the password is another one"])
def test_a_console_does_not_outlive_its_account(
    what: str, stage: Stage, running_vm: VirtualMachine, alice: User
) -> None:
    browser = stage.open(running_vm, alice).wait_open()
    if what == "the account is switched off":
        User.objects.filter(pk=alice.pk).update(is_active=False)
    else:
        alice.set_password("another one")
        alice.save()
    began = time.monotonic()
    assert browser.wait_closed() == Code.NO_SESSION
    assert time.monotonic() - began < 6


def test_a_right_of_sixty_seconds_is_no_right_afterwards(
    stage: Stage, running_vm: VirtualMachine, alice: User, settings: Any
) -> None:
    settings.CONSOLE_GRANT_S = 0
    session = stage.session_of(alice)
    issued = grants.issue(running_vm, ConsoleKind.SERIAL, user=alice, session_key=session)
    browser = stage.browser().open(f"/ws/console/{issued.grant.uuid}", issued.token, session)
    assert browser.wait_closed() == Code.NOT_ALLOWED


# -- floods ------------------------------------------------------------------------------------------------------------


def works(browser: Browser) -> bool:
    began = time.monotonic()
    browser.send(b"still here")
    return browser.read(10) == b"still here" and time.monotonic() - began < 3


def test_many_slow_handshakes_keep_nobody_out(
    stage: Stage, running_vm: VirtualMachine, alice: User, settings: Any
) -> None:
    settings.CONSOLE_GUESTS_MAX = 40
    slow = []
    for _ in range(120):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(stage.path)
        sock.sendall(b"GET /ws/console/")
        slow.append(sock)
    began = time.monotonic()
    browser = stage.open(running_vm, alice).wait_open()
    assert time.monotonic() - began < 4
    assert works(browser)
    assert eventually(lambda: len(stage.proxy._guests) <= 40)
    for sock in slow:
        sock.close()
    assert eventually(lambda: not stage.proxy._guests)


def test_a_flood_of_upgrades_opens_nothing_and_hurts_nobody(
    stage: Stage, running_vm: VirtualMachine, alice: User, directory: Directory, machine: Machine
) -> None:
    """The right is good for the first; the flood has the same, and made-up ones, all at once."""
    browser = stage.open(running_vm, alice).wait_open()
    session = stage.session_of(alice)
    issued = grants.issue(running_vm, ConsoleKind.SERIAL, user=alice, session_key=session)
    paths = [f"/ws/console/{issued.grant.uuid}", f"/ws/console/00000000-0000-4000-8000-{0:012}"]
    flood = []
    for number in range(150):
        one = stage.browser()
        one.sock.sendall(one.request(paths[number % 2], issued.token, session))
        flood.append(one)
    opened = 0
    for one in flood:
        one.read_answer()
        with contextlib.suppress(AssertionError):
            one.wait_open()
            opened += 1
    assert opened == 1
    assert works(browser)
    assert len(machine.connections) == 1
    for one in flood:
        one.sock.close()
    assert eventually(lambda: len(stage.proxy._consoles) == 1)
    assert ConsoleGrant.objects.exclude(redeemed_at=None).count() == 2


def test_a_second_request_behind_the_first_is_refused(stage: Stage, running_vm: VirtualMachine, alice: User) -> None:
    session = stage.session_of(alice)
    issued = grants.issue(running_vm, ConsoleKind.SERIAL, user=alice, session_key=session)
    browser = stage.browser()
    request = browser.request(f"/ws/console/{issued.grant.uuid}", issued.token, session)
    browser.sock.sendall(request + request)
    with pytest.raises(Refusal) as error:
        browser.read_answer()
    assert error.value.status == 400


# -- the table ---------------------------------------------------------------------------------------------------------


def test_the_table_of_attacks_names_tests_that_exist() -> None:
    """A test that is renamed or taken away takes its line with it."""
    root = Path(__file__).parents[3]
    named = set(re.findall(r"test_\w+", (root / "docs" / "console-security.md").read_text()))
    found = {path.stem for path in (root / "tests").rglob("test_*.py")}
    for folder in ("tests/vms/console", "tests/providers/kvm", "tests/tools", "tests/live"):
        for path in (root / folder).glob("test_*.py"):
            found.update(re.findall(r"def (test_\w+)", path.read_text()))
    assert len(named) > 30
    assert named <= found
