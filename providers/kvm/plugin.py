"""The manifest of the kind "kvm". Imports no libvirt."""

from __future__ import annotations

from providers.base import (
    Capabilities,
    CloneFeatures,
    ConsoleFeatures,
    ConsoleKind,
    DiskFeatures,
    DnsFeatures,
    EventFeatures,
    HostFeatures,
    ImageFeatures,
    MachineFeatures,
    MetricsFeatures,
    MigrationFeatures,
    NetworkFeatures,
    NetworkMode,
    NicFeatures,
    Plugin,
    PoolFeatures,
    PowerFeatures,
    ReshapeFeatures,
    SnapshotFeatures,
    VolumeFeatures,
)
from providers.kvm.config import KvmConfig
from providers.kvm.options import KvmOptions

PLUGIN = Plugin(
    kind="kvm",
    label="KVM / libvirt",
    aliases=("libvirt",),
    config=KvmConfig,
    options=KvmOptions,
    driver="providers.kvm.driver:KvmDriver",
    extra="kvm",
    summary="A Linux host that runs VMs with KVM or QEMU, through libvirt: this machine or a remote one.",
    docs="providers/kvm.md",
    declares=Capabilities(
        machines=MachineFeatures(
            create_from_image=True,
            create_from_iso=True,
            create_empty=True,
            own_size=True,
            cloud_init=True,
            several_disks=True,
            several_nics=True,
            full_copy=True,
            keep_disks=True,
            description=True,
            firmwares=frozenset({"bios", "uefi"}),
        ),
        power=PowerFeatures(pause=True, soft_stop=True, reset=True),
        reshape=ReshapeFeatures(
            vcpus=True,
            memory=True,
            rename=True,
            autostart=True,
            description=True,
            metadata=True,
            hot_vcpus=True,
            hot_memory=True,
            options=True,
            remove_cloud_init=True,
        ),
        disks=DiskFeatures(
            hot_plug=True,
            grow=True,
            existing=True,
            iso=True,
            shared=True,
            move=True,
            buses=frozenset({"virtio", "scsi", "sata"}),
            caches=frozenset({"none", "writeback", "writethrough", "directsync", "unsafe"}),
        ),
        snapshots=SnapshotFeatures(memory=True, while_running=True, tree=True, external=True),
        clones=CloneFeatures(linked=True, full=True, export=True),
        migration=MigrationFeatures(live=True, offline=True, copy_storage=True),
        consoles=ConsoleFeatures(
            kinds=frozenset({ConsoleKind.VNC, ConsoleKind.SERIAL, ConsoleKind.SPICE}), send_keys=True, screenshot=True
        ),
        pools=PoolFeatures(
            create=True, update=True, types=frozenset({"dir", "fs", "netfs", "logical", "iscsi", "rbd"})
        ),
        volumes=VolumeFeatures(
            create=True,
            grow=True,
            clone=True,
            upload=True,
            download=True,
            thick=True,
            formats=frozenset({"qcow2", "raw"}),
        ),
        images=ImageFeatures(
            add_from_url=True,
            add_from_file=True,
            upload=True,
            download=True,
            delete=True,
            isos=True,
            formats=frozenset({"qcow2", "raw", "iso"}),
        ),
        nics=NicFeatures(
            hot_plug=True,
            mac=True,
            change_network=True,
            change_model=True,
            link=True,
            isolation=True,
            vlan=True,
            filters=frozenset(
                {"clean-traffic", "clean-traffic-gateway", "no-mac-spoofing", "no-ip-spoofing", "no-arp-spoofing"}
            ),
            models=frozenset({"virtio", "e1000e", "e1000", "rtl8139"}),
        ),
        dns=DnsFeatures(zones=True, types=frozenset({"A", "AAAA"})),
        networks=NetworkFeatures(
            create=True,
            update=True,
            activate=True,
            leases=True,
            static_leases=True,
            dns_hosts=True,
            dhcp_range=True,
            ipv6=True,
            vlan=True,
            mtu=True,
            forward_device=True,
            modes=frozenset(
                {NetworkMode.NAT, NetworkMode.ROUTE, NetworkMode.OPEN, NetworkMode.ISOLATED, NetworkMode.BRIDGE}
            ),
        ),
        host=HostFeatures(overcommit=True),
        metrics=MetricsFeatures(vms=True, host=True, memory_used=True),
        events=EventFeatures(restarts=True),
    ),
)
