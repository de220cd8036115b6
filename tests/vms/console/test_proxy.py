"""The whole path over real sockets: handshake, grant, driver, machine, end; and every way in that must stay shut."""

from __future__ import annotations

import contextlib
import socket
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from kvweb.accounts.models import Membership, User
from kvweb.audit.models import AuditEntry
from providers.base import (
    Conflict,
    ConsoleKind,
    ConsoleTarget,
    LinkConsole,
    NotFound,
    TcpConsole,
    Unreachable,
    WebSocketConsole,
)
from tests.conftest import MakeVm
from tests.vms.console.browser import PING, PONG, TEXT, Browser, Refusal, frame
from tests.vms.console.conftest import Stage
from tests.vms.console.machines import Directory, Machine
from vms.choices import Presence
from vms.console import grants, sessions
from vms.console.closing import Code
from vms.console.framing import MESSAGE_BYTES
from vms.models import ConsoleGrant, VirtualMachine

pytestmark = pytest.mark.django_db(transaction=True)


def eventually(condition: Callable[[], bool], timeout: float = 15.0) -> bool:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


# -- the good way ------------------------------------------------------------------------------------------------------


def test_what_is_typed_arrives_and_comes_back(
    stage: Stage, running_vm: VirtualMachine, alice: User, machine: Machine
) -> None:
    browser = stage.open(running_vm, alice).wait_open()
    assert "kvweb.console" in browser.answer
    assert "kvweb.token" not in browser.answer
    browser.send(b"hello, machine")
    assert browser.read(14) == b"hello, machine"
    assert bytes(machine.got) == b"hello, machine"


def test_opening_and_closing_are_audited_without_what_was_typed(
    stage: Stage, running_vm: VirtualMachine, alice: User
) -> None:
    with stage.open(running_vm, alice).wait_open() as browser:
        browser.send(b"pass word")
        browser.read(9)
    assert eventually(lambda: AuditEntry.objects.filter(verb="vm.console.closed").exists())
    opened, closed = AuditEntry.objects.filter(verb__startswith="vm.console.").order_by("-verb")
    assert (opened.verb, opened.actor, opened.subject, opened.address) == (
        "vm.console.opened",
        alice,
        running_vm.subject,
        "192.0.2.7",
    )
    assert (closed.details["bytes_to_machine"], closed.details["bytes_to_browser"]) == (9, 9)
    assert "pass" not in str(closed.details)
    grant = ConsoleGrant.objects.get()
    assert grant.closed_at
    assert (grant.bytes_to_machine, grant.bytes_to_browser) == (9, 9)


def test_two_consoles_do_not_mix(stage: Stage, make_vm: MakeVm, directory: Directory, alice: User, bob: User) -> None:
    vms = [make_vm(power="running"), make_vm(power="running")]
    machines = [Machine(greeting=b"first"), Machine(greeting=b"other")]
    for vm, machine in zip(vms, machines, strict=True):
        directory.answers[vm.external_id] = machine.target
    one, two = stage.open(vms[0], alice), stage.open(vms[1], bob)
    assert (one.read(5), two.read(5)) == (b"first", b"other")
    one.send(b"to one")
    two.send(b"to two")
    assert (one.read(6), two.read(6)) == (b"to one", b"to two")
    for machine in machines:
        machine.close()


def test_much_passes_both_ways_unchanged(stage: Stage, running_vm: VirtualMachine, alice: User) -> None:
    browser = stage.open(running_vm, alice).wait_open()
    sent = bytes(range(256)) * 1024
    for start in range(0, len(sent), 40_000):
        browser.send(sent[start : start + 40_000])
    assert browser.read(len(sent)) == sent


