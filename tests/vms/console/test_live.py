"""A real guest at a libvirt that is reached over ssh: two people at its screen, a hostile watcher, and one serial line
for everybody, all of it through that connection."""

from __future__ import annotations

import configparser
import time
from collections.abc import Iterator

import pytest
from lxml import etree
from pydantic import SecretStr

from kvweb.accounts.models import User
from providers.base import CloudInit, ConsoleKind, DiskSpec, GuestUser, ImageSpec, NicSpec, VmSpec
from providers.guest.passwords import hash_password
from providers.kvm.config import KvmConfig
from providers.kvm.driver import KvmDriver
from providers.kvm.testing import Backend
from providers.testing import Unavailable
from providers.testing.spice import OK, PERMISSION_DENIED, SpiceViewer, knock
from tests.conftest import MakeVm
from tests.providers.kvm.remote_host import SshServer
from tests.vms.console.browser import Browser
from tests.vms.console.conftest import Stage
from tests.vms.console.screens import Viewer, key
from tools.trial.portal import GUEST
from vms.console import grants, serial_log, targets
from vms.console.closing import Code
from vms.models import ConsoleSession, VirtualMachine

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]

PASSWORD = "quiet-horse"
BOOT_S, SOON_S = 150.0, 40.0
RETURN = 0xFF0D


@pytest.fixture
def backend() -> Iterator[Backend]:
    if not GUEST.exists():
        pytest.skip(f"the guest image {GUEST} is not built")
    try:
        room = Backend()
    except Unavailable as exc:
        pytest.skip(str(exc))
    yield room
    room.sweep()
    room.close()


@pytest.fixture
def over_ssh(backend: Backend) -> Iterator[KvmConfig]:
    """The same libvirt as another computer would reach it."""
    server = SshServer()
    secrets = {"ssh_key": SecretStr(server.client_key), "known_hosts": SecretStr(server.known_hosts)}
    yield backend.config.model_copy(update={"uri": server.uri, "open_timeout_s": 30, **secrets})
    server.remove()


@pytest.fixture
def guest(
    backend: Backend, over_ssh: KvmConfig, make_vm: MakeVm, monkeypatch: pytest.MonkeyPatch
) -> Iterator[VirtualMachine]:
    monkeypatch.setattr(targets, "connect", lambda provider: KvmDriver(over_ssh))
    image = backend.driver.images.add(ImageSpec(name=f"{backend.name}-guest", path=str(GUEST), pool=backend.name))
    spec = VmSpec(
        name=f"{backend.name}-shared",
        memory_mib=256,
        disks=(DiskSpec(image=image.external_id, size_gib=1),),
        nics=(NicSpec(network=backend.network),),
        cloud_init=CloudInit(
            hostname="shared",
            users=(GuestUser(name="ada", password_hash=hash_password(PASSWORD, rounds=5000)),),
        ),
        start=True,
        options={"graphics": "both"},
    )
    with KvmDriver(over_ssh) as driver:
        record = driver.machines.create(spec)
    yield make_vm(external_id=record.external_id, name=record.name, power="running")
    backend.driver.machines.delete(record.external_id)
    backend.driver.images.delete(image.external_id)


