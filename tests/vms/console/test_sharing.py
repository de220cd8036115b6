"""Several people at one screen: one drives, the others watch, and the keyboard changes hands without a reconnect."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import pytest

from kvweb.accounts.models import Membership, Role, User
from providers.base import ConsoleKind
from tests.conftest import MakeVm
from tests.vms.console.browser import TEXT, frame
from tests.vms.console.conftest import Stage
from tests.vms.console.machines import Directory, Machine
from tests.vms.console.screens import UPDATE, Screen, Viewer, key, pointer
from tests.vms.console.test_proxy import eventually
from vms.console import console, grants, sharing
from vms.console.closing import Code
from vms.models import ConsoleSession, VirtualMachine

pytestmark = pytest.mark.django_db(transaction=True)

#: Everything by which a browser can act: keys in both forms, mouse, clipboard, resizing, power.
ACTING = [
    key("x"),
    struct.pack(">BBHII", 255, 0, 1, 0x41, 30),
    pointer(1),
    struct.pack(">BxxxI", 6, 5) + b"paste",
    struct.pack(">BxHHBx", 251, 800, 600, 1) + bytes(16),
    struct.pack(">BxBB", 250, 1, 3),
]
Look = Callable[..., Viewer]


@pytest.fixture
def screen() -> Iterator[Screen]:
    screen = Screen()
    yield screen
    screen.close()


@pytest.fixture
def vm(make_vm: MakeVm, directory: Directory, screen: Screen) -> VirtualMachine:
    vm = make_vm(power="running")
    directory.answers[vm.external_id] = screen.target
    return vm


@pytest.fixture
def look(stage: Stage, vm: VirtualMachine) -> Look:
    def look(user: User, *, view_only: bool = False) -> Viewer:
        return Viewer(stage.open(vm, user, ConsoleKind.VNC, view_only=view_only))

    return look


def reached(screen: Screen, number: int, data: bytes) -> bool:
    """Whether exactly this came over the connection that was opened as the so-manieth."""
    assert screen.wait_for(lambda: len(screen.got) > number)
    return screen.wait_for(lambda: len(screen.got[number]) >= len(data)) and bytes(screen.got[number]) == data


def test_the_first_drives_and_the_second_watches(look: Look, screen: Screen, alice: User, bob: User) -> None:
    first = look(alice)
    second = look(bob)
    assert (first.opened["drives"], second.opened["drives"]) == (True, False)
    told = first.wait_people(lambda told: len(told["people"]) == 2)
    assert [person["name"] for person in told["people"]] == [str(alice), str(bob)]
    assert [person["drives"] for person in told["people"]] == [True, False]
    assert told["driver"] == first.id
    first.browser.send(key("a"))
    assert reached(screen, 0, key("a"))


@pytest.mark.parametrize("pieces", [1, 1000])
def test_nothing_that_a_watcher_sends_reaches_the_machine(
    look: Look, screen: Screen, alice: User, bob: User, pieces: int
) -> None:
    look(alice)
    hostile = look(bob)
    stream = b"".join(message + UPDATE for message in ACTING)
    for start in range(0, len(stream), pieces):
        hostile.browser.send(stream[start : start + pieces])
    assert reached(screen, 1, UPDATE * len(ACTING))


def test_the_driver_hands_over_and_nobody_reconnects(look: Look, screen: Screen, alice: User, bob: User) -> None:
    first, second = look(alice), look(bob)
    first.say(type="give", to=second.id)
    second.wait_people(lambda told: told["drives"])
    first.wait_people(lambda told: not told["drives"] and told["driver"] == second.id)
    assert second.notices == [f"{alice} handed you the keyboard."]
    second.browser.send(key("b"))
    first.browser.send(key("a") + UPDATE)
    assert reached(screen, 1, key("b"))
    assert reached(screen, 0, UPDATE)
    assert eventually(
        lambda: set(ConsoleSession.objects.values_list("who", "drives")) == {(str(alice), False), (str(bob), True)}
    )


def test_who_asks_is_given_or_refused(look: Look, alice: User, bob: User) -> None:
    first, second = look(alice), look(bob)
    second.say(type="ask")
    told = first.wait_people(lambda told: any(person["asks"] for person in told["people"]))
    assert told["may"] == {"drive": True, "ask": False, "take": False, "release": True, "give": True}
    assert first.notices == [f"{bob} asks for the keyboard."]
    first.say(type="refuse", to=second.id)
    second.wait_people(lambda told: second.notices and not any(person["asks"] for person in told["people"]))
    assert second.notices == [f"{alice} keeps the keyboard for now."]
    second.say(type="ask")
    first.wait_people(lambda told: any(person["asks"] for person in told["people"]))
    first.say(type="release")
    second.wait_people(lambda told: told["drives"])


def test_an_owner_takes_the_keyboard_and_an_operator_does_not(look: Look, alice: User, bob: User) -> None:
    operator = look(bob)
    owner = look(alice)
    assert owner.wait_people(lambda told: True)["may"]["take"]
    owner.say(type="take")
    owner.wait_people(lambda told: told["drives"])
    told = operator.wait_people(lambda told: not told["drives"] and operator.notices)
    assert operator.notices == [f"{alice} took the keyboard."]
    assert not told["may"]["take"]
    operator.say(type="take")
    operator.say(type="give", to=operator.id)
    operator.wait_people(lambda told: len(operator.notices) == 3)
    assert set(operator.notices[1:]) == {
        "You do not have the keyboard.",
        "You may not take the keyboard from others; ask for it.",
    }
    assert not operator.wait_people(lambda told: True)["drives"]


def test_a_right_that_went_since_takes_no_keyboard(look: Look, alice: User, bob: User) -> None:
    look(bob)
    owner = look(alice)
    Membership.objects.filter(user=alice).update(role=Role.OPERATOR)
    owner.say(type="take")
    owner.wait_people(lambda told: owner.notices)
    assert owner.notices == ["You may not take the keyboard from others; ask for it."]


def test_keys_that_are_down_come_up_when_the_keyboard_changes_hands(
    look: Look, screen: Screen, alice: User, bob: User
) -> None:
    first, second = look(alice), look(bob)
    held = struct.pack(">BBHII", 255, 0, 1, 0xFFE3, 29)
    first.browser.send(key("a") + held + key("c") + key("c", down=False) + pointer(1, 7, 8))
    assert screen.wait_for(lambda: len(screen.got[0]) == len(held) + 3 * 8 + 6)
    first.say(type="give", to=second.id)
    second.wait_people(lambda told: told["drives"])
    ups = key("a", down=False) + struct.pack(">BBHII", 255, 0, 0, 0xFFE3, 29) + pointer(0, 7, 8)
    assert screen.wait_for(lambda: bytes(screen.got[0]).endswith(ups))


def test_a_driver_who_comes_back_soon_drives_again(
    look: Look, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "KEPT_S", 60.0)
    first, second = look(alice), look(bob)
    first.browser.sock.close()
    second.wait_people(lambda told: len(told["people"]) == 1)
    again = look(alice)
    assert again.opened["drives"]
    assert not second.wait_people(lambda told: len(told["people"]) == 2)["drives"]


def test_a_driver_who_stays_away_is_followed_by_who_was_there(
    look: Look, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "KEPT_S", 0.2)
    first, watcher, second = look(alice), look(bob, view_only=True), look(bob)
    first.browser.sock.close()
    assert second.wait_people(lambda told: told["drives"])["driver"] == second.id
    assert not watcher.wait_people(lambda told: told["driver"] == second.id)["drives"]


def test_a_driver_whose_line_is_dead_drives_again_as_soon_as_they_are_back(
    look: Look, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing told the service that the first connection is dead; it is not read here, and answers no ping."""
    look(alice)
    watching = look(bob)
    monkeypatch.setattr(console, "DOUBT_S", 0.5)
    back = look(alice)
    assert not back.opened["drives"]
    back.wait_people(lambda told: told["drives"] and len(told["people"]) == 2)
    assert not watching.wait_people(lambda told: told["driver"] == back.id)["drives"]


