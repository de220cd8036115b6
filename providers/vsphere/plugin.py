"""The manifest of the kind "vsphere". Imports no SDK."""

from __future__ import annotations

from providers.base import (
    Capabilities,
    MachineFeatures,
    Plugin,
    PowerFeatures,
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
        ),
        power=PowerFeatures(pause=True, soft_stop=True, reset=True),
    ),
)
