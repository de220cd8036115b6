"""Records as the plain, JSON-safe dicts of the contract: memory in MiB, disks in GB, one word for each state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from providers.base import (
    ConsoleTarget,
    DiskDevice,
    DiskRecord,
    GuestRecord,
    LinkConsole,
    NetworkMode,
    NetworkRecord,
    NicRecord,
    PowerState,
    SshConsole,
    StreamConsole,
    TcpConsole,
    TlsConsole,
    UnixConsole,
    ViewerConsole,
    VmRecord,
    WebSocketConsole,
)

#: The contract's words for power states.
STATUS = {
    PowerState.RUNNING: "up",
    PowerState.STOPPED: "down",
    PowerState.PAUSED: "paused",
    PowerState.SUSPENDED: "suspended",
    PowerState.STARTING: "starting",
    PowerState.STOPPING: "stopping",
    PowerState.CRASHED: "crashed",
    PowerState.UNKNOWN: "unknown",
}
#: Metadata that becomes a key of its own; other keys are under "metadata", where they cannot hide a fact.
METADATA_KEYS = (
    "plan",
    "profile",
    "owner",
    "user",
    "domain",
    "dnsclient",
    "kube",
    "kubetype",
    "loadbalancer",
    "redfish_iso",
    "cluster_network",
)
NOT_AVAILABLE = "N/A"
DATE_FORMAT = "%d-%m-%Y %H:%M"


def whole_gb(size_gib: float) -> int:
    """A size as the whole number that holds it."""
    return math.ceil(size_gib)


def main_address(vm: VmRecord) -> str | None:
    """The first IPv4 address, else the first of any sort, None when none is known."""
    addresses = vm.addresses
    return next((each for each in addresses if "." in each), addresses[0] if addresses else None)


def inner_address(vm: VmRecord) -> str | None:
    """The first address of a private range."""
    return next((each for each in vm.addresses if ip_address(each).is_private), None)


def info(vm: VmRecord, networks: Mapping[str, NetworkRecord], images: Mapping[str, str]) -> dict[str, Any]:
    """A VM; keys of facts that are not known are absent."""
    disks = vm.disks or ()
    metadata = dict(vm.metadata)
    shape: dict[str, Any] = {
        "name": vm.name,
        "id": vm.external_id,
        "status": STATUS[vm.power],
        "ip": main_address(vm) or "",
        "ips": list(vm.addresses),
        "image": images.get(vm.image) or vm.image or metadata.get("image", ""),
        "plan": metadata.pop("plan", ""),
        "profile": metadata.pop("profile", ""),
        "nets": [net(nic, networks) for nic in vm.nics or ()],
        "disks": [disk(each) for each in disks if each.device is DiskDevice.DISK],
        "snapshots": [{"snapshot": each.name, "current": each.is_current} for each in vm.snapshots or ()],
    }
    optional = {
        "numcpus": vm.vcpus,
        "memory": vm.memory_mib,
        "flavor": vm.flavor,
        "description": vm.description,
        "host": vm.host,
        "az": vm.zone,
        "autostart": vm.autostart,
        "creationdate": vm.created_at.strftime(DATE_FORMAT) if vm.created_at else None,
        "private_ip": inner_address(vm),
        "iso": next((each.volume for each in disks if each.device is DiskDevice.CDROM and each.volume), None),
    }
    shape |= {key: value for key, value in optional.items() if value not in (None, "")}
    shape |= {key: metadata.pop(key) for key in METADATA_KEYS if key in metadata}
    metadata.pop("image", None)
    if metadata:
        shape["metadata"] = metadata
    return shape


def net(nic: NicRecord, networks: Mapping[str, NetworkRecord]) -> dict[str, Any]:
    network = networks.get(nic.network)
    return {
        "device": nic.external_id,
        "mac": nic.mac,
        "net": network.name if network else nic.network,
        "type": network_type(network) if network else "",
        "ips": list(nic.addresses),
    }


def disk(record: DiskRecord) -> dict[str, Any]:
    return {
        "device": record.external_id,
        "size": whole_gb(record.size_gib),
        "format": record.format,
        "type": record.bus,
        "path": record.volume,
    }


def guest(record: GuestRecord) -> dict[str, Any]:
    """What a guest tells of itself; keys that it does not tell are absent. Sizes are in bytes."""
    shape: dict[str, Any] = {"os": record.os, "hostname": record.hostname}
    shape = {key: value for key, value in shape.items() if value}
    if record.users is not None:
        shape["users"] = [*record.users]
    if record.file_systems is not None:
        shape["filesystems"] = [
            {
                "mountpoint": each.mount_point,
                "type": each.type,
                "used": each.used_bytes,
                "total": each.total_bytes,
                "disks": [*each.disks],
            }
            for each in record.file_systems
        ]
    return shape


def network_type(network: NetworkRecord) -> str:
    return "bridged" if network.mode is NetworkMode.BRIDGE else "routed"


def network(record: NetworkRecord) -> dict[str, Any]:
    """A network; `cidr` is the first range or "N/A", a second one is in `dual_cidr`. `dhcp` is always a bool.

    What it does not have is left out.
    """
    shape: dict[str, Any] = {
        "cidr": record.cidrs[0] if record.cidrs else NOT_AVAILABLE,
        "dhcp": bool(record.dhcp),
        "type": network_type(record),
        "mode": record.mode.value,
        "domain": record.domain,
        "plan": record.plan,
        "id": record.external_id,
    }
    if len(record.cidrs) > 1:
        shape["dual_cidr"] = record.cidrs[1]
    optional: dict[str, Any] = {
        "ip": record.gateway,
        "bridge": record.bridge,
        "dhcp_start": record.dhcp_start,
        "dhcp_end": record.dhcp_end,
        "forward_device": record.forward_device,
        "vlan": record.vlan,
        "mtu": record.mtu,
        "leases": [{"mac": each.mac, "address": each.address, "name": each.name} for each in record.leases],
        "dns_hosts": [{"address": each.address, "names": list(each.names)} for each in record.dns_hosts],
        "pending": list(record.pending),
    }
    return shape | {key: value for key, value in optional.items() if value}


def address_of_console(target: ConsoleTarget, scheme: str) -> str:
    """A console as one URL without any secret; "stream:…" for one that only this process can open."""
    match target:
        case TcpConsole() | TlsConsole() | ViewerConsole():
            host = f"[{target.host}]" if ":" in target.host else target.host
            return f"{scheme}://{host}:{target.port}"
        case UnixConsole():
            return f"{scheme}+unix://{target.path}"
        case SshConsole():
            # Whoever gets this has no key: it says where the console is and not how to be let in.
            return f"ssh://{target.user}@{target.host}:{target.port}"
        case WebSocketConsole() | LinkConsole():
            return target.url
        case StreamConsole():
            return f"stream:{target.endpoint}"