def test_a_slow_browser_slows_the_machine_instead_of_filling_memory(
    stage: Stage, running_vm: VirtualMachine, alice: User, directory: Directory
) -> None:
    machine = Machine(greeting=b"x" * (64 << 20))
    directory.answers[running_vm.external_id] = machine.target
    browser = stage.open(running_vm, alice).wait_open()
    time.sleep(0.5)
    (console,) = stage.proxy._consoles
    assert console.relay is not None
    assert console.relay.from_machine < 8 << 20
    assert len(browser.read(1 << 20)) >= 1 << 20
    machine.close()


def test_plain_clients_get_bytes_only(stage: Stage, running_vm: VirtualMachine, alice: User) -> None:
    key = stage.session_of(alice)
    issued = grants.issue(running_vm, ConsoleKind.SERIAL, user=alice, session_key=key)
    browser = stage.browser().open(
        f"/ws/console/{issued.grant.uuid}",
        issued.token,
        key,
        Sec_WebSocket_Protocol=f"binary, kvweb.token.{issued.token}",
    )
    browser.send(b"abc")
    assert browser.read(3) == b"abc"
    assert browser.said == []
    assert "Sec-WebSocket-Protocol: binary" in browser.answer


def test_pings_are_answered_and_latency_is_told(stage: Stage, running_vm: VirtualMachine, alice: User) -> None:
    browser = stage.open(running_vm, alice).wait_open()
    browser.send(b"?", PING)
    assert next(frame for frame in iter(browser._frame, None) if frame[0] != TEXT) == (PONG, b"?")
    assert browser._frame()[0] == PING
    browser.send(b"", PONG)
    opcode, payload = browser._frame()
    assert opcode == TEXT
    assert b"latency" in payload


# -- the attacks -------------------------------------------------------------------------------------------------------


class Ready:
    """A grant that would open, so that each attack changes one thing only."""

    def __init__(self, stage: Stage, vm: VirtualMachine, user: User) -> None:
        self.stage, self.session = stage, stage.session_of(user)
        self.issued = grants.issue(vm, ConsoleKind.SERIAL, user=user, session_key=self.session)
        self.path = f"/ws/console/{self.issued.grant.uuid}"

    def try_with(
        self, *, path: str = "", token: str = "", session: str | None = None, **changed: str | None
    ) -> Browser:
        return self.stage.browser().open(
            path or self.path, token or self.issued.token, self.session if session is None else session, **changed
        )


@pytest.fixture
def ready(stage: Stage, running_vm: VirtualMachine, alice: User) -> Ready:
    return Ready(stage, running_vm, alice)


@pytest.fixture
def _untouched(machine: Machine, directory: Directory) -> Any:
    """No attack reaches the machine, or even its provider."""
    yield
    assert machine.connections == []
    assert directory.asked == []


