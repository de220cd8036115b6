"""The manifest of the kind "vsphere". Imports no SDK."""

from __future__ import annotations

from providers.base import (
    Capabilities,
    CloneFeatures,
    ConsoleFeatures,
    ConsoleKind,
    DiskFeatures,
    EventFeatures,
    HostFeatures,
    ImageFeatures,
    MachineFeatures,
    MetricsFeatures,
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
from providers.vsphere.config import VsphereConfig, VsphereOptions

PLUGIN = Plugin(
    kind="vsphere",
    label="VMware vSphere",
    aliases=("vmware", "vcenter", "esxi"),
    config=VsphereConfig,
    options=VsphereOptions,
    driver="providers.vsphere.driver:VsphereDriver",
    extra="vsphere",
    summary="A vCenter with its clusters, or a single ESXi host.",
    docs="providers/vsphere.md",
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
            guest=True,
        ),
        power=PowerFeatures(pause=True, soft_stop=True, reset=True),
        reshape=ReshapeFeatures(
            vcpus=True,
            memory=True,
            rename=True,
            description=True,
            metadata=True,
            hot_vcpus=True,
            hot_memory=True,
            remove_cloud_init=True,
        ),
        disks=DiskFeatures(
            hot_plug=True,
            grow=True,
            existing=True,
            iso=True,
            shared=True,
            move=True,
            buses=frozenset({"scsi", "sata", "nvme"}),
        ),
        nics=NicFeatures(
            hot_plug=True, change_network=True, link=True, mac=True, models=frozenset({"vmxnet3", "e1000e", "e1000"})
        ),
        snapshots=SnapshotFeatures(memory=True, while_running=True, tree=True),
        clones=CloneFeatures(linked=True, full=True, export=True, template=True),
        consoles=ConsoleFeatures(kinds=frozenset({ConsoleKind.VNC})),
        pools=PoolFeatures(),
        volumes=VolumeFeatures(create=True, grow=True, clone=True, thick=True, formats=frozenset({"vmdk"})),
        images=ImageFeatures(
            add_from_url=True, add_from_file=True, delete=True, isos=True, formats=frozenset({"iso", "ova", "vmdk"})
        ),
        networks=NetworkFeatures(create=True, update=True, vlan=True, modes=frozenset({NetworkMode.BRIDGE})),
        host=HostFeatures(),
        metrics=MetricsFeatures(vms=True, host=True, memory_used=True),
        events=EventFeatures(),
    ),
)
