"""The simulated guests really talk: a screen over RFB, a serial line with a login, a shell that acts on its VM."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from providers.base import (
    CloudInit,
    Conflict,
    ConsoleKind,
    DiskSpec,
    GuestUser,
    PowerState,
    StreamConsole,
    VmRecord,
)
from providers.fake.console.passwords import fits, sha512_crypt
from providers.fake.console.rfb import encrypted
from providers.fake.console.terminal import Terminal
from providers.fake.driver import FakeDriver
from tests.providers.fake.props import Viewer, cloud, make, read_until

#: "Hello world!", made by another implementation.
HASH = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"


@pytest.fixture
def driver() -> Iterator[FakeDriver]:
    with cloud() as opened:
        yield opened


def target(driver: FakeDriver, vm: VmRecord, kind: ConsoleKind = ConsoleKind.SERIAL) -> StreamConsole:
    assert driver.consoles is not None
    found = driver.consoles.open(vm.external_id, kind)
    assert isinstance(found, StreamConsole)
    return found


def until(look: Callable[[], bool], timeout_s: float = 15.0) -> None:
    end = time.monotonic() + timeout_s
    while not look():
        assert time.monotonic() < end
        time.sleep(0.02)


# -- serial -------------------------------------------------------------------------------------------------------


def test_a_line_shows_the_boot_and_asks_who_is_there(driver: FakeDriver) -> None:
    with closing(target(driver, make(driver)).connect()) as line:
        text = read_until(line, "box login: ")
    assert "Linux version" in text
    assert text.index("Linux version") < text.index("login")
    assert "demo" in text


def test_the_shell_knows_its_vm(driver: FakeDriver) -> None:
    vm = make(driver, cloud_init=CloudInit(hostname="front"))
    with closing(target(driver, vm).connect()) as line:
        read_until(line, "front login: ")
        line.sendall(b"demo\r")
        read_until(line, "Password: ")
        line.sendall(b"demo\r")
        read_until(line, "demo@front:~$ ")
        for command, answer in (
            ("hostname", "front\r\n"),
            ("uname -a", "Linux front"),
            ("ip addr", "inet 192.168.122."),
            ("uptime", "seconds"),
            ("help", "poweroff"),
            ("nonsense", "command not found"),
            ("echo a b", "a b\r\n"),
        ):
            line.sendall(f"{command}\r".encode())
            assert answer in read_until(line, "~$ ").partition("\r\n")[2]
        line.sendall(b"exit\r")
        read_until(line, "front login: ")


def test_only_the_given_password_opens_the_door(driver: FakeDriver) -> None:
    users = (GuestUser(name="alice", password_hash=HASH),)
    with closing(target(driver, make(driver, cloud_init=CloudInit(users=users))).connect()) as line:
        read_until(line, "login: ")
        for user, password in (("alice", "wrong"), ("demo", "demo"), ("alice", "")):
            line.sendall(f"{user}\r{password}\r".encode())
            assert "incorrect" in read_until(line, "incorrect")
        line.sendall(b"alice\rHello world!\r")
        shown = read_until(line, "alice@")
    assert "Hello world!" not in shown


def test_the_default_user_has_the_images_name(driver: FakeDriver) -> None:
    vm = make(driver, cloud_init=CloudInit(default_user_password_hash=HASH))
    with closing(target(driver, vm).connect()) as line:
        read_until(line, "login: ")
        line.sendall(b"debian\rHello world!\r")
        read_until(line, "debian@box")


def test_typing_can_be_taken_back(driver: FakeDriver) -> None:
    with closing(target(driver, make(driver)).connect()) as line:
        read_until(line, "login: ")
        line.sendall(b"demx\x7fo\rdemo\r")
        read_until(line, "~$ ")
        line.sendall(b"never run\x03")
        assert "^C" in read_until(line, "~$ ")
        line.sendall(b"\x04")
        read_until(line, "logout")


def test_poweroff_stops_the_vm_and_ends_the_line(driver: FakeDriver) -> None:
    vm = make(driver)
    with closing(target(driver, vm).connect()) as line:
        read_until(line, "login: ")
        line.sendall(b"demo\rdemo\rpoweroff\r")
        read_until(line, "Powering off")
        line.settimeout(15)
        while line.recv(4096):
            pass
    assert driver.machines.get(vm.external_id).power is PowerState.STOPPED


def test_reboot_shows_the_boot_again_on_the_same_line(driver: FakeDriver) -> None:
    with closing(target(driver, make(driver)).connect()) as line:
        read_until(line, "login: ")
        line.sendall(b"demo\rdemo\rreboot\r")
        assert "Linux version" in read_until(line, "login: ")


def test_a_line_ends_when_the_vm_is_stopped_or_deleted(driver: FakeDriver) -> None:
    vm = make(driver)
    assert driver.power is not None
    for end in (lambda: driver.power.stop(vm.external_id, force=True), lambda: driver.machines.delete(vm.external_id)):
        driver.power.start(vm.external_id)
        with closing(target(driver, vm).connect()) as line:
            read_until(line, "login: ")
            end()
            line.settimeout(15)
            assert line.recv(4096) == b""


def test_a_line_does_not_outlive_a_quick_stop_and_start(driver: FakeDriver) -> None:
    vm = make(driver)
    assert driver.power is not None
    before = target(driver, vm)
    with closing(before.connect()) as line:
        read_until(line, "login: ")
        driver.power.stop(vm.external_id, force=True)
        driver.power.start(vm.external_id)
        line.settimeout(15)
        assert line.recv(4096) == b""
    assert target(driver, vm).endpoint != before.endpoint


def test_connecting_late_to_a_stopped_vm_is_a_conflict(driver: FakeDriver) -> None:
    vm = make(driver)
    assert driver.power is not None
    found = target(driver, vm)
    driver.power.stop(vm.external_id, force=True)
    with pytest.raises(Conflict):
        found.connect()


def test_an_empty_disk_does_not_boot(driver: FakeDriver) -> None:
    vm = make(driver, disks=(DiskSpec(size_gib=1),))
    with closing(target(driver, vm).connect()) as line:
        read_until(line, "No bootable device.")
    assert driver.machines.get(vm.external_id).addresses == ()


def test_the_boot_takes_its_time() -> None:
    with cloud(start_s=30) as driver:
        begin = time.time()
        now = begin
        driver.cloud.store.clock = lambda: now
        vm = make(driver)
        with closing(target(driver, vm).connect()) as line:
            now = begin + 16
            assert "login" not in read_until(line, "smp")
            now = begin + 31
            read_until(line, "login: ")


def test_a_console_stays_when_the_driver_that_opened_it_is_closed(tmp_path: object) -> None:
    with cloud(path=f"{tmp_path}/cloud") as driver:
        line = target(driver, make(driver)).connect()
    with closing(line):
        read_until(line, "login: ")


# -- the screen ---------------------------------------------------------------------------------------------------


def test_the_screen_shakes_hands_and_shows_its_name_and_text(driver: FakeDriver) -> None:
    viewer = Viewer(target(driver, make(driver, "front"), ConsoleKind.VNC))
    with closing(viewer.sock):
        assert (viewer.security, viewer.width, viewer.height, viewer.name) == (1, 640, 400, "front")
        screen = viewer.look()
        assert sorted(screen) == list(range(0, 400, 16))
        assert len(set(screen[0])) > 2, "The first row shows nothing."


def test_only_the_rows_that_changed_are_sent(driver: FakeDriver) -> None:
    viewer = Viewer(target(driver, make(driver), ConsoleKind.VNC))
    with closing(viewer.sock):
        before = viewer.look()
        viewer.type("d")
        after = viewer.look(incremental=True)
        assert len(after) == 1
        ((y, pixels),) = after.items()
        assert before[y] != pixels


def test_what_is_typed_at_the_screen_reaches_the_shell(driver: FakeDriver) -> None:
    vm = make(driver)
    viewer = Viewer(target(driver, vm, ConsoleKind.VNC))
    with closing(viewer.sock):
        viewer.look()
        viewer.type("demo\ndemo\npoweroff\n")
        until(lambda: driver.machines.get(vm.external_id).power is PowerState.STOPPED)
        assert viewer.rest() is not None


def test_ctrl_alt_del_boots_the_guest_again(driver: FakeDriver) -> None:
    vm = make(driver)
    viewer = Viewer(target(driver, vm, ConsoleKind.VNC))
    with closing(viewer.sock):
        viewer.look()
        for keysym in (0xFFE3, 0xFFE9, 0xFFFF):
            viewer.sock.sendall(bytes([4, 1, 0, 0]) + keysym.to_bytes(4, "big"))
        assert viewer.look(incremental=True)
        assert driver.machines.get(vm.external_id).power is PowerState.RUNNING


@pytest.mark.parametrize(
    ("bits", "maxima", "shifts"),
    [(32, (255, 255, 255), (0, 8, 16)), (16, (31, 63, 31), (11, 5, 0)), (8, (7, 7, 3), (5, 2, 0))],
)
def test_the_client_chooses_its_pixels(
    driver: FakeDriver, bits: int, maxima: tuple[int, int, int], shifts: tuple[int, int, int]
) -> None:
    viewer = Viewer(target(driver, make(driver), ConsoleKind.VNC))
    with closing(viewer.sock):
        viewer.use_format(bits, maxima, shifts)
        screen = viewer.look()
        assert {len(pixels) for pixels in screen.values()} == {640 * 16 * bits // 8}


@pytest.mark.parametrize("minor", [3, 7, 8])
def test_old_clients_are_understood(driver: FakeDriver, minor: int) -> None:
    viewer = Viewer(target(driver, make(driver), ConsoleKind.VNC), minor=minor)
    with closing(viewer.sock):
        assert len(viewer.look()) == 25


def test_a_screen_with_a_password_asks_for_it(driver: FakeDriver) -> None:
    vm = make(driver, options={"vnc_password": "s3cret"})
    found = target(driver, vm, ConsoleKind.VNC)
    assert found.password == "s3cret"
    assert "s3cret" not in repr(found)
    good = Viewer(found, answer=lambda challenge: encrypted(challenge, "s3cret"))
    with closing(good.sock):
        assert good.security == 2
        assert len(good.look()) == 25
    bad = Viewer(found, answer=lambda challenge: encrypted(challenge, "other"))
    with closing(bad.sock):
        assert bad.refusal == 1


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"RFB 003.008\n\x07", b"RFB 003.008\n\x01\x01\xfe" * 3])
def test_garbage_ends_the_connection_and_nothing_else(driver: FakeDriver, garbage: bytes) -> None:
    found = target(driver, make(driver), ConsoleKind.VNC)
    with closing(found.connect()) as sock:
        sock.sendall(garbage)
        sock.settimeout(15)
        while sock.recv(4096):
            pass
    assert len(Viewer(found).look()) == 25


def test_a_terminal_wraps_scrolls_and_clears() -> None:
    terminal = Terminal()
    terminal.write("x" * 81)
    assert terminal.rows[1].startswith("x ")
    terminal.write("\n".join(str(number) for number in range(30)))
    assert terminal.text().endswith("\n29")
    assert len(terminal.take_changed()) == 25
    terminal.write("\b9\t.")
    assert terminal.take_changed() == [24]
    terminal.write("\fnew")
    assert terminal.text() == "new"


# -- passwords ----------------------------------------------------------------------------------------------------


def test_hashes_are_those_of_crypt() -> None:
    assert sha512_crypt("Hello world!", "$6$saltstring") == HASH
    assert fits("Hello world!", HASH)
    assert not fits("hello world!", HASH)
    assert not fits("", "!")
    assert not fits("x", "*")
    assert fits("anything", "$y$j9T$not$computed")
    assert not fits("", "$y$j9T$not$computed")