@pytest.mark.usefixtures("_untouched")
class TestAttacks:
    def test_a_page_of_another_origin(self, ready: Ready) -> None:
        with pytest.raises(Refusal) as error:
            ready.try_with(Origin="http://evil.test")
        assert error.value.status == 403

    def test_no_cookie(self, ready: Ready) -> None:
        assert ready.try_with(Cookie=None).wait_closed() == Code.NO_SESSION

    def test_a_made_up_cookie(self, ready: Ready) -> None:
        assert ready.try_with(session="x" * 32).wait_closed() == Code.NO_SESSION

    def test_a_session_that_ended(self, ready: Ready) -> None:
        Session.objects.all().delete()
        assert ready.try_with().wait_closed() == Code.NO_SESSION

    def test_somebody_elses_session(self, ready: Ready, bob: User) -> None:
        assert ready.try_with(session=ready.stage.session_of(bob)).wait_closed() == Code.NOT_ALLOWED

    def test_another_session_of_the_same_user(self, ready: Ready, alice: User) -> None:
        assert ready.try_with(session=ready.stage.session_of(alice)).wait_closed() == Code.NOT_ALLOWED

    def test_a_guessed_id(self, ready: Ready) -> None:
        assert ready.try_with(path=f"/ws/console/{uuid.uuid4()}").wait_closed() == Code.NOT_ALLOWED

    def test_a_guessed_token(self, ready: Ready) -> None:
        assert ready.try_with(token="guess").wait_closed() == Code.NOT_ALLOWED

    def test_a_token_in_the_address(self, ready: Ready) -> None:
        with pytest.raises(Refusal) as error:
            ready.try_with(path=f"{ready.path}?token={ready.issued.token}")
        assert error.value.status == 404

    def test_an_expired_grant(self, ready: Ready) -> None:
        ConsoleGrant.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert ready.try_with().wait_closed() == Code.NOT_ALLOWED

    def test_a_revoked_grant(self, ready: Ready, alice: User) -> None:
        grants.revoke(user=alice)
        assert ready.try_with().wait_closed() == Code.NOT_ALLOWED

    def test_a_right_that_went_since(self, ready: Ready) -> None:
        Membership.objects.all().delete()
        assert ready.try_with().wait_closed() == Code.NOT_ALLOWED

    def test_a_machine_that_stopped_since(self, ready: Ready, running_vm: VirtualMachine) -> None:
        VirtualMachine.objects.filter(pk=running_vm.pk).update(power="stopped")
        assert ready.try_with().wait_closed() == Code.NOT_RUNNING

    def test_a_machine_deleted_since(self, ready: Ready, running_vm: VirtualMachine) -> None:
        VirtualMachine.objects.filter(pk=running_vm.pk).update(presence=Presence.DELETED)
        assert ready.try_with().wait_closed() == Code.GONE

    def test_no_websocket(self, ready: Ready) -> None:
        with pytest.raises(Refusal) as error:
            ready.try_with(Upgrade=None)
        assert error.value.status == 426


def test_a_grant_opens_once(ready: Ready) -> None:
    ready.try_with().wait_open()
    assert ready.try_with().wait_closed() == Code.NOT_ALLOWED


def test_slow_handshakes_are_cut(stage: Stage, ready: Ready, settings: Any) -> None:
    settings.CONSOLE_HANDSHAKE_S = 0.5
    slow, silent = stage.browser(), stage.browser()
    began = time.monotonic()
    with contextlib.suppress(OSError):
        for byte in slow.request(ready.path, ready.issued.token, ready.session):
            slow.sock.sendall(bytes([byte]))
            time.sleep(0.05)
    assert time.monotonic() - began < 5
    with pytest.raises(Refusal) as error:
        silent.read_answer()
    assert error.value.status == 408
    assert not stage.proxy._guests


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (frame(b"", length=1 << 40), Code.TOO_BIG),
        (frame(b"", length=MESSAGE_BYTES + 1), Code.TOO_BIG),
        (frame(bytes(MESSAGE_BYTES), fin=False) + frame(b"x", 0), Code.TOO_BIG),
        (frame(b"text", TEXT), 1003),
        (frame(b"naked", masked=False), Code.PROTOCOL_ERROR),
        (frame(b"x", 0x0), Code.PROTOCOL_ERROR),
        (frame(b"x", 0x7), 1003),
        (frame(bytes(126), PING), Code.PROTOCOL_ERROR),
        (b"\xf2\x80\0\0\0\0", Code.PROTOCOL_ERROR),
    ],
    ids=[
        "terabyte",
        "long",
        "long in parts",
        "text",
        "unmasked",
        "loose part",
        "unknown",
        "long ping",
        "reserved bits",
    ],
)
def test_bad_frames_end_the_console(
    bad: bytes, code: int, stage: Stage, running_vm: VirtualMachine, alice: User, machine: Machine
) -> None:
    browser = stage.open(running_vm, alice).wait_open()
    browser.sock.sendall(bad)
    assert browser.wait_closed() == code
    assert machine.got in (b"", bytes(MESSAGE_BYTES))


def test_fragments_are_put_together(stage: Stage, running_vm: VirtualMachine, alice: User) -> None:
    browser = stage.open(running_vm, alice).wait_open()
    browser.sock.sendall(frame(b"ab", fin=False) + frame(b"", PING) + frame(b"cd", 0, fin=False) + frame(b"ef", 0))
    assert browser.read(6) == b"abcdef"


