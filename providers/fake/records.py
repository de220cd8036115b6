"""The cloud's documents as records of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

from providers.base import (
    ConsoleKind,
    DiskDevice,
    DiskRecord,
    FirewallRecord,
    FlavorRecord,
    ImageRecord,
    LoadBalancerRecord,
    NetworkRecord,
    NicRecord,
    PoolRecord,
    PowerState,
    Price,
    SnapshotRecord,
    SubnetRecord,
    VmRecord,
    VolumeRecord,
)
from providers.fake.state import (
    Disk,
    Firewall,
    Flavor,
    Image,
    LoadBalancer,
    Network,
    Nic,
    Pool,
    Snapshot,
    Subnet,
    Vm,
    Volume,
)
from providers.fake.store import Transaction

#: States in which there is a screen to look at and a guest that keeps its addresses.
AWAKE = (PowerState.RUNNING, PowerState.PAUSED, PowerState.STARTING, PowerState.STOPPING)
CONSOLES = frozenset({ConsoleKind.VNC, ConsoleKind.SERIAL, ConsoleKind.SPICE})


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def vm_record(tx: Transaction, vm: Vm, lease_s: float) -> VmRecord:
    """One VM; reads its volumes."""
    wanted = {disk.volume for disk in vm.disks if disk.volume}
    volumes = {external_id: tx.get(Volume, external_id) for external_id in wanted}
    images = {disk.image: tx.get(Image, disk.image) for disk in vm.disks if disk.image}
    return build_vm_record(vm, tx.now, lease_s, volumes, images)


def build_vm_record(
    vm: Vm, now: float, lease_s: float, volumes: Mapping[str, Volume], images: Mapping[str, Image]
) -> VmRecord:
    """One VM from documents that were read before, so that a list needs no look-up per VM."""
    vm.settle(now)
    has_addresses = vm.has_guest and vm.power in AWAKE and vm.then is None and now >= vm.booted_at + lease_s
    return VmRecord(
        external_id=vm.id,
        name=vm.name,
        power=vm.power,
        raw_state=f"fake:{vm.power.value}",
        vcpus=vm.vcpus,
        memory_mib=vm.memory_mib,
        flavor=vm.flavor,
        description=vm.description,
        image=vm.image,
        host="fake-host",
        zone=vm.zone,
        autostart=vm.autostart,
        created_at=moment(vm.created_at),
        nics=tuple(_nic_record(nic, has_addresses) for nic in vm.nics),
        disks=tuple(_disk_record(disk, volumes, images) for disk in vm.disks),
        snapshots=snapshot_records(vm),
        consoles=CONSOLES,
        portal_uuid=vm.portal_uuid,
        metadata=dict(vm.metadata),
        pending=pending_of(vm),
        options=options_of(vm),
    )


#: Options that a running VM keeps for its next start; the others of OPTIONS work at once.
AT_START = ("cpu_model", "cpu_flags", "max_vcpus", "max_memory_mib")
OPTIONS = (*AT_START, "ignores_shutdown", "firewalls")
_WORDS = {
    "vcpus": "CPUs",
    "memory_mib": "Memory",
    "flavor": "Size",
    "cpu_model": "CPU model",
    "cpu_flags": "CPU flags",
    "max_vcpus": "Most CPUs",
    "max_memory_mib": "Most memory",
}


def options_of(vm: Vm) -> dict[str, Any]:
    """Its options at the next start, without the secret one."""
    return {name: vm.next.get(name, getattr(vm, name)) for name in OPTIONS}


def pending_of(vm: Vm) -> tuple[str, ...]:
    return tuple(
        f"{_WORDS.get(name, name)}: {_value_words(name, getattr(vm, name))} → {_value_words(name, value)}"
        for name, value in vm.next.items()
        if value != getattr(vm, name)
    )


def _value_words(name: str, value: Any) -> str:
    """A flavor is told by its name, memory with its unit."""
    if not value:
        return "none"
    if name == "flavor":
        return str(value).removeprefix("flavor-")
    return f"{value} MiB" if name.endswith("_mib") else str(value)


def _nic_record(nic: Nic, has_addresses: bool) -> NicRecord:
    is_known = bool(nic.address) and has_addresses and nic.is_linked
    return NicRecord(
        external_id=nic.id,
        mac=nic.mac,
        network=nic.network,
        model=nic.model,
        addresses=(*((nic.address,) if is_known else ()), *((nic.public_address,) if nic.public_address else ())),
        addresses_source=("agent" if nic.is_fixed else "lease") if is_known else "",
        public_address=nic.public_address,
        filter=nic.filter,
        isolated=nic.isolated,
        vlan=nic.vlan,
        is_linked=nic.is_linked,
    )


def _disk_record(disk: Disk, volumes: Mapping[str, Volume], images: Mapping[str, Image]) -> DiskRecord:
    if disk.device is DiskDevice.CDROM:
        image = images.get(disk.image)
        return DiskRecord(
            external_id=disk.target,
            device=disk.device,
            volume=disk.image,
            pool=image.pool if image else "",
            format="raw" if image else "",
            bus=disk.bus,
            size_gib=image.size_gib if image else 0.0,
            read_only=True,
        )
    volume = volumes[disk.volume]
    return DiskRecord(
        external_id=disk.target,
        device=disk.device,
        volume=volume.id,
        pool=volume.pool,
        format=volume.format,
        bus=disk.bus,
        size_gib=volume.size_gib,
        boot=disk.boot,
        read_only=disk.read_only,
        cache=disk.cache,
        shareable=disk.shareable,
    )


def snapshot_records(vm: Vm) -> tuple[SnapshotRecord, ...]:
    return tuple(snapshot_record(vm, snapshot) for snapshot in vm.snapshots)


def snapshot_bytes(snapshot: Snapshot) -> int:
    """What it would take: the content that was written, and the memory."""
    memory = snapshot.memory_mib * 1024**2 if snapshot.has_memory else 0
    return memory + sum(len(volume.content) for volume in snapshot.volumes)


def snapshot_record(vm: Vm, snapshot: Snapshot) -> SnapshotRecord:
    return SnapshotRecord(
        external_id=snapshot.name,
        name=snapshot.name,
        description=snapshot.description,
        created_at=moment(snapshot.created_at),
        parent=snapshot.parent,
        is_current=snapshot.name == vm.current_snapshot,
        has_memory=snapshot.has_memory,
        power=snapshot.power,
        size_bytes=snapshot_bytes(snapshot),
        is_external=snapshot.is_external,
    )


def pool_record(pool: Pool, volumes: list[Volume], images: list[Image]) -> PoolRecord:
    used = sum(volume.allocation_gib for volume in volumes if volume.pool == pool.id)
    used += sum(image.stored_bytes for image in images if image.pool == pool.id) / 1024**3
    # A pool without limit shows a round number, since a page divides by it.
    capacity = pool.capacity_gib or max(1_048_576.0, used)
    return PoolRecord(
        external_id=pool.id,
        name=pool.name,
        type=pool.type,
        path=pool.path,
        is_active=pool.is_active,
        autostart=pool.autostart,
        capacity_gib=capacity,
        allocation_gib=round(used, 3),
        available_gib=round(capacity - used, 3),
    )


def volume_record(volume: Volume, pools: Mapping[str, Pool], vms: list[Vm]) -> VolumeRecord:
    return VolumeRecord(
        external_id=volume.id,
        name=volume.name,
        pool=volume.pool,
        path=f"{pools[volume.pool].path}/{volume.name}",
        format=volume.format,
        size_gib=volume.size_gib,
        allocation_gib=volume.allocation_gib,
        backing=volume.backing,
        used_by=tuple(vm.id for vm in vms if any(disk.volume == volume.id for disk in vm.disks)),
    )


def image_record(image: Image, pools: Mapping[str, Pool], used_by: tuple[str, ...] = ()) -> ImageRecord:
    return ImageRecord(
        external_id=image.id,
        name=image.name,
        pool=image.pool,
        format=image.format,
        size_gib=image.size_gib,
        stored_bytes=image.stored_bytes,
        is_iso=image.is_iso,
        os=image.os,
        default_user=image.default_user,
        path=f"{pools[image.pool].path}/{image.name}",
        created_at=moment(image.created_at),
        used_by=used_by,
    )


def flavor_record(flavor: Flavor) -> FlavorRecord:
    return FlavorRecord(
        external_id=flavor.id,
        name=flavor.name,
        vcpus=flavor.vcpus,
        memory_mib=flavor.memory_mib,
        disk_gib=flavor.disk_gib,
        prices=(Price(currency="EUR", hourly=0.005 * flavor.vcpus, monthly=3.0 * flavor.vcpus),),
    )


def network_record(network: Network, used_by: tuple[str, ...] = ()) -> NetworkRecord:
    first, last = span_of(network)
    return NetworkRecord(
        external_id=network.id,
        name=network.name,
        mode=network.mode,
        type="network",
        cidrs=tuple(filter(None, (network.cidr, network.ipv6_cidr))),
        dhcp=network.dhcp,
        domain=network.domain,
        bridge=network.bridge,
        is_active=network.is_active,
        autostart=network.autostart,
        plan=network.plan,
        gateway=str(ip_network(network.cidr)[1]) if network.cidr else "",
        dhcp_start=first,
        dhcp_end=last,
        leases=tuple(network.kept),
        dns_hosts=tuple(network.dns_hosts),
        portal_uuid=network.portal_uuid,
        forward_device=network.forward_device,
        vlan=network.vlan,
        mtu=network.mtu,
        used_by=used_by,
    )


def span_of(network: Network) -> tuple[str, str]:
    """First and last address that its DHCP gives out; empty texts when it gives out none.

    The first ten addresses of a range are left to routers and servers, as in many real networks.
    """
    if not network.cidr or not network.dhcp:
        return "", ""
    addresses = ip_network(network.cidr)
    last = min(addresses.num_addresses - 2, 1 << 20)
    return network.dhcp_start or str(addresses[min(10, last)]), network.dhcp_end or str(addresses[last])


def subnet_record(subnet: Subnet) -> SubnetRecord:
    return SubnetRecord(
        external_id=subnet.id,
        name=subnet.name,
        network=subnet.network,
        cidr=subnet.cidr,
        zone=subnet.zone,
        is_private=subnet.private,
    )


def firewall_record(firewall: Firewall) -> FirewallRecord:
    return FirewallRecord(
        external_id=firewall.id, name=firewall.name, network=firewall.network, rules=tuple(firewall.rules)
    )


def load_balancer_record(balancer: LoadBalancer) -> LoadBalancerRecord:
    return LoadBalancerRecord(
        external_id=balancer.id,
        name=balancer.name,
        address=balancer.address,
        protocol=balancer.protocol,
        ports=tuple(balancer.ports),
        targets=tuple(balancer.targets),
    )
