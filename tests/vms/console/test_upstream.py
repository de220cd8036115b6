"""Screens that a vendor carries in a websocket: reached with what the driver brought, checked, and read as a stream."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from kvweb.accounts.models import User
from providers.base import ConsoleKind, ProviderError, TlsConsole, WebSocketConsole
from tests.providers.kvm.remote_host import Authority
from tests.vms.console.browser import Browser, frame
from tests.vms.console.conftest import Stage
from tests.vms.console.machines import Directory
from tests.vms.console.vendor import SERVER_INIT, Vendor
from vms.console.closing import Code
from vms.console.framing import PING, TEXT, Gone, unmasked
from vms.console.targets import reach
from vms.console.upstream import Upstream, connected
from vms.models import VirtualMachine

KEY = struct.pack(">BBHI", 4, 1, 0, 0x41)
MakeVendor = Callable[..., Vendor]


@pytest.fixture
def make_vendor() -> Iterator[MakeVendor]:
    vendors: list[Vendor] = []

    def make(**told: Any) -> Vendor:
        vendors.append(Vendor(**told))
        return vendors[-1]

    yield make
    for vendor in vendors:
        vendor.close()


def see(browser: Browser) -> None:
    """Open the screen as noVNC would, as far as its size and name."""
    assert browser.read(12) == b"RFB 003.008\n"
    browser.send(b"RFB 003.008\n")
    assert browser.read(2) == b"\x01\x01"
    browser.send(b"\x01")
    assert browser.read(4) == bytes(4)
    browser.send(b"\x01")
    assert browser.read(len(SERVER_INIT)) == SERVER_INIT


#: What the vendor wants to see, what the driver brings, and which sub-protocol is chosen of it.
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a ticket in the address and a password (Hetzner)": ({"password": "s3cret"}, {"password": "s3cret"}),
    "a bearer header (IBM)": (
        {"wanted": {"authorization": "Bearer abc"}},
        {"headers": {"Authorization": "Bearer abc"}},
    ),
    "a sub-protocol of its own (KubeVirt)": (
        {"wanted": {"authorization": "Bearer abc"}, "chosen": "plain.kubevirt.io"},
        {"headers": {"Authorization": "Bearer abc"}, "subprotocols": ("plain.kubevirt.io",)},
    ),
    "a bearer among the sub-protocols (Kubernetes)": (
        {"chosen": "plain.kubevirt.io"},
        {"subprotocols": ("base64url.bearer.authorization.k8s.io.YWJj", "plain.kubevirt.io")},
    ),
    "a cookie, a ticket and its password (Proxmox)": (
        {"wanted": {"cookie": "PVEAuthCookie=PVE:root"}, "chosen": "binary", "password": "PVEVNC:6"},
        {"headers": {"Cookie": "PVEAuthCookie=PVE:root"}, "subprotocols": ("binary",), "password": "PVEVNC:6"},
    ),
    "an origin (OpenStack)": (
        {"wanted": {"origin": "https://cloud.test"}, "chosen": "binary"},
        {"headers": {"Origin": "https://cloud.test"}, "subprotocols": ("binary", "base64")},
    ),
    "no encryption, in a lab": ({"tls": False}, {}),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("vendors", "ours"), WAYS.values(), ids=WAYS)
def test_a_screen_over_a_vendors_websocket(
    vendors: dict[str, Any], ours: dict[str, Any], make_vendor: MakeVendor, stage: Stage,
    running_vm: VirtualMachine, alice: User, directory: Directory,
) -> None:  # fmt: skip
    vendor = make_vendor(**vendors)
    directory.answers[running_vm.external_id] = vendor.console(**ours)
    browser = stage.open(running_vm, alice, ConsoleKind.VNC).wait_open()
    see(browser)
    browser.send(KEY)
    assert browser.read(len(KEY)) == KEY
    assert bytes(vendor.got) == KEY
    for told in vendor.asked:
        assert "kvweb_session" not in str(told)


@pytest.mark.django_db(transaction=True)
def test_a_watcher_does_not_type_there_either(
    make_vendor: MakeVendor, stage: Stage, running_vm: VirtualMachine, alice: User, directory: Directory
) -> None:
    vendor, update = make_vendor(), struct.pack(">BBHHHH", 3, 1, 0, 0, 640, 480)
    directory.answers[running_vm.external_id] = vendor.console()
    browser = stage.open(running_vm, alice, ConsoleKind.VNC, view_only=True).wait_open()
    see(browser)
    browser.send(KEY + update)
    assert browser.read(len(update)) == update
    assert bytes(vendor.got) == update


@pytest.mark.django_db(transaction=True)
def test_when_the_vendor_ends_the_console_it_is_said(
    make_vendor: MakeVendor, stage: Stage, running_vm: VirtualMachine, alice: User, directory: Directory
) -> None:
    vendor = make_vendor()
    directory.answers[running_vm.external_id] = vendor.console()
    browser = stage.open(running_vm, alice, ConsoleKind.VNC).wait_open()
    see(browser)
    vendor.close()
    assert browser.wait_closed() == Code.ENDED


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no credentials": ({"wanted": {"authorization": "Bearer abc"}}, {}, "refused the portal"),
    "a certificate nobody vouches for": ({}, {"trusted": False}, "not trusted"),
    "a page instead": ({"answers": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, {}, "did not open"),
    "a redirection": (
        {"answers": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"},
        {},
        "did not open",
    ),
    "no websocket": ({"answers": b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n"}, {}, "no websocket"),
    "another protocol": ({"answers": b"SSH-2.0-OpenSSH\r\n\r\n"}, {}, "HTTP"),
    "an answer without end": ({"answers": b"HTTP/1.1 101 Go\r\nX: " + b"x" * 40_000}, {}, "HTTP"),
    "silence": ({"answers": b"HTTP/1.1 101 Go\r\n"}, {}, "closed the connection"),
}


@pytest.mark.parametrize(("vendors", "ours", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_console_is_refused(
    vendors: dict[str, Any], ours: dict[str, Any], said: str, make_vendor: MakeVendor
) -> None:
    vendor = make_vendor(**vendors)
    with pytest.raises(ProviderError) as error:
        connected(vendor.console(**ours), 3.0)
    assert said in error.value.reason


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ProviderError):
        connected(WebSocketConsole(url="file:///etc/passwd"), 3.0)


def test_a_port_with_tls(make_vendor: MakeVendor, settings: Any) -> None:
    """Whatever is behind it: here a service that answers in HTTP."""
    settings.CONSOLE_PROVIDER_S = 3.0
    vendor = make_vendor(answers=b"hello")
    context = ssl.create_default_context(cadata=vendor.ca)
    target = reach(TlsConsole(host="127.0.0.1", port=vendor.port, tls=context))
    machine = getattr(target, "machine", None)
    assert machine is not None
    with closing(machine):
        machine.push(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        machine.sock.settimeout(3)
        assert machine.sock.recv(100) == b"hello"
    stranger = Authority()
    with pytest.raises(ProviderError):
        reach(
            TlsConsole(host="127.0.0.1", port=vendor.port, tls=ssl.create_default_context(cadata=stranger.certificate))
        )


# -- frames ------------------------------------------------------------------------------------------------------------


def received(portions: list[bytes]) -> bytes:
    """What an `Upstream` gives of the vendor's bytes that come in these portions."""
    ours, theirs = socket.socketpair()
    with closing(theirs):
        machine, data = Upstream(ours), b""
        with closing(machine):
            for portion in portions:
                theirs.sendall(portion)
                data += b"".join(bytes(part) for part in machine.receive())
        return data


