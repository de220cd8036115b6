"""What a running portal and its machines listen on: one port on loopback for the browser, and nothing else."""

from __future__ import annotations

import os
import signal
import socket
import stat
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import libvirt
import pytest
from lxml import etree
from playwright.sync_api import Page, expect

from tools.trial.portal import Portal
from tools.trial.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.slow]

NAME = "kvweb-test-live-listens"
CREATE = f"""
from kvweb.accounts.models import Project, User
from providers.base import DiskSpec, VmSpec
from providers.models import Provider
from vms import services
services.create(project=Project.objects.get(name="Home"), provider=Provider.objects.get(kind="kvm"), image=None,
    user=User.objects.get(username="admin"),
    spec=VmSpec(name={NAME!r}, vcpus=1, memory_mib=32, disks=(DiskSpec(size_gib=1),)))
"""
#: Of /proc/net: the state of a TCP socket that waits for connections, and of a UDP socket that is bound.
LISTENING = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}


class Listener(NamedTuple):
    protocol: str
    address: IPv4Address | IPv6Address
    port: int


def _address(text: str) -> IPv4Address | IPv6Address:
    """ "0100007F" is 127.0.0.1: the kernel writes 32-bit words in the machine's own order."""
    raw = bytes.fromhex(text)
    return ip_address(b"".join(raw[start : start + 4][::-1] for start in range(0, len(raw), 4)))


def all_listeners() -> dict[str, Listener]:
    """Inode → what waits for connections or packets on this machine, whoever's it is."""
    found = {}
    for protocol, state in LISTENING.items():
        for line in Path("/proc/net", protocol).read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == state:
                address, _, port = columns[1].partition(":")
                found[columns[9]] = Listener(protocol, _address(address), int(port, 16))
    return found


def listeners_of(pids: set[int]) -> set[Listener]:
    known = all_listeners()
    found = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                name = str(descriptor.readlink())
            except FileNotFoundError:
                continue
            if name.startswith("socket:["):
                found.add(known.get(name[8:-1]))
    return {listener for listener in found if listener is not None}


def processes_of(portal: Portal) -> set[int]:
    """What the portal keeps, what those have started, and whatever else runs with its home in its environment."""
    wanted = f"KVWEB_HOME={portal.home}".encode()
    named = {
        portal.process(name) for name in ("redis", "web", "nginx", "worker", "beat", "watcher", "console", "transfer")
    }
    found, parents = set(named), {}
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit():
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found.add(int(folder.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


@pytest.fixture(scope="module")
def domain(portal: Portal, hypervisor: libvirt.virConnect) -> libvirt.virDomain:
    """A machine that the portal made and started."""
    until(lambda: portal.rows("select 1 from providers_provider where health = 'ok'"), timeout_s=30, said="The check")
    portal.manage(CREATE)
    until(
        lambda: portal.rows("select 1 from vms_virtualmachine where name = ? and power = 'running'", NAME),
        timeout_s=60,
        said="Creating the machine",
        explain=portal.jobs,
    )
    return hypervisor.lookupByName(NAME)


def qemu_of(domain: libvirt.virDomain) -> int:
    """The id of the machine's QEMU."""
    wanted = domain.UUIDString().encode()
    for folder in Path("/proc").iterdir():
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0") if folder.name.isdigit() else []
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"qemu" in Path(arguments[0].decode() if arguments else "").name.encode() and wanted in arguments:
            return int(folder.name)
    raise AssertionError("The machine has no QEMU.")


def test_what_counts_is_seen() -> None:
    """A reading of /proc that misses things would prove anything."""
    with (
        socket.create_server(("0.0.0.0", 0)) as four,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
        socket.socket(type=socket.SOCK_DGRAM) as packets,
    ):
        packets.bind(("127.0.0.1", 0))
        mine = listeners_of({os.getpid()})
        assert Listener("tcp", ip_address("0.0.0.0"), four.getsockname()[1]) in mine
        assert Listener("tcp6", ip_address("::1"), six.getsockname()[1]) in mine
        assert Listener("udp", ip_address("127.0.0.1"), packets.getsockname()[1]) in mine


def test_the_portal_has_one_port_and_that_on_loopback(portal: Portal, domain: libvirt.virDomain) -> None:
    assert listeners_of(processes_of(portal)) == {Listener("tcp", ip_address("127.0.0.1"), portal.port)}


def test_a_console_service_that_is_killed_comes_back_and_so_does_the_console(
    portal: Portal, domain: libvirt.virDomain, signed_in: Page
) -> None:
    """The page asks for a new right by itself, and the service is where it was: behind the one port."""
    ((uuid,),) = portal.rows("select uuid from vms_virtualmachine where name = ?", NAME)
    signed_in.goto(f"{portal.url}/vms/{UUID(uuid)}/console/serial")
    console = signed_in.locator("[data-console]")
    expect(console).to_have_attribute("data-state", "open", timeout=30_000)
    before, pid = len(portal.rows("select 1 from vms_consolegrant")), portal.process("console")
    os.kill(pid, signal.SIGKILL)
    expect(console).not_to_have_attribute("data-state", "open", timeout=15_000)
    expect(console).to_have_attribute("data-state", "open", timeout=60_000)
    assert portal.process("console") != pid
    assert len(portal.rows("select 1 from vms_consolegrant")) > before
    # What the killed one had open is written down as ended.
    assert portal.rows("select 1 from vms_consolesession where ended_at is null") == [(1,)]
    assert listeners_of(processes_of(portal)) == {Listener("tcp", ip_address("127.0.0.1"), portal.port)}


def test_its_other_sockets_are_for_nobody_else(portal: Portal) -> None:
    sockets = [path for path in portal.home.rglob("*") if path.is_socket()]
    assert sockets
    for path in sockets:
        closed = [one for one in (path, *path.parents) if one.is_relative_to(portal.home) and not is_open(one)]
        assert closed, f"Others may connect to {path}"


def is_open(path: Path) -> bool:
    """Whether others than owner and group may enter, or connect."""
    mode = path.stat().st_mode
    return bool(mode & (stat.S_IWOTH if path.is_socket() else stat.S_IXOTH))


def test_a_machine_listens_nowhere(domain: libvirt.virDomain) -> None:
    assert listeners_of({qemu_of(domain)}) == set()


def test_its_screen_listens_nowhere(domain: libvirt.virDomain) -> None:
    document = etree.fromstring(domain.XMLDesc())
    screens = document.findall("devices/graphics")
    assert screens
    for screen in screens:
        assert screen.get("port") in {None, "-1"}
        assert screen.get("websocket") in {None, "-1"}
        assert [listen.get("type") for listen in screen.findall("listen")] == ["none"]


def test_its_serial_line_listens_nowhere(domain: libvirt.virDomain) -> None:
    document = etree.fromstring(domain.XMLDesc())
    lines = [*document.findall("devices/serial"), *document.findall("devices/console")]
    assert lines
    assert {line.get("type") for line in lines} <= {"pty", "unix"}
