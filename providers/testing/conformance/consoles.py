"""Consoles: each kind that was probed opens on a running VM, none on a stopped one, and passwords stay hidden."""

from __future__ import annotations

import socket
import ssl
from contextlib import closing
from urllib.parse import urlsplit

from providers.base import (
    MOST_OUTPUT,
    Conflict,
    ConsoleKind,
    ConsoleTarget,
    InvalidRequest,
    LinkConsole,
    NotFound,
    Picture,
    SshConsole,
    StreamConsole,
    TcpConsole,
    TlsConsole,
    UnixConsole,
    ViewerConsole,
    ViewerState,
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
        case TlsConsole():
            plain = socket.create_connection((target.host, target.port), timeout=PATIENCE_S)
            context = target.tls or ssl.create_default_context()
            return context.wrap_socket(plain, server_hostname=target.server_name or target.host)
        case UnixConsole():
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(PATIENCE_S)
            sock.connect(target.path)
            return sock
        case SshConsole():
            assert target.known_hosts, "Nobody signs in at a host that could be anybody."
        case WebSocketConsole():
            assert urlsplit(target.url).scheme in ("ws", "wss")
        case LinkConsole():
            assert urlsplit(target.url).scheme in ("http", "https")
        case ViewerConsole():
            assert target.host
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
    kinds = present(lab.can.consoles).kinds
    # What only some VMs have is opened on those; others say themselves what they have.
    for kind in kinds if vm.consoles is None else kinds & vm.consoles:
        target = consoles.open(vm.external_id, kind)
        password = getattr(target, "password", "")
        assert not password or password not in repr(target)
        assert not isinstance(target, LinkConsole | WebSocketConsole) or target.url not in repr(target)


@promise(when=lambda can: can.consoles and ConsoleKind.SPICE in can.consoles.kinds)
def a_viewer_gets_a_password_of_its_own_for_a_short_time(lab: Lab) -> None:
    consoles = present(lab.driver.consoles)
    vm = lab.vm(start=True, options=dict(lab.harness.viewer_options))
    assert vm.consoles is None or ConsoleKind.SPICE in vm.consoles
    first, second = (consoles.open(vm.external_id, ConsoleKind.SPICE) for _ in range(2))
    assert isinstance(first, ViewerConsole)
    assert isinstance(second, ViewerConsole)
    assert first.password != second.password
    for ticket in (first, second):
        assert ticket.host
        assert ticket.port > 0 or ticket.tls_port > 0
        assert len(ticket.password) >= 16
        assert 10 <= ticket.valid_s <= 120


@promise(when=lambda can: can.consoles and ConsoleKind.SPICE in can.consoles.kinds)
def a_viewer_that_came_is_seen_and_is_sent_away_for_good(lab: Lab) -> None:
    consoles, view = present(lab.driver.consoles), lab.harness.view
    vm = lab.vm(start=True, options=dict(lab.harness.viewer_options))
    first, last = (consoles.open(vm.external_id, ConsoleKind.SPICE) for _ in range(2))
    assert isinstance(first, ViewerConsole)
    assert isinstance(last, ViewerConsole)
    assert consoles.viewer(vm.external_id, first.ticket).state is ViewerState.GONE
    assert consoles.viewer(vm.external_id, last.ticket).state is ViewerState.WAITING
    # That the older one is over closes nothing of the newer.
    consoles.close_viewer(vm.external_id, first.ticket)
    if view is not None:
        is_connected = present(view(lab.driver, vm, last))

        def is_seen() -> bool:
            return consoles.viewer(vm.external_id, last.ticket).state is ViewerState.OPEN

        lab.harness.wait_until(is_seen, "the viewer is seen", timeout_s=lab.harness.event_s)
        assert consoles.viewer(vm.external_id, last.ticket).address
        consoles.close_viewer(vm.external_id, last.ticket)
        lab.harness.wait_until(lambda: not is_connected(), "the viewer is sent away", timeout_s=lab.harness.event_s)
        assert view(lab.driver, vm, last) is None
    present(lab.driver.power).stop(vm.external_id, force=True)
    with refused(Conflict):
        consoles.viewer(vm.external_id, last.ticket)
    # Nobody is there any more, which is all that was wanted.
    consoles.close_viewer(vm.external_id, last.ticket)


@promise(when=lambda can: can.consoles)
def the_console_of_a_stranger_is_not_found(lab: Lab) -> None:
    vm, consoles = lab.vm(), present(lab.driver.consoles)
    lab.driver.machines.delete(vm.external_id)
    for kind in present(lab.can.consoles).kinds:
        with refused(NotFound):
            consoles.open(vm.external_id, kind)


@promise(when=lambda can: can.consoles and can.consoles.send_keys)
def keys_are_pressed_on_a_running_vm_only(lab: Lab) -> None:
    consoles = present(lab.driver.consoles)
    with refused(Conflict):
        consoles.send_keys(lab.vm("off").external_id, [[28]], hold_ms=1)
    vm = lab.vm("on", start=True)
    consoles.send_keys(vm.external_id, [[42, 30], [48], [28]], hold_ms=1)


@promise(when=lambda can: can.consoles and can.consoles.send_keys)
def strokes_that_no_keyboard_can_make_are_refused(lab: Lab) -> None:
    vm, consoles = lab.vm(start=True), present(lab.driver.consoles)
    wrong: tuple[list[list[int]], ...] = ([[]], [[0]], [[-1]], [[100_000]], [[30] * 6], [[30]] * 65)
    for strokes in wrong:
        with refused(InvalidRequest):
            consoles.send_keys(vm.external_id, strokes)


#: How image files begin, by what `Picture.media_type` calls them.
BEGINNINGS = {
    "image/png": b"\x89PNG\r\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/x-portable-pixmap": b"P6",
    "image/bmp": b"BM",
    "image/webp": b"RIFF",
}


def looks_like_a_picture(picture: Picture) -> bool:
    beginning = BEGINNINGS.get(picture.media_type)
    return beginning is not None and picture.data.startswith(beginning) and len(picture.data) > 64


@promise(when=lambda can: can.consoles and can.consoles.screenshot)
def the_screen_of_a_running_vm_can_be_pictured(lab: Lab) -> None:
    consoles = present(lab.driver.consoles)
    with refused(Conflict):
        consoles.screenshot(lab.vm("off").external_id)
    assert looks_like_a_picture(consoles.screenshot(lab.vm("on", start=True).external_id))


@promise(when=lambda can: can.consoles and (can.consoles.send_keys or can.consoles.screenshot))
def keyboard_and_picture_of_a_stranger_are_not_found(lab: Lab) -> None:
    vm, consoles, can = lab.vm(), present(lab.driver.consoles), present(lab.can.consoles)
    lab.driver.machines.delete(vm.external_id)
    if can.send_keys:
        with refused(NotFound):
            consoles.send_keys(vm.external_id, [[28]], hold_ms=1)
    if can.screenshot:
        with refused(NotFound):
            consoles.screenshot(vm.external_id)


@promise(when=lambda can: can.consoles and can.consoles.output)
def what_the_serial_line_said_is_some_of_it_or_a_conflict(lab: Lab) -> None:
    vm, consoles = lab.vm(start=True), present(lab.driver.consoles)
    try:
        said = consoles.output(vm.external_id)
    except Conflict:
        # Providers collect it now and then; a VM that was just made may have none.
        pass
    else:
        assert 0 < len(said) <= MOST_OUTPUT
    lab.driver.machines.delete(vm.external_id)
    with refused(NotFound):
        consoles.output(vm.external_id)
