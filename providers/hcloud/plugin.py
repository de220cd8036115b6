"""The manifest of the kind "hcloud". Imports no SDK."""

from __future__ import annotations

from providers.base import (
    Capabilities,
    CloneFeatures,
    ConsoleFeatures,
    ConsoleKind,
    DiskFeatures,
    DnsFeatures,
    EventFeatures,
    FirewallFeatures,
    FlavorFeatures,
    HostFeatures,
    ImageFeatures,
    LoadBalancerFeatures,
    MachineFeatures,
    NetworkFeatures,
    NetworkMode,
    NicFeatures,
    Plugin,
    PowerFeatures,
    ReshapeFeatures,
    SnapshotFeatures,
    SubnetFeatures,
    VolumeFeatures,
)
from providers.hcloud.config import HcloudConfig, HcloudOptions

PLUGIN = Plugin(
    kind="hcloud",
    label="Hetzner Cloud",
    aliases=("hetzner",),
    config=HcloudConfig,
    options=HcloudOptions,
    driver="providers.hcloud.driver:HcloudDriver",
    extra="hcloud",
    summary="A project at Hetzner Cloud: servers by the hour in Europe, America and Asia.",
    docs="providers/hcloud.md",
    icon="cloud",
    declares=Capabilities(
        machines=MachineFeatures(
            create_from_image=True, cloud_init=True, several_disks=True, several_nics=True, keep_disks=True
        ),
        power=PowerFeatures(soft_stop=True, reset=True),
        reshape=ReshapeFeatures(flavor=True, rename=True, metadata=True, options=True),
        disks=DiskFeatures(hot_plug=True, grow=True, existing=True, iso=True, least_gib=10),
        nics=NicFeatures(hot_plug=True),
        snapshots=SnapshotFeatures(while_running=True, tree=True),
        clones=CloneFeatures(full=True, export=True),
        consoles=ConsoleFeatures(kinds=frozenset({ConsoleKind.VNC})),
        volumes=VolumeFeatures(create=True, grow=True),
        images=ImageFeatures(delete=True, isos=True),
        flavors=FlavorFeatures(),
        networks=NetworkFeatures(create=True, modes=frozenset({NetworkMode.PROVIDER})),
        subnets=SubnetFeatures(create=True),
        firewalls=FirewallFeatures(attach=True),
        dns=DnsFeatures(zones=True, types=frozenset({"A", "AAAA", "CNAME", "TXT", "MX", "SRV", "CAA", "NS", "PTR"})),
        load_balancers=LoadBalancerFeatures(),
        host=HostFeatures(),
        events=EventFeatures(),
    ),
)
