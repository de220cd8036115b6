"""One connection to a serial line for all who watch, and a log of what it said."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from kvweb.accounts.models import User
from kvweb.audit.models import AuditEntry
from providers.base import Unreachable
from tests.conftest import MakeVm
from tests.vms.console.conftest import Stage
from tests.vms.console.machines import Directory, Machine
from tests.vms.console.test_proxy import eventually
from vms.actions import ACTIONS
from vms.choices import Presence
from vms.console import listeners, serial_lines, serial_log, serial_seat
from vms.console.closing import Code
from vms.console.serial_log import Writer, folder_of
from vms.console.signals import RESTARTED, Listener
from vms.models import VirtualMachine

ClientOf = Callable[[User], Client]


@pytest.fixture(autouse=True)
def _logs(tmp_path: Path, settings: Any) -> None:
    settings.SERIAL_LOG_DIR = tmp_path / "serial"


def said(vm: VirtualMachine) -> list[str]:
    return [line.mark or line.text for line in serial_log.lines(vm.uuid)]


# -- the hub -----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_who_comes_later_sees_the_last_screenful(
    stage: Stage, running_vm: VirtualMachine, alice: User, bob: User, machine: Machine
) -> None:
    first = stage.open(running_vm, alice).wait_open()
    first.send(b"hello\r\n$ ")
    first.read(9)
    second = stage.open(running_vm, bob)
    assert second.read(9) == b"hello\r\n$ "
    replay = next(each for each in second.said if each["type"] == "replay")
    assert (replay["bytes"], replay["seconds_ago"]) == (9, 0)
    for browser in (first, second):
        browser.sock.close()
    # After a while nobody is connected to the machine; who comes back still sees it, from the log.
    assert eventually(lambda: not stage.proxy._hubs._lines)
    assert stage.open(running_vm, alice).read(9) == b"hello\r\n$ "
    assert machine.wait_for(lambda: len(machine.connections) == 2)


@pytest.mark.django_db(transaction=True)
def test_a_page_that_is_reloaded_keeps_the_line(
    stage: Stage, running_vm: VirtualMachine, alice: User, machine: Machine
) -> None:
    stage.open(running_vm, alice).wait_open().sock.close()
    stage.open(running_vm, alice).wait_open()
    time.sleep(serial_lines.LINGER_S + 0.5)
    assert len(machine.connections) == 1
    assert stage.proxy._hubs._lines


@pytest.mark.django_db(transaction=True)
def test_one_who_does_not_read_holds_up_nobody(
    stage: Stage, running_vm: VirtualMachine, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_seat, "BEHIND_BYTES", 64 * 1024)
    asleep = stage.open(running_vm, bob).wait_open()
    awake = stage.open(running_vm, alice).wait_open()
    portion = b"x" * 65535 + b"\n"
    for _ in range(64):
        awake.send(portion)
        assert awake.read(len(portion)) == portion
    awake.send(b"the end\n")
    assert awake.read(8) == b"the end\n"
    # It sees the newest, and is told how much it did not see.
    assert asleep.read_until(b"the end\n")
    skipped = next(each for each in asleep.said if each["type"] == "skipped")
    assert skipped["bytes"] > 1024 * 1024


@pytest.mark.django_db(transaction=True)
def test_a_restarted_machine_has_a_new_line_and_a_mark_in_the_log(
    stage: Stage, running_vm: VirtualMachine, alice: User, machine: Machine, directory: Directory
) -> None:
    browser = stage.open(running_vm, alice).wait_open()
    browser.send(b"before\n")
    browser.read(7)
    again = Machine(greeting=b"booted\n")
    directory.answers[running_vm.external_id] = again.target
    machine.hang_up()
    assert browser.wait_closed() == Code.ENDED
    browser = stage.open(running_vm, alice)
    browser.read_until(b"booted\n")
    wanted = [serial_log.STARTED, "before", serial_log.ENDED, serial_log.STARTED, "booted"]
    assert eventually(lambda: said(running_vm) == wanted), said(running_vm)
    again.close()


@pytest.mark.django_db(transaction=True)
def test_a_guest_that_restarts_by_itself_leaves_a_mark_behind_what_it_said(
    stage: Stage, running_vm: VirtualMachine, alice: User
) -> None:
    browser = stage.open(running_vm, alice).wait_open()
    browser.send(b"going down\n")
    browser.read(11)
    hears = Listener(
        on_check=lambda: None,
        on_vm=lambda uuid: None,
        on_restart=lambda uuid: stage.proxy.loop.from_thread(lambda: stage.proxy._hubs.note_restart(uuid)),
    )
    for uuid in (running_vm.uuid, uuid4()):
        hears._hear({"type": "message", "data": f"{RESTARTED}{uuid}".encode()})
    assert eventually(lambda: said(running_vm)[-1] == serial_log.RESTARTED)
    browser.send(b"up again\n")
    wanted = [serial_log.STARTED, "going down", serial_log.RESTARTED, "up again"]
    assert eventually(lambda: said(running_vm) == wanted), said(running_vm)


@pytest.mark.django_db(transaction=True)
def test_who_comes_to_a_line_that_moved_gets_the_new_one(
    stage: Stage, running_vm: VirtualMachine, alice: User, bob: User, directory: Directory
) -> None:
    old = stage.open(running_vm, alice).wait_open()
    elsewhere = Machine(greeting=b"another machine\n")
    directory.answers[running_vm.external_id] = elsewhere.target
    assert stage.open(running_vm, bob).read_until(b"another machine\n")
    assert old.wait_closed() == Code.ENDED
    elsewhere.close()


@pytest.mark.django_db(transaction=True)
def test_a_log_that_is_kept_always_needs_nobody_to_watch(
    stage: Stage, running_vm: VirtualMachine, alice: User, directory: Directory, settings: Any
) -> None:
    settings.CONSOLE_RECHECK_S = 0.2
    machine = Machine(greeting=b"nobody looks\n")
    directory.answers[running_vm.external_id] = machine.target
    ACTIONS["keep-serial-log"].perform(running_vm, alice)
    assert eventually(lambda: "nobody looks" in said(running_vm), 10)
    # Who looks now joins the same connection.
    assert b"nobody looks" in stage.open(running_vm, alice).read_until(b"looks\n")
    assert len(machine.connections) == 1
    ACTIONS["drop-serial-log"].perform(VirtualMachine.objects.get(), alice)
    stage.close()
    assert eventually(lambda: not stage.proxy._hubs._lines, 10)
    machine.close()


@pytest.mark.django_db(transaction=True)
def test_a_line_that_cannot_be_listened_to_is_not_asked_all_the_time(
    stage: Stage, running_vm: VirtualMachine, directory: Directory
) -> None:
    directory.answers[running_vm.external_id] = Unreachable()
    VirtualMachine.objects.update(keeps_serial_log=True)
    wanted = listeners.wanted()
    for _ in range(5):
        stage.proxy.loop.from_thread(lambda: stage.proxy._hubs.keep(wanted))
        time.sleep(0.1)
    assert len(directory.asked) == 1


@pytest.mark.django_db
def test_only_so_many_lines_are_listened_to(make_vm: MakeVm, settings: Any) -> None:
    settings.SERIAL_LISTENERS_MAX = 2
    for power in ("running", "running", "stopped", "running"):
        make_vm(power=power, keeps_serial_log=True)
    make_vm(power="running", keeps_serial_log=True, presence=Presence.MISSING)
    make_vm(power="running")
    assert len(listeners.wanted()) == 2


# -- the log -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def vm(make_vm: MakeVm) -> VirtualMachine:
    return make_vm(power="running", name="web-1")


@pytest.mark.django_db
def test_the_log_has_a_bound_and_keeps_the_newest(vm: VirtualMachine, settings: Any) -> None:
    settings.SERIAL_LOG_BYTES = 4000
    writer = Writer(folder_of(vm.uuid))
    for number in range(1000):
        writer.write(f"line {number:06}\n".encode())
    lines = said(vm)
    assert 2000 <= serial_log.size_of(vm.uuid) <= 4000
    assert lines[-1] == "line 000999"
    assert lines[-100] == "line 000900"
    writer.write(b"y" * 100_000 + b"\nlast\n")
    assert serial_log.size_of(vm.uuid) <= 4000
    assert said(vm)[-1] == "last"
    assert writer.tail(100).endswith(b"last\n")


@pytest.mark.django_db
def test_nobody_else_on_the_host_may_read_it(vm: VirtualMachine) -> None:
    writer = Writer(folder_of(vm.uuid))
    writer.write(b"password: \n")
    writer.mark(serial_log.STARTED)
    assert stat.S_IMODE(folder_of(vm.uuid).stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder_of(vm.uuid).iterdir()} == {0o600}


@pytest.mark.django_db
def test_a_log_that_was_cut_off_is_read_as_far_as_it_goes(vm: VirtualMachine) -> None:
    writer = Writer(folder_of(vm.uuid))
    writer.mark(serial_log.STARTED)
    writer.write(b"whole\nhalf of a li")
    with (folder_of(vm.uuid) / "new.marks").open("ab") as file:
        file.write(b"[12, 17")
    assert said(vm) == [serial_log.STARTED, "whole", "half of a li"]


@pytest.mark.parametrize(
    ("marks", "shown"),
    [
        ("restarted restarted", "restarted"),
        ("unheard listening unheard listening", "unheard listening"),
        ("ended listening ended listening restarted", "ended listening restarted"),
        ("listening unheard", ""),
        ("unheard listening ended started", "unheard ended started"),
        ("started ended started ended", "started ended started ended"),
    ],
    ids=["firmware resets twice", "looked in", "was off", "heard nothing", "went off meanwhile", "said nothing"],
)
def test_marks_between_which_nothing_was_said_are_shown_when_they_tell_something(
    marks: str, shown: str, tmp_path: Path
) -> None:
    vm_uuid = uuid4()
    writer = Writer(folder_of(vm_uuid))
    writer.write(b"before\n")
    for mark in marks.split():
        writer.mark(mark)
    writer.write(b"after\n")
    assert [line.mark or line.text for line in serial_log.lines(vm_uuid)] == ["before", *shown.split(), "after"]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\x1b[0;32m  OK  \x1b[0m started\r\n", "  OK   started"),
        (b"\x1b]0;title\x07$ ls\r\n", "$ ls"),
        (b"\x1b[2J\x1b[H\x1b(Bclear\n", "clear"),
        (b"a\x08\x00b\n", "ab"),
        ("grüße\n".encode(), "grüße"),
        (b"\xff\xfe\n", "\ufffd\ufffd"),
        (b"<script>\n", "<script>"),
    ],
)
def test_a_line_is_shown_without_what_only_terminals_need(raw: bytes, text: str) -> None:
    assert serial_log.plain(raw) == text


@pytest.mark.django_db
def test_logs_of_machines_that_are_gone_go_too(vm: VirtualMachine, make_vm: MakeVm) -> None:
    gone = make_vm(presence=Presence.DELETED)
    for one in (vm, gone):
        Writer(folder_of(one.uuid)).write(b"x\n")
    listeners.sweep()
    assert folder_of(vm.uuid).exists()
    assert not folder_of(gone.uuid).exists()


@pytest.fixture
def logged(vm: VirtualMachine) -> VirtualMachine:
    writer = Writer(folder_of(vm.uuid))
    writer.mark(serial_log.STARTED)
    writer.write(b"\x1b[1mKernel panic\x1b[0m - <b>not</b> syncing\r\nall quiet\r\n")
    return vm


@pytest.mark.django_db
def test_it_is_read_and_searched_and_downloaded(logged: VirtualMachine, bob: User, client_of: ClientOf) -> None:
    client = client_of(bob)
    page = client.get(f"/vms/{logged.uuid}/serial-log").content.decode()
    assert "Kernel panic - &lt;b&gt;not&lt;/b&gt; syncing" in page
    assert "The machine started" in page
    found = client.get(f"/vms/{logged.uuid}/serial-log?q=KERNEL+panic").content.decode()
    assert "1 line with" in found
    assert "all quiet" not in found
    assert "No line has" in client.get(f"/vms/{logged.uuid}/serial-log?q=nothing").content.decode()
    answer = client.get(f"/vms/{logged.uuid}/serial-log/download")
    text = b"".join(answer).decode()
    assert answer.headers["Content-Disposition"] == 'attachment; filename="web-1-serial.log"'
    assert "--- The machine started ---" in text
    assert "Kernel panic - <b>not</b> syncing\n" in text
    assert AuditEntry.objects.filter(verb="vm.serial_log.downloaded", actor=bob).exists()


@pytest.mark.django_db
def test_a_stranger_and_a_viewer_read_nothing(
    logged: VirtualMachine, charlie: User, bob: User, client_of: ClientOf
) -> None:
    bob.memberships.update(role="viewer")
    for address in (f"/vms/{logged.uuid}/serial-log", f"/vms/{logged.uuid}/serial-log/download"):
        assert client_of(charlie).get(address).status_code == 404
        assert client_of(bob).get(address).status_code == 403
