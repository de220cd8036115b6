"""A real guest under emulation: it boots, reads its seed, gets an address, talks, and goes when it is asked to."""

from __future__ import annotations

import codecs
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from providers.base import (
    CloudInit,
    Conflict,
    ConsoleKind,
    DiskSpec,
    GuestFile,
    GuestRecord,
    GuestUser,
    ImageSpec,
    NicSpec,
    PowerState,
    StreamConsole,
    VmRecord,
    VmSample,
    VmSpec,
)
from providers.guest.passwords import hash_password
from providers.kvm.testing import Backend

pytestmark = [pytest.mark.live, pytest.mark.slow]

GUEST = Path(os.environ.get("KVWEB_GUEST_IMAGE", Path(__file__).parents[3] / "var" / "guest" / "kvweb-guest.qcow2"))
PASSWORD = "correct horse"


class Terminal:
    """Somebody at the serial line."""

    def __init__(self, line: socket.socket) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._line = line
        self.seen = ""

    def wait_for(self, text: str, timeout_s: float = 180.0) -> str:
        """Read until the text was said since the last that was waited for; returns what was said between."""
        end = time.monotonic() + timeout_s
        while text not in self.seen:
            assert time.monotonic() < end, f"“{text}” was not said; the end is {self.seen[-800:]!r}"
            self._line.settimeout(1)
            try:
                piece = self._line.recv(65536)
            except TimeoutError:
                continue
            assert piece, f"the line ended before “{text}”: {self.seen[-800:]!r}"
            # Bytes come as they please, also half a letter at a time.
            self.seen += self._decoder.decode(piece)
        before, _, self.seen = self.seen.partition(text)
        return before

    def type(self, text: str) -> None:
        self._line.sendall(text.encode() + b"\r")


@pytest.fixture(scope="module")
def guest(backend: Backend) -> Iterator[VmRecord]:
    if not GUEST.exists():
        pytest.skip(f"the guest image {GUEST} is not built")
    if not backend.raw.networkLookupByName("default").isActive():
        pytest.skip("libvirt's default network is switched off")
    image = backend.driver.images.add(ImageSpec(name=f"{backend.name}-guest", path=str(GUEST), pool=backend.name))
    vm = backend.driver.machines.create(
        VmSpec(
            name=f"{backend.name}-boots",
            memory_mib=256,
            disks=(DiskSpec(image=image.external_id, size_gib=1),),
            nics=(NicSpec(network="default"),),
            cloud_init=CloudInit(
                hostname="told-so",
                users=(GuestUser(name="ada", password_hash=hash_password(PASSWORD, rounds=5000)),),
                files=(GuestFile(path="/etc/told", content="ü & <b> 'x' \"y\"\n"),),
            ),
            start=False,
        )
    )
    # A second, empty drive: one medium comes and goes before anybody could read it.
    backend.driver.disks.set_iso(vm.external_id, backend.iso)
    backend.driver.disks.set_iso(vm.external_id, None)
    backend.driver.power.start(vm.external_id)
    yield vm
    backend.driver.machines.delete(vm.external_id)
    backend.driver.images.delete(image.external_id)


@pytest.fixture(scope="module")
def terminal(backend: Backend, guest: VmRecord) -> Iterator[Terminal]:
    target = backend.driver.consoles.open(guest.external_id, ConsoleKind.SERIAL)
    assert isinstance(target, StreamConsole)
    with target.connect() as line:
        yield Terminal(line)


