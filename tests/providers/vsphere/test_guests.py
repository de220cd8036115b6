"""What VMware Tools tell: file systems and names of a guest that runs, and nothing of one that is off."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from providers.base import Conflict, GuestFileSystem, PowerState
from providers.vsphere.driver import VsphereDriver
from providers.vsphere.guests import guest_record
from providers.vsphere.native import vim
from providers.vsphere.properties import Found
from tests.providers.vsphere.conftest import MakeVm

GIB = 1024**3


def tell(driver: VsphereDriver, external_id: str, **facts: Any) -> None:
    """The simulator sets a guest's facts by keys of this form."""
    values = [vim.option.OptionValue(key=f"SET.guest.{name}", value=value) for name, value in facts.items()]
    driver.connection.object(vim.VirtualMachine, external_id).ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=values))


def test_tools_tell_of_file_systems_while_the_machine_runs(driver: VsphereDriver, make_vm: MakeVm) -> None:
    vm = make_vm(start=True)
    with pytest.raises(Conflict, match="Tools do not run"):
        driver.machines.guest(vm.external_id)
    info = vim.vm.GuestInfo.DiskInfo
    tell(
        driver,
        vm.external_id,
        toolsRunningStatus="guestToolsRunning",
        hostName="web-1.example",
        guestFullName="Debian GNU/Linux 12 (64-bit)",
        disk=info.Array([info(diskPath="/", capacity=20 * GIB, freeSpace=5 * GIB), info(diskPath="D:\\")]),
    )
    told = driver.machines.guest(vm.external_id)
    assert (told.os, told.hostname, told.users) == ("Debian GNU/Linux 12 (64-bit)", "web-1.example", None)
    assert told.file_systems == (
        GuestFileSystem(mount_point="/", total_bytes=20 * GIB, used_bytes=15 * GIB),
        GuestFileSystem(mount_point="D:\\"),
    )
    assert driver.machines.get(vm.external_id).power is PowerState.RUNNING
    driver.power.stop(vm.external_id, force=True)
    with pytest.raises(Conflict, match="does not run"):
        driver.machines.guest(vm.external_id)


def test_newer_servers_tell_types_and_disks_too() -> None:
    """The simulated server is of 6.5; both came with 7.0."""
    values = {
        "runtime.powerState": "<val>poweredOn</val>",
        "runtime.connectionState": "<val>connected</val>",
        "guest.toolsRunningStatus": "<val>guestToolsRunning</val>",
        "guest.disk": """<val xmlns="urn:vim25"><GuestDiskInfo><diskPath>/srv</diskPath><capacity>400</capacity>
            <freeSpace>100</freeSpace><filesystemType>xfs</filesystemType><mappings><key>2001</key></mappings>
            <mappings><key>2002</key></mappings></GuestDiskInfo></val>""",
    }
    found = Found("VirtualMachine", "vm-1", {path: etree.fromstring(text) for path, text in values.items()})
    assert guest_record(found).file_systems == (
        GuestFileSystem(mount_point="/srv", type="xfs", total_bytes=400, used_bytes=300, disks=("2001", "2002")),
    )