# -- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["CONSOLES_PER_USER", "CONSOLES_PER_VM", "CONSOLES_MAX"])
def test_there_are_only_so_many(
    name: str, stage: Stage, running_vm: VirtualMachine, alice: User, settings: Any
) -> None:
    setattr(settings, name, 1)
    first = stage.open(running_vm, alice).wait_open()
    refused = stage.open(running_vm, alice)
    assert refused.wait_closed() == Code.TOO_MANY
    refused.sock.close()
    first.send(b"still here")
    assert first.read(10) == b"still here"
    first.sock.close()
    assert eventually(lambda: not stage.proxy._consoles)
    stage.open(running_vm, alice).wait_open()


def test_its_time_is_up(stage: Stage, running_vm: VirtualMachine, alice: User, settings: Any) -> None:
    settings.CONSOLE_LIFE_S = 0.2
    assert stage.open(running_vm, alice).wait_open().wait_closed() == Code.TIME_UP


def test_nobody_uses_it(stage: Stage, running_vm: VirtualMachine, alice: User, settings: Any) -> None:
    settings.CONSOLE_IDLE_S = 0.2
    assert stage.open(running_vm, alice).wait_open().wait_closed() == Code.TIME_UP


def test_who_does_not_use_it_is_told_before_it_ends(
    stage: Stage, running_vm: VirtualMachine, alice: User, settings: Any
) -> None:
    settings.CONSOLE_IDLE_S = 4.0
    browser = stage.open(running_vm, alice).wait_open()
    browser.wait_said("idle")
    browser.send(b"!")
    assert browser.wait_said("idle")["seconds"] is None
    assert 0 <= browser.wait_said("idle")["seconds"] < 2
    assert browser.wait_closed() == Code.TIME_UP


def test_a_browser_that_vanished_is_noticed(
    stage: Stage, running_vm: VirtualMachine, alice: User, settings: Any
) -> None:
    settings.CONSOLE_PING_S = 0.1
    stage.open(running_vm, alice).wait_open()  # and reads nothing any more
    assert eventually(lambda: not stage.proxy._consoles)


def test_a_watcher_cannot_type(stage: Stage, running_vm: VirtualMachine, alice: User, directory: Directory) -> None:
    machine = Machine(echo=False, greeting=b"login: ")
    directory.answers[running_vm.external_id] = machine.target
    browser = stage.open(running_vm, alice, view_only=True)
    assert browser.read(7) == b"login: "
    assert browser.said[0]["view_only"] is True
    browser.send(b"root\n")
    browser.send(b"", PING)
    browser._frame()
    assert not machine.wait_for(lambda: bool(machine.got), 0.3)
    machine.close()


# -- the end -----------------------------------------------------------------------------------------------------------


def test_the_machine_closes(stage: Stage, running_vm: VirtualMachine, alice: User, machine: Machine) -> None:
    browser = stage.open(running_vm, alice).wait_open()
    machine.hang_up()
    assert browser.wait_closed() == Code.ENDED
    assert browser.close_reason == "The machine closed its console."


def test_what_the_machine_said_last_is_still_shown(
    stage: Stage, running_vm: VirtualMachine, alice: User, machine: Machine
) -> None:
    browser = stage.open(running_vm, alice).wait_open()
    assert machine.wait_for(lambda: bool(machine.connections))
    machine.connections[0].sendall(b"power down")
    machine.hang_up()
    assert browser.read(10) == b"power down"
    assert browser.wait_closed() == Code.ENDED


def test_after_a_restart_a_new_grant_leads_to_the_new_console(
    stage: Stage, running_vm: VirtualMachine, alice: User, machine: Machine, directory: Directory
) -> None:
    browser = stage.open(running_vm, alice).wait_open()
    again = Machine(greeting=b"booted")
    directory.answers[running_vm.external_id] = again.target
    machine.hang_up()
    assert browser.wait_closed() == Code.ENDED
    assert stage.open(running_vm, alice).read(6) == b"booted"
    again.close()


