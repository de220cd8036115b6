"""The manifest of the kind "kvm". Imports no libvirt."""

from __future__ import annotations

from providers.base import (
    Capabilities,
    ConsoleFeatures,
    ConsoleKind,
    EventFeatures,
    HostFeatures,
    ImageFeatures,
    MachineFeatures,
    MetricsFeatures,
    NetworkFeatures,
    NetworkMode,
    Plugin,
    PoolFeatures,
    PowerFeatures,
    ReshapeFeatures,
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
        reshape=ReshapeFeatures(vcpus=True, memory=True, rename=True, autostart=True, description=True, metadata=True),
        consoles=ConsoleFeatures(kinds=frozenset({ConsoleKind.VNC, ConsoleKind.SERIAL})),
        pools=PoolFeatures(create=True, types=frozenset({"dir"})),
        volumes=VolumeFeatures(create=True, grow=True, formats=frozenset({"qcow2", "raw"})),
        images=ImageFeatures(add_from_file=True, delete=True, isos=True, formats=frozenset({"qcow2", "raw", "iso"})),
        networks=NetworkFeatures(
            create=True,
            update=True,
            modes=frozenset(
                {NetworkMode.NAT, NetworkMode.ROUTE, NetworkMode.OPEN, NetworkMode.ISOLATED, NetworkMode.BRIDGE}
            ),
        ),
        host=HostFeatures(overcommit=True),
        metrics=MetricsFeatures(vms=True, host=True, memory_used=True),
        events=EventFeatures(),
    ),
)