MESSAGES = (
    frame(b"RFB 003.008\n", masked=False)
    + frame(b"", PING, masked=False)
    + frame(b"x" * 200, masked=False, fin=False)
    + frame(b"ping", PING, masked=False)
    + frame(b"y" * 70_000, 0, masked=False)
    + frame(b"text is bytes too", TEXT, masked=False)
)
CARRIED = b"RFB 003.008\n" + b"x" * 200 + b"y" * 70_000 + b"text is bytes too"


@pytest.mark.parametrize("size", [1_000_000, 4096, 1000, 37, 7])
def test_frames_may_be_cut_anywhere(size: int) -> None:
    portions = [MESSAGES[start : start + size] for start in range(0, len(MESSAGES), size)]
    assert received(portions) == CARRIED


def test_what_came_with_the_handshakes_answer_is_given_first() -> None:
    ours, theirs = socket.socketpair()
    with closing(theirs), closing(Upstream(ours, frame(b"early", masked=False))) as machine:
        assert machine.has_more
        assert b"".join(bytes(part) for part in machine.receive()) == b"early"
        assert not machine.has_more


@pytest.mark.parametrize(
    "bad",
    [
        frame(b"masked"),
        frame(bytes(126), PING, masked=False),
        b"\xc2\x00",
        frame(b"x", 0x3, masked=False),
        frame(struct.pack(">H", 1000), 0x8, masked=False),
    ],
    ids=["masked", "long ping", "reserved bits", "unknown", "close"],
)
def test_bad_frames_and_the_close_frame_end_it(bad: bytes) -> None:
    with pytest.raises(Gone):
        received([bad, b""])


def test_last_words_before_the_close_frame_are_kept() -> None:
    ours, theirs = socket.socketpair()
    with closing(theirs), closing(Upstream(ours)) as machine:
        theirs.sendall(frame(b"bye", masked=False) + frame(b"\x03\xe8", 0x8, masked=False))
        assert [bytes(part) for part in machine.receive()] == [b"bye"]
        assert machine.has_more
        with pytest.raises(Gone):
            machine.receive()


@pytest.mark.parametrize("length", [0, 1, 3, 4, 63, 64, 65, 127, 1400, 65_537])
def test_covering_twice_uncovers(length: int) -> None:
    data, mask = bytes(range(256)) * (length // 256 + 1), b"\x01\x80\xff\x00"
    covered = unmasked(data[:length], mask)
    assert covered == bytes(byte ^ mask[place % 4] for place, byte in enumerate(data[:length]))
    assert unmasked(memoryview(covered), mask) == data[:length]
