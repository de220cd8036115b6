"""What the guest agent's answers become, and who is told that nobody answers."""

from __future__ import annotations

import time
import uuid

import pytest
from lxml import etree

from providers.base import Conflict, GuestFileSystem, GuestRecord, NotFound
from providers.kvm.agent import guest_record
from providers.kvm.testing import Backend
from providers.kvm.xml.buses import buses_are_counted_alike
from tests.providers.kvm.conftest import MakeVm

#: As libvirt 9.0 gives it of a guest with qemu-ga 7.2.
TOLD = {
    "user.count": 2,
    "user.0.name": "ada",
    "user.0.login-time": 1763880000000,
    "user.1.name": "ada",
    "os.id": "debian",
    "os.pretty-name": "Debian GNU/Linux 12 (bookworm)",
    "hostname": "web-1",
    "fs.count": 3,
    "fs.0.name": "vda1",
    "fs.0.mountpoint": "/",
    "fs.0.fstype": "ext4",
    "fs.0.total-bytes": 2000,
    "fs.0.used-bytes": 1500,
    "fs.0.disk.count": 1,
    "fs.0.disk.0.alias": "vda",
    "fs.0.disk.0.device": "/dev/vda1",
    "fs.1.name": "dm-0",
    "fs.1.mountpoint": "/srv",
    "fs.1.fstype": "xfs",
    "fs.1.total-bytes": 4000,
    "fs.1.used-bytes": 0,
    "fs.1.disk.count": 3,
    "fs.1.disk.0.alias": "vdb",
    "fs.1.disk.1.alias": "vdc",
    "fs.1.disk.2.serial": "of a disk that libvirt does not know",
    "fs.2.name": "sr0",
    "fs.2.mountpoint": "/media",
    "fs.2.fstype": "iso9660",
    "fs.2.disk.count": 0,
}


def test_an_answer_becomes_a_record() -> None:
    assert guest_record(TOLD) == GuestRecord(
        os="Debian GNU/Linux 12 (bookworm)",
        hostname="web-1",
        users=("ada",),
        file_systems=(
            GuestFileSystem(mount_point="/", type="ext4", total_bytes=2000, used_bytes=1500, disks=("vda",)),
            GuestFileSystem(mount_point="/srv", type="xfs", total_bytes=4000, used_bytes=0, disks=("vdb", "vdc")),
            GuestFileSystem(mount_point="/media", type="iso9660"),
        ),
    )


def test_an_old_agent_tells_less() -> None:
    assert guest_record({}) == GuestRecord()
    assert guest_record({"fs.count": 1, "fs.0.mountpoint": "/", "fs.0.total-bytes": 5}) == GuestRecord(
        file_systems=(GuestFileSystem(mount_point="/"),)
    )


def document(*bridges: tuple[str, int, int, int]) -> etree._Element:
    """(model, index, bus, slot) of each PCI controller."""
    root = etree.Element("domain")
    devices = etree.SubElement(root, "devices")
    etree.SubElement(devices, "controller", type="pci", index="0", model="pcie-root")
    for model, index, bus, slot in bridges:
        one = etree.SubElement(devices, "controller", type="pci", index=str(index), model=model)
        etree.SubElement(one, "address", type="pci", bus=hex(bus), slot=hex(slot), function="0x0")
    return root


PORT = "pcie-root-port"


def test_disks_are_named_only_where_guest_and_document_count_alike() -> None:
    assert buses_are_counted_alike(document())
    assert buses_are_counted_alike(document((PORT, 1, 0, 2), (PORT, 2, 0, 3)))
    assert not buses_are_counted_alike(document((PORT, 1, 0, 3), (PORT, 2, 0, 2))), "another order"
    assert not buses_are_counted_alike(document((PORT, 1, 0, 2), (PORT, 2, 0, 3), ("pcie-to-pci-bridge", 3, 1, 0)))
    assert buses_are_counted_alike(document((PORT, 1, 0, 2), ("pcie-to-pci-bridge", 2, 1, 0), (PORT, 3, 0, 3)))
    assert not buses_are_counted_alike(document(("pcie-expander-bus", 1, 0, 2)))
    assert guest_record(TOLD, names_disks=False).file_systems[0].disks == ()  # type: ignore[index]


@pytest.mark.live
def test_a_machine_that_nobody_knows_is_not_found(backend: Backend) -> None:
    with pytest.raises(NotFound):
        backend.driver.machines.guest(str(uuid.uuid4()))


@pytest.mark.live
def test_a_machine_without_an_agent_says_so_in_a_moment(backend: Backend, make_vm: MakeVm) -> None:
    """One that is off, one without a channel, and one at whose channel nobody answers."""
    machines, power = backend.driver.machines, backend.driver.power
    for channel, sentence in ((True, "No guest agent answers"), (False, "no channel")):
        vm = make_vm(options={"agent": channel})
        with pytest.raises(Conflict, match="does not run"):
            machines.guest(vm.external_id)
        power.start(vm.external_id)
        began = time.monotonic()
        with pytest.raises(Conflict, match=sentence):
            machines.guest(vm.external_id)
        assert time.monotonic() - began < 5
        power.stop(vm.external_id, force=True)
