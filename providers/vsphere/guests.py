"""What VMware Tools tell of the system inside: its file systems and its name.

https://developer.broadcom.com/xapis/vsphere-web-services-api/latest/ (GuestInfo, GuestDiskInfo)
"""

from __future__ import annotations

from collections.abc import Iterator

from providers.base import Conflict, GuestFileSystem, GuestRecord, PowerState
from providers.vsphere.properties import Element, Found, below, children
from providers.vsphere.records import power_of

PATHS = ("guest.toolsRunningStatus", "guest.guestFullName", "guest.hostName", "guest.disk")


def guest_record(found: Found) -> GuestRecord:
    """The record of a VM read with PATHS; raises Conflict when there is nobody to tell."""
    if power_of(found)[0] is not PowerState.RUNNING:
        raise Conflict("The VM does not run.")
    # What tools told before they went is still there, and is old.
    if found.text("guest.toolsRunningStatus") != "guestToolsRunning":
        raise Conflict("VMware Tools do not run in this machine.")
    disks = found.values.get("guest.disk")
    return GuestRecord(
        os=found.text("guest.guestFullName"),
        hostname=found.text("guest.hostName"),
        file_systems=None if disks is None else tuple(_file_systems(disks)),
    )


def _file_systems(disks: Element) -> Iterator[GuestFileSystem]:
    for each in children(disks):
        total, free = below(each, "capacity"), below(each, "freeSpace")
        is_sized = bool(total and free)
        yield GuestFileSystem(
            mount_point=below(each, "diskPath"),
            # Told from vSphere 7.0 on, as are the disks below it.
            type=below(each, "filesystemType"),
            total_bytes=int(total) if is_sized else None,
            used_bytes=max(0, int(total) - int(free)) if is_sized else None,
            disks=tuple(dict.fromkeys(below(disk, "key") for disk in children(each, "mappings"))),
        )
