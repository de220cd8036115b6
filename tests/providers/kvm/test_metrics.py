"""libvirt's statistics as samples, and its host devices as words: answers as they come, whole and with holes."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from providers.base import VmSample
from providers.kvm.config import KvmConfig
from providers.kvm.metrics import KvmMetrics, vm_sample
from providers.kvm.native import libvirt
from providers.kvm.xml.devices import SeenDevice, read_device

AT = datetime(2026, 1, 2, tzinfo=UTC)

#: What libvirt 9 says of a machine with two disks, an empty CD drive and two cards (formatted by `virsh domstats`).
WHOLE = {
    "cpu.time": 12_000_000_000,
    "balloon.current": 1_048_576,
    "balloon.available": 1_000_000,
    "balloon.unused": 300_000,
    "balloon.usable": 500_000,
    "net.count": 2,
    "net.0.name": "vnet0",
    "net.0.rx.bytes": 100,
    "net.0.tx.bytes": 10,
    "net.1.rx.bytes": 1,
    "net.1.tx.bytes": 2,
    "block.count": 3,
    "block.0.name": "vda",
    "block.0.path": "/pool/a.qcow2",
    "block.0.rd.reqs": 5,
    "block.0.rd.bytes": 5000,
    "block.0.wr.reqs": 7,
    "block.0.wr.bytes": 7000,
    "block.1.name": "vdb",
    "block.1.path": "/pool/b.raw",
    "block.1.rd.reqs": 1,
    "block.1.rd.bytes": 1000,
    "block.1.wr.reqs": 2,
    "block.1.wr.bytes": 2000,
    "block.2.name": "sda",
}


def sample(*without: str, **more: Any) -> VmSample:
    told = {name: value for name, value in WHOLE.items() if not name.startswith(without or ("-",))}
    return vm_sample("uuid", AT, 2, {**told, **{name.replace("__", "."): value for name, value in more.items()}})


def test_disks_and_cards_are_summed() -> None:
    found = sample()
    assert (found.vcpus, found.cpu_time_ns, found.memory_mib) == (2, 12_000_000_000, 1024)
    assert (found.disk_read_bytes, found.disk_write_bytes, found.disk_reads, found.disk_writes) == (6000, 9000, 6, 9)
    assert (found.net_rx_bytes, found.net_tx_bytes) == (101, 12)


@pytest.mark.parametrize(
    ("without", "used_mib"),
    [
        ((), 535),
        (("balloon.usable",), 731),
        (("balloon.usable", "balloon.unused"), None),
        (("balloon.available",), None),
    ],
)
def test_memory_in_use_is_what_the_guest_could_not_give_to_a_new_program(
    without: tuple[str, ...], used_mib: int | None
) -> None:
    """Of all that it has: what its kernel keeps for itself is in use as well."""
    assert sample(*without).memory_used_mib == used_mib


def test_a_drive_that_was_busy_makes_the_sum_unknown_and_not_smaller() -> None:
    found = sample("block.1.rd", "block.1.wr")
    assert (found.disk_read_bytes, found.disk_writes) == (None, None)
    assert found.net_rx_bytes == 101


def test_what_a_busy_machine_does_not_tell_at_once_is_unknown() -> None:
    found = vm_sample("uuid", AT, 1, {"balloon.current": 4096})
    assert (found.cpu_time_ns, found.memory_used_mib, found.disk_reads, found.net_tx_bytes) == (None, None, None, None)
    assert found.memory_mib == 4


@pytest.mark.parametrize(
    ("document", "device"),
    [
        (
            (
                "<device><name>net_eth0</name><driver><name>e1000</name></driver><capability type='net'>"
                "<interface>eth0</interface><address>52:54:00:00:00:01</address><link speed='1000' state='up'/>"
                "</capability></device>"
            ),
            SeenDevice(sort="net", name="eth0", words="52:54:00:00:00:01, up, 1000 Mbit/s", driver="e1000"),
        ),
        (
            (
                "<device><name>net_v</name><capability type='net'><interface>br0</interface>"
                "<link speed='4294967295' state='down'/></capability></device>"
            ),
            SeenDevice(sort="net", name="br0", words="down"),
        ),
        (
            (
                "<device><name>block_sda</name><capability type='storage'><block>/dev/sda</block><vendor>ATA</vendor>"
                "<model>Disk &amp; Co</model><size>274877906944</size></capability></device>"
            ),
            SeenDevice(sort="storage", name="/dev/sda", words="ATA Disk & Co, 256 GiB"),
        ),
        (
            (
                "<device><name>pci_0000_00_04_0</name><driver><name>vfio-pci</name></driver><capability type='pci'>"
                "<class>0x030000</class><domain>0</domain><bus>0</bus><slot>4</slot><function>0</function>"
                "<product id='0x1053'/><vendor id='0x1af4'/></capability></device>"
            ),
            SeenDevice(sort="pci", name="0000:00:04.0", words="1af4:1053", driver="vfio-pci"),
        ),
        ("<device><name>computer</name><capability type='system'/></device>", None),
    ],
)
def test_devices_of_the_host_are_read(document: str, device: SeenDevice | None) -> None:
    assert read_device(document) == device


class Host:
    """libvirt's connection as far as it is asked here: VMs and how many vCPUs each has."""

    def __init__(self, **vcpus: int) -> None:
        self.vcpus, self.counted = vcpus, list[list[str]]()

    def getAllDomainStats(self, wanted: int, flags: int) -> list[Any]:  # noqa: N802 - libvirt's name
        del flags
        return self._told(list(self.vcpus), wanted)

    def domainListGetStats(self, domains: list[Any], wanted: int, flags: int) -> list[Any]:  # noqa: N802 - libvirt's name
        del flags
        return self._told([domain.UUIDString() for domain in domains], wanted)

    def _told(self, uuids: list[str], wanted: int) -> list[Any]:
        counts = bool(wanted & libvirt.VIR_DOMAIN_STATS_VCPU)
        if counts:
            self.counted.append(uuids)
        return [
            (SimpleNamespace(UUIDString=lambda uuid=uuid: uuid), {"vcpu.current": self.vcpus[uuid]} if counts else {})
            for uuid in uuids
        ]


def test_vcpus_are_counted_once_a_minute_and_of_new_vms_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    host, clock = Host(one=2), [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    metrics = KvmMetrics(cast(Any, SimpleNamespace(raw=host)), KvmConfig())

    def seen() -> dict[str, int]:
        return {each.external_id: each.vcpus for each in metrics.sample()}

    assert seen() == {"one": 2}
    host.vcpus["two"] = 4
    assert seen() == {"one": 2, "two": 4}
    assert seen() == {"one": 2, "two": 4}
    assert host.counted == [["one"], ["two"]]
    host.vcpus["one"] = 8
    clock[0] += 61
    assert seen() == {"one": 8, "two": 4}
    assert host.counted[2:] == [["one", "two"]]
