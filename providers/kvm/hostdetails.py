"""What only people want to know of a hypervisor: its processor by name, its kernel, the devices that are built in."""

from __future__ import annotations

import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

from providers.kvm.connection import Connection
from providers.kvm.errors import still_there
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.xml.build import read, text_at
from providers.kvm.xml.devices import SeenDevice, read_device

#: A server has some dozens; virtual functions of a network card can be hundreds, which nobody reads.
_MOST_DEVICES = 200


def details(connection: Connection) -> dict[str, Any]:
    """JSON-safe; what the host does not tell is left out. Raises libvirt's errors for a lost connection only."""
    raw = connection.raw
    _, _, _, mhz, nodes, sockets, cores, threads = raw.getInfo()
    found: dict[str, Any] = {
        "cpu_model": _processor(connection),
        "cpu_mhz": mhz,
        "numa_nodes": nodes,
        # libvirt counts sockets in each NUMA node.
        "sockets": sockets * nodes,
        "cores_per_socket": cores,
        "threads_per_core": threads,
        "kernel": f"{platform.system()} {platform.release()}" if connection.is_local else "",
        "devices": [asdict(device) for device in _devices(raw)],
    }
    return {name: value for name, value in found.items() if value}


def _processor(connection: Connection) -> str:
    """As its maker calls it, where the firmware's tables or this machine's kernel say; else libvirt's model."""
    try:
        told = read(connection.raw.getSysinfo(0))
        if name := text_at(told, "processor/entry[@name='version']"):
            return name
    except LibvirtError:
        # A host without these tables, or a libvirt that may not read them.
        pass
    if connection.is_local:
        try:
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
                name, _, value = line.partition(":")
                if name.strip() == "model name":
                    return value.strip()
        except OSError:
            pass
    return text_at(read(connection.raw.getCapabilities()), "host/cpu/model")


def _devices(raw: Any) -> list[SeenDevice]:
    flags = (
        libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV
        | libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_USB_DEV
        | libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_NET
        | libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_STORAGE
    )
    try:
        listed = raw.listAllDevices(flags)[:_MOST_DEVICES]
        seen = still_there(listed, lambda each: read_device(each.XMLDesc(0)))
    except LibvirtError:
        # A libvirt built without the driver of host devices.
        return []
    # The cards of VMs are devices of the host as well, and come and go.
    kept = [device for device in seen if device is not None and not device.name.startswith(("vnet", "lo"))]
    return sorted(kept, key=lambda device: (device.sort, device.name))
