"""One guest that boots, for all that settings and first-boot data promise: seen inside it, over its serial line."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from guest.disk import ROOT_START
from providers.base import (
    CloudInit,
    Conflict,
    ConsoleKind,
    DiskSpec,
    GuestFile,
    GuestUser,
    ImageSpec,
    NicSpec,
    PowerState,
    StreamConsole,
    VmRecord,
    VmSpec,
)
from providers.guest.passwords import hash_password
from providers.kvm.testing import Backend
from tests.providers.kvm.test_guest import GUEST, PASSWORD, SHUTDOWN, Terminal, told_by_its_agent, until

pytestmark = [pytest.mark.live, pytest.mark.slow]


class Shell:
    """A shell that is logged in."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.turn = 0

    def run(self, line: str) -> str:
        self.turn += 1
        # The mark is put together by the shell, so that its echo is not taken for the end.
        self.terminal.type(f"{line}; echo MA''RK{self.turn}")
        said = self.terminal.wait_for(f"MARK{self.turn}", 100)
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
                "max_memory_mib": 640,
                "memory_slots": 2,
                "watchdog": "i6300esb",
                "tpm": "tpm" not in refused,
                **shares,
            },
        )
    )
    yield vm
    driver.machines.delete(vm.external_id, with_snapshots=True)
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
    less = reshape.set_memory(guest.external_id, 192)
    assert (less.memory_mib, less.pending) == (192, ())
    assert before - shell.memory_mib() in range(50, 80)
    more = reshape.set_memory(guest.external_id, 384)
    assert (more.memory_mib, more.pending) == (384, ())
    # A module of 128 MiB, which the guest brings up by itself, and all that the balloon had taken.
    wanted = range(before + 110, before + 135)
    end = time.monotonic() + 30
    while shell.memory_mib() not in wanted and time.monotonic() < end:
        time.sleep(0.5)
    assert shell.memory_mib() in wanted


def test_the_guest_sees_its_watchdog(shell: Shell) -> None:
    assert "PCI_ID=8086:25AB" in shell.run("cat /sys/bus/pci/devices/*/uevent | grep PCI_ID")


def test_the_guest_mounts_the_hosts_folder(backend: Backend, shell: Shell) -> None:
    if "shares" in backend.driver.probe().machines.option_refusals:
        pytest.skip("The host has no virtiofsd.")
    assert shell.run("sudo mount -t virtiofs data /mnt && cat /mnt/hello") == "from the host"
    shell.run("echo 'from the guest' | sudo tee /mnt/answer")
    assert (backend.folder / "shared" / "answer").read_text() == "from the guest\n"


def test_the_agent_tells_addresses_that_no_lease_tells(backend: Backend, guest: VmRecord, shell: Shell) -> None:
    """Both networks have no DHCP here, and the host has no address in them, so nobody else could know."""
    del shell
    machines = backend.driver.machines
    until(lambda: {nic.addresses_source for nic in machines.get(guest.external_id).nics or ()} == {"agent"})
    record = machines.get(guest.external_id)
    assert [nic.addresses for nic in record.nics or ()] == [("10.213.7.9", "2001:db8:7::9"), ("10.214.7.9",)]


def test_the_agent_tells_of_the_guests_file_systems(backend: Backend, guest: VmRecord, shell: Shell) -> None:
    told = told_by_its_agent(backend, guest.external_id)
    roots = {each.mount_point: each for each in told.file_systems or ()}
    root = roots["/"]
    # The watchdog's old bus makes the guest count buses anew, so that nobody can know the disk by its place.
    assert (root.type, root.disks) == ("ext4", ())
    said = shell.run("df -k / | tail -n 1").split()
    assert root.total_bytes is not None
    assert root.used_bytes is not None
    # df leaves out what is kept for root, and the guest writes its logs meanwhile.
    assert root.total_bytes / 1024 == pytest.approx(int(said[1]), rel=0.1)
    assert root.used_bytes / 1024 == pytest.approx(int(said[2]), rel=0.1)
    assert told.hostname == "shaped"
    assert told.os == shell.run(". /etc/os-release; echo $PRETTY_NAME")


def _needs_recovery(folder: Path, layer: str) -> bool:
    """Whether the root in a disk's file is as a pulled plug leaves it: ext4 says so in its superblock itself."""
    block = folder / "superblock"
    command = ["qemu-img", "dd", "-U", "-f", "qcow2", "-O", "raw", "bs=1024", f"skip={ROOT_START // 1024 + 1}"]
    count = ROOT_START // 1024 + 2
    subprocess.run([*command, f"count={count}", f"if={layer}", f"of={block}"], check=True, timeout=30)
    found = block.read_bytes()
    assert found[0x38:0x3A] == b"\x53\xef", "it is no ext4"
    return bool(found[0x60] & 0x4)


def test_the_agent_freezes_the_file_systems_for_a_snapshot(
    backend: Backend, guest: VmRecord, shell: Shell, tmp_path: Path
) -> None:
    shell.run("echo written just before > /home/ada/note")
    before = (guest.disks or ())[0].volume
    backend.driver.snapshots.create(guest.external_id, "calm", external=True)
    now = (backend.driver.machines.get(guest.external_id).disks or ())[0].volume
    assert now != before
    assert not _needs_recovery(tmp_path, before)
    assert _needs_recovery(tmp_path, now), "it runs on, and its file system with it"
    assert shell.run("echo thawed > /home/ada/note; cat /home/ada/note") == "thawed"
    backend.driver.snapshots.delete(guest.external_id, "calm")


def test_a_snapshot_is_taken_all_the_same_while_the_agent_is_deaf(
    backend: Backend, guest: VmRecord, shell: Shell, caplog: pytest.LogCaptureFixture
) -> None:
    """Its channel is open, so libvirt takes it for there; nobody reads it."""
    before = (backend.driver.machines.get(guest.external_id).disks or ())[0].volume
    shell.run("sudo killall -STOP qemu-ga")
    try:
        backend.driver.snapshots.create(guest.external_id, "hasty", external=True)
        assert (backend.driver.machines.get(guest.external_id).disks or ())[0].volume != before
        assert "were not frozen" in caplog.text
        assert shell.run("echo running") == "running"
        with pytest.raises(Conflict, match="No guest agent answers"):
            backend.driver.machines.guest(guest.external_id)
    finally:
        shell.run("sudo killall -CONT qemu-ga")
    backend.driver.snapshots.delete(guest.external_id, "hasty")
    told_by_its_agent(backend, guest.external_id)


def test_the_agent_shuts_down_what_hears_no_power_button(backend: Backend, guest: VmRecord, shell: Shell) -> None:
    shell.run("sudo killall acpid")
    assert backend.driver.power.stop(guest.external_id, timeout_s=90).power is PowerState.STOPPED
    assert backend.raw.lookupByUUIDString(guest.external_id).state()[1] == SHUTDOWN