def test_a_port_that_belongs_to_another_machine_now_is_left(
    stage: Stage, running_vm: VirtualMachine, alice: User, machine: Machine, directory: Directory
) -> None:
    browser = stage.open(running_vm, alice).wait_open()
    directory.answers[running_vm.external_id] = TcpConsole(host="127.0.0.1", port=machine.port + 1)
    stage.proxy.loop.from_thread(lambda: stage.proxy._vm_changed(str(running_vm.uuid)))
    assert browser.wait_closed() == Code.ENDED


def test_what_is_taken_back_closes_within_five_seconds(
    stage: Stage, make_vm: MakeVm, alice: User, bob: User, directory: Directory, machine: Machine
) -> None:
    """Nobody tells the service. All of it at once, each on a machine of its own, since each takes the whole time."""
    names = ("revoked", "signed out", "left", "deleted", "stopped")
    vms = {name: make_vm(name=name, power="running") for name in names}
    for vm in vms.values():
        directory.answers[vm.external_id] = machine.target
    browsers = {name: stage.open(vm, bob if name == "left" else alice).wait_open() for name, vm in vms.items()}
    grants.revoke(vm=vms["revoked"])
    of_signed_out = ConsoleGrant.objects.get(vm=vms["signed out"]).session_key
    Session.objects.filter(
        pk__in=[key for key in Session.objects.values_list("pk", flat=True) if grants.hashed(key) == of_signed_out]
    ).delete()
    Membership.objects.filter(user=bob).delete()
    VirtualMachine.objects.filter(pk=vms["deleted"].pk).update(presence=Presence.DELETED)
    VirtualMachine.objects.filter(pk=vms["stopped"].pk).update(power="stopped")
    began = time.monotonic()
    codes = {name: browser.wait_closed() for name, browser in browsers.items()}
    assert codes == {
        "revoked": Code.NOT_ALLOWED,
        "signed out": Code.NO_SESSION,
        "left": Code.NOT_ALLOWED,
        "deleted": Code.GONE,
        "stopped": Code.NOT_RUNNING,
    }
    assert time.monotonic() - began < 6


def test_a_revocation_that_is_announced_closes_at_once(stage: Stage, running_vm: VirtualMachine, alice: User) -> None:
    browser = stage.open(running_vm, alice).wait_open()
    grants.revoke(user=alice)
    stage.check_now()
    began = time.monotonic()
    assert browser.wait_closed() == Code.NOT_ALLOWED
    assert time.monotonic() - began < 1


def test_what_a_start_clears_up_leaves_consoles_alone_that_were_opened_meanwhile(
    stage: Stage, running_vm: VirtualMachine, alice: User
) -> None:
    started = timezone.now()
    browser = stage.open(running_vm, alice).wait_open()
    sessions.end_left_open(started)
    assert grants.revoke(user=alice) == 1
    stage.check_now()
    assert browser.wait_closed() == Code.NOT_ALLOWED


def test_a_stopping_proxy_says_come_back(
    stage: Stage, running_vm: VirtualMachine, alice: User, start_proxy: Any
) -> None:
    browser = stage.open(running_vm, alice).wait_open()
    stage.proxy.stop()
    assert browser.wait_closed() == Code.RESTARTING
    browser.sock.close()
    assert eventually(lambda: ConsoleGrant.objects.filter(closed_at=None).count() == 0)
    proxy, path = start_proxy()
    next_stage = Stage(proxy, path, stage.session_of)
    next_stage.open(running_vm, alice).wait_open()
    next_stage.close()


