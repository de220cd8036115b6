"""Consoles: each kind that was probed opens on a running VM, none on a stopped one, and passwords stay hidden."""

from __future__ import annotations

import socket
from contextlib import closing
from urllib.parse import urlsplit

from providers.base import (
    Conflict,
    ConsoleKind,
    ConsoleTarget,
    LinkConsole,
    NotFound,
    StreamConsole,
    TcpConsole,
    UnixConsole,
    WebSocketConsole,
)
from providers.testing.checks import refused
from providers.testing.lab import Lab, present
from providers.testing.promises import promise

PATIENCE_S = 10.0


def connected(target: ConsoleTarget) -> socket.socket | None:
    """A socket to the console; None for those that are reached by other means than a socket."""
    match target:
        case StreamConsole():
            return target.connect()
        case TcpConsole():
            return socket.create_connection((target.host, target.port), timeout=PATIENCE_S)
        case UnixConsole():
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(PATIENCE_S)
            sock.connect(target.path)
            return sock
        case WebSocketConsole():
            assert urlsplit(target.url).scheme in ("ws", "wss")
        case LinkConsole():
            assert urlsplit(target.url).scheme in ("http", "https")
    return None


@promise(when=lambda can: can.consoles)
def a_stopped_vm_has_no_console(lab: Lab) -> None:
    vm, consoles = lab.vm(), present(lab.driver.consoles)
    for kind in present(lab.can.consoles).kinds:
        with refused(Conflict):
            consoles.open(vm.external_id, kind)


@promise(when=lambda can: can.consoles and ConsoleKind.VNC in can.consoles.kinds)
def the_screen_of_a_running_vm_speaks_rfb(lab: Lab) -> None:
    vm = lab.vm(start=True)
    sock = connected(present(lab.driver.consoles).open(vm.external_id, ConsoleKind.VNC))
    if sock is not None:
        with closing(sock):
            sock.settimeout(PATIENCE_S)
            assert sock.recv(12).startswith(b"RFB 003.")


@promise(when=lambda can: can.consoles and ConsoleKind.SERIAL in can.consoles.kinds)
def the_serial_line_of_a_running_vm_opens(lab: Lab) -> None:
    vm = lab.vm(start=True)
    sock = connected(present(lab.driver.consoles).open(vm.external_id, ConsoleKind.SERIAL))
    if sock is not None:
        with closing(sock):
            sock.settimeout(PATIENCE_S)
            sock.sendall(b"\r")


@promise(when=lambda can: can.consoles)
def a_running_vm_says_which_consoles_it_has(lab: Lab) -> None:
    vm, consoles = lab.vm(start=True), present(lab.driver.consoles)
    for kind in lab.driver.machines.get(vm.external_id).consoles or ():
        consoles.open(vm.external_id, kind)


@promise(when=lambda can: can.consoles)
def console_secrets_are_not_shown(lab: Lab) -> None:
    vm, consoles = lab.vm(start=True), present(lab.driver.consoles)
    for kind in present(lab.can.consoles).kinds:
        target = consoles.open(vm.external_id, kind)
        password = getattr(target, "password", "")
        assert not password or password not in repr(target)
        assert not isinstance(target, LinkConsole | WebSocketConsole) or target.url not in repr(target)


@promise(when=lambda can: can.consoles)
def the_console_of_a_stranger_is_not_found(lab: Lab) -> None:
    vm, consoles = lab.vm(), present(lab.driver.consoles)
    lab.driver.machines.delete(vm.external_id)
    for kind in present(lab.can.consoles).kinds:
        with refused(NotFound):
            consoles.open(vm.external_id, kind)
