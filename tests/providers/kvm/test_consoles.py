"""Consoles reach this run of this VM, without a port that anybody else could find."""

from __future__ import annotations

import socket
import time
from unittest import mock

import pytest

from providers.base import Conflict, ConsoleKind, NotFound, StreamConsole, TcpConsole
from providers.kvm.config import KvmConfig
from providers.kvm.consoles import KvmConsoles
from providers.kvm.testing import Backend
from providers.kvm.xml.domain_reader import SeenGraphics, read_machine
from tests.providers.kvm.conftest import MakeVm

pytestmark = pytest.mark.live


def opened(backend: Backend, external_id: str, kind: ConsoleKind, *, force: bool = False) -> StreamConsole:
    consoles = backend.driver.consoles
    assert isinstance(consoles, KvmConsoles)
    target = consoles.open(external_id, kind, force=force)
    assert isinstance(target, StreamConsole)
    return target


def test_the_screen_comes_without_any_port(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm(start=True)
    document = backend.raw.lookupByUUIDString(vm.external_id).XMLDesc()
    (graphics,) = read_machine(document).graphics
    assert (graphics.port, graphics.listen, graphics.socket) == (-1, "", "")
    target = opened(backend, vm.external_id, ConsoleKind.VNC)
    # Several people may look at once.
    with target.connect() as first, target.connect() as second:
        assert first.recv(12) == second.recv(12) == b"RFB 003.008\n"


def test_a_restart_makes_the_old_target_useless(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm(start=True)
    before = opened(backend, vm.external_id, ConsoleKind.VNC)
    serial = opened(backend, vm.external_id, ConsoleKind.SERIAL)
    backend.driver.power.stop(vm.external_id, force=True)
    with pytest.raises(Conflict):
        before.connect()
    backend.driver.power.start(vm.external_id)
    for target in (before, serial):
        with pytest.raises(Conflict):
            target.connect()
    after = opened(backend, vm.external_id, ConsoleKind.VNC)
    assert after.endpoint != before.endpoint
    with after.connect() as line:
        assert line.recv(3) == b"RFB"


def test_a_stopped_vm_has_none_and_a_missing_one_neither(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm()
    for kind in ConsoleKind:
        with pytest.raises(Conflict) as caught:
            backend.driver.consoles.open(vm.external_id, kind)
        assert caught.value.reason == "Start the VM first."
        with pytest.raises(NotFound):
            backend.driver.consoles.open("11111111-2222-4333-8444-555555555555", kind)


def test_one_person_has_the_serial_line_until_another_takes_it(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm(start=True)
    first = opened(backend, vm.external_id, ConsoleKind.SERIAL).connect()
    with pytest.raises(Conflict) as caught:
        opened(backend, vm.external_id, ConsoleKind.SERIAL).connect()
    assert "Somebody else" in caught.value.reason
    second = opened(backend, vm.external_id, ConsoleKind.SERIAL, force=True).connect()
    first.settimeout(5)
    assert ended(first)
    first.close()
    second.close()
    # Who closes it gives it free for the next.
    end = time.monotonic() + 5
    while True:
        try:
            opened(backend, vm.external_id, ConsoleKind.SERIAL).connect().close()
            break
        except Conflict:
            assert time.monotonic() < end
            time.sleep(0.05)


def ended(line: socket.socket) -> bool:
    while line.recv(4096):
        pass
    return True


def test_the_serial_line_ends_with_the_vm(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm(start=True)
    with opened(backend, vm.external_id, ConsoleKind.SERIAL).connect() as line:
        line.settimeout(5)
        backend.driver.power.stop(vm.external_id, force=True)
        assert ended(line)


def test_a_vm_without_a_screen_says_so(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm(start=True, options={"video": "none"})
    assert vm.consoles == frozenset({ConsoleKind.SERIAL})
    with pytest.raises(Conflict):
        backend.driver.consoles.open(vm.external_id, ConsoleKind.VNC)


@pytest.mark.parametrize(
    ("uri", "listen", "port", "expected"),
    [
        ("qemu+tls://host.example/system", "192.0.2.9", 5901, "192.0.2.9"),
        ("qemu+tls://host.example/system", "0.0.0.0", 5901, "host.example"),
        ("qemu+tls://host.example/system", "127.0.0.1", 5901, Conflict),
        ("qemu+ssh://host.example/system", "127.0.0.1", 5901, StreamConsole),
        ("qemu+ssh://host.example/system", "", -1, Conflict),
    ],
)
def test_where_a_remote_screen_is(uri: str, listen: str, port: int, expected: object) -> None:
    consoles = KvmConsoles(mock.Mock(), KvmConfig(uri=uri))
    graphics = SeenGraphics(type="vnc", port=port, listen=listen, password="hidden")
    if expected is Conflict:
        with pytest.raises(Conflict):
            consoles._vnc("uuid", 7, 0, graphics)
        return
    target = consoles._vnc("uuid", 7, 0, graphics)
    assert "hidden" not in repr(target)
    if expected is StreamConsole:
        assert isinstance(target, StreamConsole)
    else:
        assert isinstance(target, TcpConsole)
        assert (target.host, target.port, target.password) == (expected, port, "hidden")