# -- providers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Conflict("The VM does not run."), Code.NOT_RUNNING),
        (NotFound(), Code.GONE),
        (Unreachable(), Code.PROVIDER),
        (RuntimeError("a driver's mistake"), Code.BROKEN),
        (TcpConsole(host="127.0.0.1", port=1), Code.PROVIDER),
        (WebSocketConsole(url="wss://127.0.0.1:1"), Code.PROVIDER),
        (LinkConsole(url="https://vendor.test/console"), Code.NOT_CARRIED),
    ],
)
def test_what_the_provider_says_is_said(
    answer: Any, code: Code, stage: Stage, running_vm: VirtualMachine, alice: User, directory: Directory
) -> None:
    directory.answers[running_vm.external_id] = answer
    browser = stage.open(running_vm, alice)
    assert browser.wait_closed() == code
    if isinstance(answer, LinkConsole):
        assert browser.said == [{"type": "link", "url": "https://vendor.test/console"}]


def test_a_provider_that_hangs_keeps_nobody_elses_console(
    stage: Stage, running_vm: VirtualMachine, make_vm: MakeVm, alice: User, directory: Directory, machine: Machine,
    settings: Any,
) -> None:  # fmt: skip
    from providers.models import Provider

    settings.CONSOLE_PROVIDER_S = 1.0
    elsewhere = Provider.objects.create(kind="fake", name="Slowtown", capabilities=running_vm.provider.capabilities)
    hanging = [make_vm(power="running", provider=elsewhere) for _ in range(6)]

    def after_a_while() -> ConsoleTarget:
        time.sleep(3)
        return machine.target

    for vm in hanging:
        directory.answers[vm.external_id] = after_a_while
    waiting = [stage.open(vm, alice) for vm in hanging]
    began = time.monotonic()
    quick = stage.open(running_vm, alice).wait_open()
    quick.send(b"quick")
    assert quick.read(5) == b"quick"
    assert time.monotonic() - began < 0.9
    assert {browser.wait_closed() for browser in waiting} == {Code.TIMED_OUT}
    # What the slow provider opens in the end is put away.
    assert eventually(lambda: len(machine.connections) >= 2)
    quick.send(b"still")
    assert quick.read(5) == b"still"


# -- the simulated cloud -----------------------------------------------------------------------------------------------


@pytest.fixture
def simulated_vm(make_vm: MakeVm, fake_provider: Any) -> VirtualMachine:
    """Runs at the fake provider, whose screen wants a password that the portal knows."""
    from providers.base import QUIET, DiskSpec, PowerState, VmSpec
    from providers.pool import driver_for

    with driver_for(fake_provider) as driver:
        images = driver.images.list() if driver.images else []
        spec = VmSpec(name="sim", disks=(DiskSpec(image=images[0].external_id),))
        record = driver.machines.create(spec, QUIET)
    vm = make_vm(external_id=record.external_id, name="sim", power="running")
    assert record.power in {PowerState.RUNNING, PowerState.STARTING}
    return vm


def test_serial_line_of_the_simulated_cloud(stage: Stage, simulated_vm: VirtualMachine, alice: User) -> None:
    browser = stage.open(simulated_vm, alice).wait_open()
    browser.send(b"\r")
    assert b"login" in browser.read_until(b"login:")


def test_screen_of_the_simulated_cloud_opens_without_showing_its_password(
    stage: Stage, simulated_vm: VirtualMachine, alice: User
) -> None:
    browser = stage.open(simulated_vm, alice, ConsoleKind.VNC)
    assert browser.read(12) == b"RFB 003.008\n"
    browser.send(b"RFB 003.008\n")
    assert browser.read(2) == b"\x01\x01"
    browser.send(b"\x01")
    assert browser.read(4) == b"\0\0\0\0"
    browser.send(b"\x01")
    width_height = browser.read(4)
    assert int.from_bytes(width_height[:2], "big") >= 640


def test_the_socket_of_a_console_is_for_its_owner_alone(tmp_path: Any) -> None:
    from kvweb.portal.management.commands.console_proxy import listen

    path = tmp_path / "run" / "console.sock"
    for _ in range(2):
        listener = listen(f"unix:{path}")
        assert path.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        listener.close()