class Line:
    """Somebody at the serial line through the portal."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser.wait_open()
        browser.sock.settimeout(1)
        self.seen = b""

    def wait_for(self, text: bytes, within_s: float = SOON_S) -> bytes:
        """Read until this was said; what was said before it."""
        end = time.monotonic() + within_s
        while text not in self.seen:
            assert time.monotonic() < end, f"{text!r} was not said: {self.seen[-600:]!r}"
            try:
                self.seen += self.browser.read_some() or b""
            except TimeoutError:
                continue
        before, _, self.seen = self.seen.partition(text)
        return before

    def type(self, text: str) -> None:
        self.browser.send(text.encode() + b"\r")

    def log_in(self) -> None:
        self.wait_for(b"shared login:", BOOT_S)
        self.type("ada")
        self.wait_for(b"Password:")
        self.type(PASSWORD)
        self.wait_for(b"$ ")


def press(viewer: Viewer, text: str) -> None:
    """As raw RFB key events, one after the other, whatever the service thinks of it."""
    for symbol in text:
        down, up = key(symbol), key(symbol, down=False)
        if symbol == "\r":
            down, up = (part[:4] + RETURN.to_bytes(4, "big") for part in (down, up))
        viewer.browser.send(down)
        time.sleep(0.02)
        viewer.browser.send(up)
        time.sleep(0.04)


def test_a_screen_and_a_line_are_shared(
    stage: Stage, guest: VirtualMachine, alice: User, bob: User, backend: Backend
) -> None:
    listening = etree.fromstring(backend.raw.lookupByUUIDString(guest.external_id).XMLDesc()).findall(".//listen")
    assert {listen.get("address") for listen in listening} == {"127.0.0.1"}
    line = Line(stage.open(guest, alice))
    # libvirt lets one in; the second is at the same connection, and sees what was said before.
    line.log_in()
    other = Line(stage.open(guest, bob))
    other.wait_for(b"shared login:")
    watching = Line(stage.open(guest, bob, view_only=True))
    watching.type("touch /tmp/by-the-line")
    line.type("mkdir /tmp/by; echo se''en")
    for each in (line, other, watching):
        each.wait_for(b"seen")

    first = Viewer(stage.open(guest, alice, ConsoleKind.VNC))
    hostile = Viewer(stage.open(guest, bob, ConsoleKind.VNC))
    press(first, "ada\r")
    time.sleep(3)
    press(first, f"{PASSWORD}\r")
    # A login under emulation takes a moment, and says nothing on the other line.
    time.sleep(4)
    press(hostile, "touch /tmp/by/hostile\r")
    press(first, "touch /tmp/by/first\r")
    files(line, b"FIRST")

    first.say(type="give", to=hostile.id)
    hostile.wait_people(lambda told: told["drives"])
    press(first, "touch /tmp/by/again\r")
    press(hostile, "touch /tmp/by/second\r")
    files(line, b"FIRST SECOND")
    line.type("echo by-''line: /tmp/by-*")
    line.wait_for(b"by-line: /tmp/by-*")

    see_and_send_away_a_viewer(stage, guest, bob)

    deadline = time.monotonic() + 5
    while not any("shared login:" in each.text for each in serial_log.lines(guest.uuid)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert next(serial_log.lines(guest.uuid)).mark == serial_log.STARTED


def see_and_send_away_a_viewer(stage: Stage, guest: VirtualMachine, user: User) -> None:
    """A SPICE client of its own, straight at QEMU, over which the portal has a word all the same."""
    browser = stage.open(guest, user, ConsoleKind.SPICE)
    assert browser.wait_closed() == Code.NOT_CARRIED
    file = configparser.RawConfigParser()
    file.read_string(browser.said[-1]["text"])
    ticket = file["virt-viewer"]
    viewer = SpiceViewer(ticket["host"], int(ticket["port"]), ticket["password"])
    try:
        assert viewer.answer == OK
        sessions = ConsoleSession.objects.filter(vm=guest, kind="spice", user=user)
        end = time.monotonic() + 10
        while not sessions.filter(ended_at=None, address="127.0.0.1").exists():
            assert time.monotonic() < end, "Nobody says who has a viewer open."
            time.sleep(0.1)
        assert viewer.is_connected()
        # Nobody tells the service of it.
        grants.revoke(grant=sessions.get().grant)
        end = time.monotonic() + 5
        while viewer.is_connected():
            assert time.monotonic() < end, "The viewer outlived its right by five seconds."
            time.sleep(0.1)
    finally:
        viewer.close()
    assert knock(ticket["host"], int(ticket["port"]), ticket["password"]) == PERMISSION_DENIED


def files(line: Line, wanted: bytes) -> None:
    """Ask the guest until it says so; keys of a screen take their time under emulation."""
    told = b""
    end = time.monotonic() + SOON_S
    while time.monotonic() < end:
        line.seen = b""
        line.type("echo I$(echo _)S $(ls /tmp/by | tr a-z A-Z) END")
        line.wait_for(b"I_S ")
        told = line.wait_for(b" END")
        if told == wanted:
            return
        time.sleep(1)
    raise AssertionError(f"the guest has {told!r}")
