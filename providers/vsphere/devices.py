"""Changes of a VM's devices, put together before they are sent: controllers, places on them, disks, cards, drives."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from providers.base import Conflict, InvalidRequest, NotFound
from providers.vsphere.native import vim
from providers.vsphere.records import KIB_PER_GIB

DEVICE: Any = vim.vm.device
#: Models that can be asked for.
CARDS: dict[str, Any] = {
    "vmxnet3": DEVICE.VirtualVmxnet3,
    "e1000e": DEVICE.VirtualE1000e,
    "e1000": DEVICE.VirtualE1000,
}
BUSES = frozenset({"scsi", "sata", "nvme"})
#: On a SCSI bus the controller itself has number 7.
_UNITS = {"scsi": [*range(7), *range(8, 16)], "sata": list(range(30)), "nvme": list(range(15)), "ide": [0, 1]}


class Layout:
    """The devices of a VM, and what shall become of them; `changes` goes into a ConfigSpec."""

    def __init__(self, devices: Iterable[Any] = ()) -> None:
        self.devices = list(devices)
        self.changes: list[Any] = []
        self._key = 0

    # -- finding ----------------------------------------------------------------------------------------------------

    def found(self, kind: Any) -> list[Any]:
        return [device for device in self.devices if isinstance(device, kind)]

    @property
    def disks(self) -> list[Any]:
        return self.found(DEVICE.VirtualDisk)

    @property
    def cards(self) -> list[Any]:
        return self.found(DEVICE.VirtualEthernetCard)

    def disk(self, disk_id: str) -> Any:
        return _with_key(self.disks, disk_id, "The VM has no such disk.")

    def card(self, nic_id: str) -> Any:
        return _with_key(self.cards, nic_id, "The VM has no such network card.")

    # -- changing ---------------------------------------------------------------------------------------------------

    def _change(self, operation: str, device: Any, file_operation: str | None = None) -> None:
        self.changes.append(DEVICE.VirtualDeviceSpec(operation=operation, device=device, fileOperation=file_operation))

    def edit(self, device: Any) -> None:
        self._change("edit", device)

    def remove(self, device: Any, *, destroy: bool = False) -> None:
        """Take a device out; `destroy` deletes the file of a disk."""
        self.devices.remove(device)
        self._change("remove", device, "destroy" if destroy else None)

    def _add(self, device: Any, file_operation: str | None = None) -> None:
        self.devices.append(device)
        self._change("add", device, file_operation)

    def _new_key(self) -> int:
        """Negative keys stand for devices that get theirs from the server."""
        self._key -= 1
        return self._key

    def add_disk(
        self,
        *,
        datastore: str,
        size_gib: int = 0,
        file: str = "",
        thin: bool = True,
        bus: str = "",
        shared: bool = False,
    ) -> None:
        """A new disk on a datastore (its name), or an existing file."""
        controller = self._controller(bus or "scsi", wanted=bus)
        backing = DEVICE.VirtualDisk.FlatVer2BackingInfo(
            fileName=file or f"[{datastore}]", diskMode="independent_persistent" if shared else "persistent"
        )
        if not file:
            backing.thinProvisioned = thin
        if shared:
            backing.sharing = "sharingMultiWriter"
        disk = DEVICE.VirtualDisk(
            key=self._new_key(),
            controllerKey=controller.key,
            unitNumber=self._unit(controller),
            capacityInKB=size_gib * KIB_PER_GIB,
            backing=backing,
        )
        self._add(disk, None if file else "create")

    def add_card(self, backing: Any, *, mac: str = "", model: str = "") -> None:
        kind = CARDS.get(model or "vmxnet3")
        if kind is None:
            raise InvalidRequest(f"There is no network card “{model}”.", field="model")
        connect = DEVICE.VirtualDevice.ConnectInfo(startConnected=True, allowGuestControl=True, connected=True)
        card = kind(
            key=self._new_key(),
            backing=backing,
            connectable=connect,
            addressType="manual" if mac else "generated",
            wakeOnLanEnabled=True,
        )
        if mac:
            card.macAddress = mac.lower()
        self._add(card)

    def insert(self, file: str) -> None:
        """Put an ISO file into the drive; a VM without one gets one."""
        backing = DEVICE.VirtualCdrom.IsoBackingInfo(fileName=file)
        self._set_drive(backing, plugged=True)

    def eject(self) -> None:
        if self.found(DEVICE.VirtualCdrom):
            backing = DEVICE.VirtualCdrom.RemotePassthroughBackingInfo(deviceName="", exclusive=False)
            self._set_drive(backing, plugged=False)

    def _set_drive(self, backing: Any, *, plugged: bool) -> None:
        connect = DEVICE.VirtualDevice.ConnectInfo(startConnected=plugged, allowGuestControl=True, connected=plugged)
        drives = self.found(DEVICE.VirtualCdrom)
        if drives:
            drive = drives[0]
            drive.backing, drive.connectable = backing, connect
            self.edit(drive)
            return
        controller = self._controller("sata", wanted="")
        drive = DEVICE.VirtualCdrom(
            key=self._new_key(),
            controllerKey=controller.key,
            unitNumber=self._unit(controller),
            backing=backing,
            connectable=connect,
        )
        self._add(drive)

    # -- controllers ------------------------------------------------------------------------------------------------

    def _controller(self, bus: str, *, wanted: str) -> Any:
        """One with a free place, made where there is none."""
        if wanted and wanted not in BUSES:
            raise InvalidRequest(f"There is no bus “{wanted}”; there are {', '.join(sorted(BUSES))}.", field="bus")
        kinds = {
            "scsi": DEVICE.VirtualSCSIController,
            "sata": DEVICE.VirtualSATAController,
            "nvme": DEVICE.VirtualNVMEController,
        }
        present = self.found(kinds[bus])
        for controller in present:
            if self._free(controller, bus):
                return controller
        if len(present) >= 4:
            raise Conflict("All places for disks are taken.")
        numbers = {controller.busNumber for controller in present}
        number = next(each for each in range(4) if each not in numbers)
        made = {
            "scsi": DEVICE.ParaVirtualSCSIController,
            "sata": DEVICE.VirtualAHCIController,
            "nvme": DEVICE.VirtualNVMEController,
        }[bus](key=self._new_key(), busNumber=number)
        if bus == "scsi":
            made.sharedBus = "noSharing"
        self._add(made)
        return made

    def _free(self, controller: Any, bus: str) -> list[int]:
        taken = {device.unitNumber for device in self.devices if device.controllerKey == controller.key}
        return [unit for unit in _UNITS[bus] if unit not in taken]

    def _unit(self, controller: Any) -> int:
        bus = next(
            bus
            for bus, kind in (
                ("scsi", DEVICE.VirtualSCSIController),
                ("sata", DEVICE.VirtualSATAController),
                ("nvme", DEVICE.VirtualNVMEController),
            )
            if isinstance(controller, kind)
        )
        return self._free(controller, bus)[0]


def _with_key(devices: list[Any], key: str, reason: str) -> Any:
    for device in devices:
        if str(device.key) == key:
            return device
    raise NotFound(reason)


def own_mac() -> str:
    """A MAC of the range that VMware leaves to people (00:50:56:00:00:00 to 00:50:56:3f:ff:ff)."""
    number = random.SystemRandom().randrange(0x400000)
    return f"00:50:56:{number >> 16:02x}:{number >> 8 & 0xFF:02x}:{number & 0xFF:02x}"
