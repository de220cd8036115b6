"""The image started in QEMU on software emulation: login, seed, grown root, hot plug, soft stop."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.guest.conftest import dump
from tests.guest.machine import Machine, write_seed

pytestmark = pytest.mark.live

REPOSITORY = Path(__file__).parents[2]
LOGIN_LIMIT = 30.0
PASSWORD = "correct horse"


@pytest.fixture(scope="session")
def image() -> Path:
    """The built image; KVWEB_GUEST_IMAGE names another one."""
    path = Path(os.environ.get("KVWEB_GUEST_IMAGE", REPOSITORY / "var/guest/kvweb-guest.qcow2"))
    if not path.exists():
        pytest.skip("the guest image is not built; run: make guest")
    return path


def seed(folder: Path, applets: Path) -> Path:
    """A seed disk with a user, a file and commands."""
    command = [str(applets / "mkpasswd"), "-m", "sha512", "-P", "0"]
    hashed = subprocess.run(command, input=PASSWORD, capture_output=True, text=True, check=True).stdout.strip()
    document = {
        "hostname": "live-7",
        "users": [{"name": "kvweb", "hashed_passwd": hashed, "lock_passwd": False, "sudo": "ALL=(ALL) NOPASSWD:ALL"}],
        "ssh_pwauth": True,
        "write_files": [{"path": "/etc/greeting", "content": "grüß dich\n"}],
        "runcmd": ["echo it ran > /etc/ran", ["touch", "/etc/two words"]],
    }
    path = folder / "seed.iso"
    write_seed(path, {"user-data": "#cloud-config\n" + dump(document), "meta-data": "instance-id: live\n"})
    return path


def dark_share(picture: Path) -> float:
    """How much of a screen picture (PPM) is black."""
    header, size, _depth, pixels = picture.read_bytes().split(b"\n", 3)
    assert header == b"P6"
    width, height = map(int, size.split())
    return 1 - sum(map(bool, pixels[::3])) / (width * height)


def test_first_start_to_soft_stop(image: Path, tmp_path: Path, applets: Path) -> None:
    iso = seed(tmp_path, applets)
    arguments = ["-drive", "file=@DISK@,if=virtio", "-nic", "user,model=virtio-net-pci", "-cdrom", str(iso)]
    arguments += ["-device", "pcie-root-port,id=slot1,chassis=1", "-device", "pcie-root-port,id=slot2,chassis=2"]
    arguments += ["-device", "virtio-serial-pci", "-chardev", f"socket,id=ga,path={tmp_path}/ga,server=on,wait=off"]
    arguments += ["-device", "virtserialport,chardev=ga,name=org.qemu.guest_agent.0"]
    with Machine(tmp_path, image, *arguments) as machine:
        machine.wait_for(r"live-7 login: ", 90)
        # Other tests share the processor: what counts is what the guest used of it, which is the time that it takes on
        # a machine of its own.
        print(f"login prompt on the serial line after {machine.seconds():.1f} s, {machine.used_s():.1f} s of processor")
        assert machine.used_s() <= LOGIN_LIMIT
        machine.log_in("kvweb", PASSWORD)

        assert machine.shell("hostname") == "live-7"
        assert machine.shell("cat /etc/greeting") == "grüß dich"
        machine.shell("until doas test -e /var/lib/cloud/boot-finished; do sleep 1; done", 60)
        assert machine.shell("cat /etc/ran; ls '/etc/two words'") == "it ran\n/etc/two words"
        # 2 GiB given, of which the boot partition and the file system's own tables take some.
        assert int(machine.shell("df -m / | tail -n 1 | awk '{print $2}'")) > 1800
        assert machine.shell("ip -4 addr show eth0 | grep -c 10.0.2.15") == "1"
        assert machine.shell("ps | grep -c '[q]emu-ga'") == "1"

        machine.command("screendump", filename=f"{tmp_path}/screen.ppm")
        # A login prompt is a little text on an otherwise black screen.
        assert 0.9 < dark_share(tmp_path / "screen.ppm") < 0.9999

        plug_things(machine, tmp_path)

        seconds = machine.power_down()
        print(f"powered off {seconds:.1f} s after the button")
        assert seconds < 15

    check_second_start(image, tmp_path)


def plug_things(machine: Machine, folder: Path) -> None:
    """Plug a disk and a network card into the running guest and see both there."""
    extra = folder / "extra.img"
    with extra.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    machine.command("blockdev-add", **{"driver": "raw", "node-name": "extra",
                                       "file": {"driver": "file", "filename": str(extra)}})  # fmt: skip
    machine.command("device_add", driver="virtio-blk-pci", drive="extra", id="disk2", bus="slot1")
    machine.command("netdev_add", type="user", id="net2")
    machine.command("device_add", driver="virtio-net-pci", netdev="net2", id="nic2", bus="slot2")
    waiting = "for n in $(seq 30); do [ -e {0} ] && break; sleep 1; done; cat {0}"
    assert machine.shell(waiting.format("/sys/block/vdb/size"), 60) == str(64 * 2048)
    asking = "for n in $(seq 40); do ip -4 addr show eth1 | grep -q inet && break; sleep 1; done; echo $n"
    assert int(machine.shell(asking, 90)) < 40


def check_second_start(image: Path, folder: Path) -> None:
    """Start once more without the seed disk: everything is still there, and root's password is still none."""
    with Machine(folder, image, "-drive", "file=@DISK@,if=virtio", "-nic", "none") as machine:
        machine.wait_for(r"live-7 login: ", 90)
        machine.log_in("kvweb", PASSWORD)
        assert machine.shell("cat /etc/ran") == "it ran"
        assert machine.shell("doas grep ^root: /etc/shadow | cut -d: -f2") == "!"
        machine.type("doas reboot\n")
        machine.wait_for(r"live-7 login: ", 120)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("machine_type", "arguments"),
    [
        ("pc", ["-drive", "file=@DISK@,if=ide", "-cdrom", "@SEED@", "-nic", "user,model=e1000"]),
        ("q35", ["-drive", "file=@DISK@,if=none,id=d", "-device", "ide-hd,drive=d,bus=ide.0", "-cdrom", "@SEED@",
                 "-nic", "user,model=e1000e"]),
        ("q35", ["-device", "virtio-scsi-pci", "-drive", "file=@DISK@,if=none,id=d", "-device", "scsi-hd,drive=d",
                 "-drive", "file=@SEED@,if=none,id=c,media=cdrom", "-device", "scsi-cd,drive=c", "-nic", "user"]),
        ("pc", ["-drive", "file=@DISK@,if=virtio",
                "-drive", "file=@SEED@,if=virtio,format=raw,readonly=on", "-nic", "user,model=virtio"]),
    ],
    ids=["pc-ide-e1000", "q35-sata-e1000e", "q35-scsi", "pc-virtio"],
)  # fmt: skip
def test_other_hardware(image: Path, tmp_path: Path, applets: Path, machine_type: str, arguments: list[str]) -> None:
    iso = seed(tmp_path, applets)
    given = [argument.replace("@SEED@", str(iso)) for argument in arguments]
    with Machine(tmp_path, image, *given, machine=machine_type) as machine:
        machine.wait_for(r"live-7 login: ", 90)
        machine.log_in("kvweb", PASSWORD)
        machine.shell("until doas test -e /var/lib/cloud/boot-finished; do sleep 1; done", 60)
        assert machine.shell("ip -4 addr show eth0 | grep -c 10.0.2.15") == "1"
        machine.power_down()