def until(look: Callable[[], bool], timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not look():
        assert time.monotonic() < end
        time.sleep(0.25)


def test_it_boots_and_its_user_logs_in_with_the_password(terminal: Terminal) -> None:
    terminal.wait_for("told-so login:")
    terminal.type("ada")
    terminal.wait_for("Password:")
    terminal.type(PASSWORD)
    terminal.wait_for("$")
    terminal.type("id -un; hostname; cat /etc/told; echo en''d")
    terminal.wait_for("ada\r\ntold-so\r\nü & <b> 'x' \"y\"")
    terminal.wait_for("end")


def test_its_address_is_known_to_get_and_to_list(backend: Backend, guest: VmRecord, terminal: Terminal) -> None:
    del terminal
    until(lambda: bool(backend.driver.machines.get(guest.external_id).addresses))
    record = backend.driver.machines.get(guest.external_id)
    listed = next(vm for vm in backend.driver.machines.list() if vm.external_id == guest.external_id)
    assert record.nics is not None
    assert listed.nics is not None
    assert record.nics[0].addresses_source in {"agent", "lease", "arp"}
    assert listed.nics[0].addresses_source == "lease"
    assert set(listed.addresses) <= set(record.addresses)


def _measured(backend: Backend, external_id: str) -> VmSample:
    return next(each for each in backend.driver.metrics.sample() if each.external_id == external_id)


def told_by_its_agent(backend: Backend, external_id: str, timeout_s: float = 60) -> GuestRecord:
    """As soon as it answers."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            return backend.driver.machines.guest(external_id)
        except Conflict:
            assert time.monotonic() < end
            time.sleep(0.25)


def test_its_agent_tells_in_which_disk_a_file_system_lies(
    backend: Backend, guest: VmRecord, terminal: Terminal
) -> None:
    del terminal
    told = told_by_its_agent(backend, guest.external_id)
    assert [(each.mount_point, each.type, each.disks) for each in told.file_systems or ()] == [("/", "ext4", ("vda",))]


def test_what_it_uses_is_measured(backend: Backend, guest: VmRecord, terminal: Terminal) -> None:
    """Beside the guest's own words about its memory, and libvirt's own tool about the rest."""
    until(lambda: _measured(backend, guest.external_id).memory_used_mib is not None, timeout_s=120)
    before = _measured(backend, guest.external_id)
    terminal.type("i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; cat /bin/busybox > /tmp/copy; sync; echo do''ne")
    terminal.wait_for("done")
    terminal.type("cat /proc/meminfo; echo to''ld")
    terminal.wait_for("MemAvailable:")
    terminal.wait_for(" kB")
    after = _measured(backend, guest.external_id)
    assert before.cpu_time_ns is not None
    assert after.cpu_time_ns is not None
    busy_s, lasted_s = (after.cpu_time_ns - before.cpu_time_ns) / 1e9, (after.at - before.at).total_seconds()
    # One processor was busy, and the emulator's threads a little; how much of a busy host it got is not ours to say.
    assert max(0.1, lasted_s / 50) < busy_s < lasted_s * 3
    assert (after.vcpus, after.memory_mib) == (1, 256)
    # Of 256 MiB a small system uses some, and gets most.
    assert after.memory_used_mib is not None
    assert 20 < after.memory_used_mib < 200
    assert after.disk_read_bytes is not None
    assert after.disk_read_bytes > 5_000_000, "it was read from its disk"
    told = subprocess.run(
        ["virsh", "-c", backend.config.uri, "domstats", guest.external_id], check=True, capture_output=True, text=True
    ).stdout
    stats = dict(line.strip().split("=", 1) for line in told.splitlines() if "=" in line)
    later = _measured(backend, guest.external_id)
    assert after.net_rx_bytes is not None
    assert later.net_rx_bytes is not None
    assert 0 < after.net_rx_bytes <= int(stats["net.0.rx.bytes"]) <= later.net_rx_bytes
    drives = range(int(stats["block.count"]))
    reads = sum(int(stats.get(f"block.{number}.rd.bytes", 0)) for number in drives)
    assert after.disk_read_bytes <= reads <= (later.disk_read_bytes or 0)


def test_disks_come_grow_and_go_in_it(backend: Backend, guest: VmRecord, terminal: Terminal) -> None:
    disks, key = backend.driver.disks, guest.external_id
    added = disks.attach(key, DiskSpec(size_gib=1, format="raw", name=f"{backend.name}-plugged.raw")).disks or ()
    volume = Path(next(each.volume for each in added if each.external_id == "vdb"))
    terminal.type("until grep ' vdb$' /proc/partitions; do sleep 1; done; echo writ''ten | doas dd of=/dev/vdb; sync")
    terminal.wait_for("1048576 vdb")
    terminal.wait_for("records out")
    disks.grow(key, "vdb", 2)
    terminal.type("until grep '2097152 vdb$' /proc/partitions; do sleep 1; done; echo lar''ger")
    terminal.wait_for("larger")
    disks.detach(key, "vdb")
    terminal.type("while grep -q ' vdb$' /proc/partitions; do sleep 1; done; echo go''ne")
    terminal.wait_for("gone")
    assert volume.read_bytes()[:8] == b"written\n"
    backend.driver.volumes.delete(str(volume))
    added = disks.attach(key, DiskSpec(size_gib=1, bus="scsi")).disks or ()
    terminal.type("until grep '1048576 sda$' /proc/partitions; do sleep 1; done; echo sc''si")
    terminal.wait_for("scsi")
    disks.detach(key, next(each.external_id for each in added if each.bus == "scsi"), delete=True)
    terminal.type("while grep -q ' sda$' /proc/partitions; do sleep 1; done; echo le''ft")
    terminal.wait_for("left")


def test_a_medium_is_read_in_it_held_and_ejected(backend: Backend, guest: VmRecord, terminal: Terminal) -> None:
    disks, key = backend.driver.disks, guest.external_id
    disks.set_iso(key, backend.iso)
    terminal.type("until doas mount -o ro /dev/sr1 /mnt; do sleep 1; done; cat /mnt/user-data; echo re''ad")
    terminal.wait_for("nothing to install")
    terminal.wait_for("read")
    # Its door is locked while it is mounted.
    with pytest.raises(Conflict, match="holds"):
        disks.set_iso(key, None)
    assert backend.iso in [each.volume for each in backend.driver.machines.get(key).disks or ()]
    terminal.type("cat /mnt/user-data; doas umount /mnt; echo fr''ee")
    terminal.wait_for("nothing to install")
    terminal.wait_for("free")
    disks.set_iso(key, None)
    terminal.type("doas mount -o ro /dev/sr1 /mnt || echo emp''ty")
    terminal.wait_for("empty")
    disks.set_iso(key, backend.iso)
    terminal.type("until doas mount -o ro /dev/sr1 /mnt; do sleep 1; done; echo ba''ck")
    terminal.wait_for("back")
    disks.set_iso(key, None, force=True)
    assert backend.iso not in [each.volume for each in backend.driver.machines.get(key).disks or ()]
    terminal.type("doas umount /mnt; echo fr''ee")
    terminal.wait_for("free")


def test_it_reboots_when_asked(backend: Backend, guest: VmRecord, terminal: Terminal) -> None:
    # It comes back as soon as the guest has gone down, and not before: a guest that did not would be a Conflict.
    assert backend.driver.power.restart(guest.external_id).power is PowerState.RUNNING
    terminal.wait_for("told-so login:")


def test_it_shuts_down_when_asked(backend: Backend, guest: VmRecord, terminal: Terminal) -> None:
    del terminal
    begun = time.monotonic()
    assert backend.driver.power.stop(guest.external_id, timeout_s=90).power is PowerState.STOPPED
    assert time.monotonic() - begun < 90
    # It went down by itself: the last event was a shutdown of the guest's, not the plug.
    assert backend.raw.lookupByUUIDString(guest.external_id).state()[1] == SHUTDOWN


#: VIR_DOMAIN_SHUTOFF_SHUTDOWN
SHUTDOWN = 1
