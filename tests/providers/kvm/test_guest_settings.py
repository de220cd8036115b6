"""One guest that boots, for all that settings and first-boot data promise: seen inside it, over its serial line."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from providers.base import (
    CloudInit,
    ConsoleKind,
    DiskSpec,
    GuestFile,
    GuestUser,
    ImageSpec,
    NicSpec,
    StreamConsole,
    VmRecord,
    VmSpec,
)
from providers.guest.passwords import hash_password
from providers.kvm.testing import Backend
from tests.providers.kvm.test_guest import GUEST, PASSWORD, Terminal

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.xdist_group("kvm")]


class Shell:
    """A shell that is logged in."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.turn = 0

    def run(self, line: str) -> str:
        self.turn += 1
        # The mark is put together by the shell, so that its echo is not taken for the end.
        self.terminal.type(f"{line}; echo MA''RK{self.turn}")
        said = self.terminal.wait_for(f"MARK{self.turn}", 60)
        return said.replace("\r", "").rpartition(f"MA''RK{self.turn}")[2].strip()

    def until(self, line: str, wanted: str, timeout_s: float = 30) -> str:
        """Run it again and again until it says so: a guest takes its time with what is plugged in."""
        end = time.monotonic() + timeout_s
        while (said := self.run(line)) != wanted and time.monotonic() < end:
            time.sleep(0.5)
        return said

    def memory_mib(self) -> int:
        found = re.search(r"(\d+)", self.run("grep MemTotal /proc/meminfo"))
        assert found is not None
        return int(found[1]) // 1024


@pytest.fixture(scope="module")
def guest(backend: Backend) -> Iterator[VmRecord]:
    if not GUEST.exists():
        pytest.skip(f"the guest image {GUEST} is not built")
    driver = backend.driver
    refused = driver.probe().machines.option_refusals
    folder = backend.folder / "shared"
    folder.mkdir(mode=0o755)
    (folder / "hello").write_text("from the host\n")
    shares = {} if "shares" in refused else {"shares": [f"data={folder}"]}
    image = driver.images.add(ImageSpec(name=f"{backend.name}-settings", path=str(GUEST), pool=backend.name))
    vm = driver.machines.create(
        VmSpec(
            name=f"{backend.name}-settings",
            memory_mib=256,
            disks=(DiskSpec(image=image.external_id, size_gib=1),),
            nics=(
                NicSpec(
                    network=backend.network,
                    address="10.213.7.9/24",
                    gateway="10.213.7.1",
                    address6="2001:db8:7::9/64",
                    dns=("10.213.7.53",),
                ),
                NicSpec(network=backend.other_network, address="10.214.7.9/24"),
            ),
            cloud_init=CloudInit(
                hostname="shaped",
                users=(GuestUser(name="ada", password_hash=hash_password(PASSWORD, rounds=5000)),),
                files=(GuestFile(path="/etc/told", content="ü & <b>\n", permissions="0640", owner="root:ada"),),
                commands=("cat /etc/told > /tmp/ran; echo 'a \"b\" $HOME' >> /tmp/ran", "id -un >> /tmp/ran"),
            ),
            options={
                "max_vcpus": 2,
                "max_memory_mib": 384,
                "watchdog": "i6300esb",
                "tpm": "tpm" not in refused,
                **shares,
            },
        )
    )
    yield vm
    driver.machines.delete(vm.external_id)
    driver.images.delete(image.external_id)


@pytest.fixture(scope="module")
def shell(backend: Backend, guest: VmRecord) -> Iterator[Shell]:
    target = backend.driver.consoles.open(guest.external_id, ConsoleKind.SERIAL)
    assert isinstance(target, StreamConsole)
    with target.connect() as line:
        terminal = Terminal(line)
        terminal.wait_for("shaped login:")
        terminal.type("ada")
        terminal.wait_for("Password:")
        terminal.type(PASSWORD)
        terminal.wait_for("$")
        terminal.type("stty cols 1000")
        yield Shell(terminal)


def test_what_the_guest_was_told_has_happened(shell: Shell) -> None:
    shell.until("tail -n 1 /tmp/ran", "root", 60)
    assert shell.run("cat /tmp/ran").splitlines() == ["ü & <b>", 'a "b" $HOME', "root"]
    assert shell.run("stat -c '%a %U %G' /etc/told") == "640 root ada"
    addresses = shell.run("ip -o addr")
    for address in ("10.213.7.9/24", "2001:db8:7::9/64", "10.214.7.9/24"):
        assert address in addresses
    assert "default via 10.213.7.1" in shell.run("ip route")
    assert "10.213.7.53" in shell.run("cat /etc/resolv.conf")


def test_a_running_guest_gets_and_gives_back_what_it_can(backend: Backend, guest: VmRecord, shell: Shell) -> None:
    reshape = backend.driver.reshape
    assert shell.run("nproc") == "1"
    grown = reshape.set_vcpus(guest.external_id, 2)
    assert (grown.vcpus, grown.pending) == (2, ())
    assert shell.until("nproc", "2") == "2"
    before = shell.memory_mib()
    more = reshape.set_memory(guest.external_id, 352)
    assert (more.memory_mib, more.pending) == (352, ())
    assert shell.memory_mib() - before in range(80, 110)
    less = reshape.set_memory(guest.external_id, 192)
    assert (less.memory_mib, less.pending) == (192, ())
    assert shell.memory_mib() < before


def test_the_guest_sees_its_watchdog(shell: Shell) -> None:
    assert "PCI_ID=8086:25AB" in shell.run("cat /sys/bus/pci/devices/*/uevent | grep PCI_ID")


def test_the_guest_mounts_the_hosts_folder(backend: Backend, shell: Shell) -> None:
    if "shares" in backend.driver.probe().machines.option_refusals:
        pytest.skip("The host has no virtiofsd.")
    assert shell.run("sudo mount -t virtiofs data /mnt && cat /mnt/hello") == "from the host"
    shell.run("echo 'from the guest' | sudo tee /mnt/answer")
    assert (backend.folder / "shared" / "answer").read_text() == "from the guest\n"