def test_who_asks_a_driver_whose_line_is_dead_has_the_keyboard_soon(
    look: Look, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(alice)
    second = look(bob)
    monkeypatch.setattr(console, "DOUBT_S", 0.5)
    second.say(type="ask")
    second.wait_people(lambda told: told["drives"])


def test_a_driver_who_is_there_keeps_the_keyboard_beside_a_second_window_of_theirs(
    look: Look, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = look(alice)
    monkeypatch.setattr(console, "DOUBT_S", 1.0)
    second = look(alice)
    first.browser.sock.settimeout(1.5)
    with pytest.raises(TimeoutError):
        first.browser.read_some()
    assert second.wait_people(lambda told: len(told["people"]) == 2)["driver"] == first.id
    first.browser.sock.settimeout(8)
    first.say(type="release")
    first.wait_people(lambda told: told["driver"] is None)


def test_who_may_only_watch_is_never_given_the_keyboard(look: Look, screen: Screen, alice: User, bob: User) -> None:
    watcher = look(bob, view_only=True)
    assert not watcher.opened["drives"]
    driver = look(alice)
    for wish in ({"type": "ask"}, {"type": "take"}):
        watcher.say(**wish)
    driver.say(type="give", to=watcher.id)
    watcher.wait_people(lambda told: len(watcher.notices) == 2)
    driver.wait_people(lambda told: driver.notices)
    assert driver.notices == [f"{bob} only watches."]
    watcher.browser.send(key("x") + UPDATE)
    assert reached(screen, 0, UPDATE)


def test_a_page_that_talks_without_end_is_closed(look: Look, alice: User) -> None:
    viewer = look(alice)
    for _ in range(21):
        viewer.say(type="ask")
    assert viewer.browser.wait_closed() == Code.TOO_MUCH


@pytest.mark.parametrize(
    "text", [b"text", b"[" * 900, b'{"type":"' + b"x" * 2000 + b'"}'], ids=["word", "deep", "long"]
)
def test_text_that_is_no_message_closes_the_console(text: bytes, look: Look, alice: User) -> None:
    viewer = look(alice)
    viewer.browser.sock.sendall(frame(text, TEXT))
    assert viewer.browser.wait_closed() == Code.UNSUPPORTED


def test_messages_that_mean_nothing_do_no_harm(look: Look, screen: Screen, alice: User) -> None:
    viewer = look(alice)
    for message in (
        {},
        {"type": 7},
        {"type": "give"},
        {"type": "give", "to": [1]},
        {"type": "refuse"},
        {"type": "new"},
    ):
        viewer.say(**message)
    viewer.browser.send(key("a"))
    assert reached(screen, 0, key("a"))


def test_all_who_may_type_on_a_serial_line_see_the_same(
    stage: Stage, vm: VirtualMachine, directory: Directory, alice: User, bob: User
) -> None:
    machine = Machine(greeting=b"login: ")
    directory.answers[vm.external_id] = machine.target
    one, two = stage.open(vm, alice).wait_open(), stage.open(vm, bob).wait_open()
    watcher = stage.open(vm, bob, view_only=True).wait_open()
    for browser in (one, two, watcher):
        browser.read_until(b"login: ")
    one.send(b"from one ")
    for browser in (one, two, watcher):
        assert browser.read_until(b"from one ").endswith(b"from one ")
    watcher.send(b"from nobody")
    two.send(b"from two")
    for browser in (one, two, watcher):
        assert browser.read_until(b"from two") == b"from two"
    assert len(machine.connections) == 1
    machine.close()


def test_closing_takes_one_console_and_leaves_the_others(
    look: Look, vm: VirtualMachine, alice: User, bob: User
) -> None:
    first, second = look(alice), look(bob)
    assert eventually(lambda: ConsoleSession.objects.filter(ended_at=None).count() == 2)
    grants.revoke(user=alice, why="root closed this console.")
    assert first.browser.wait_closed() == Code.NOT_ALLOWED
    assert first.browser.close_reason == "root closed this console."
    assert second.wait_people(lambda told: len(told["people"]) == 1)
