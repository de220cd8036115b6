"""The manifest of the kind "aws". Imports no SDK."""

from __future__ import annotations

from providers.aws.config import AwsConfig, AwsOptions
from providers.base import (
    BucketFeatures,
    Capabilities,
    CloneFeatures,
    ConsoleFeatures,
    ConsoleKind,
    DiskFeatures,
    DnsFeatures,
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
    PoolFeatures,
    PowerFeatures,
    ReshapeFeatures,
    SnapshotFeatures,
    SubnetFeatures,
    VolumeFeatures,
)

PLUGIN = Plugin(
    kind="aws",
    label="Amazon Web Services",
    aliases=("ec2", "amazon"),
    config=AwsConfig,
    options=AwsOptions,
    driver="providers.aws.driver:AwsDriver",
    extra="aws",
    icon="cloud",
    summary="One account in one region of AWS: EC2 instances with their disks, networks, images and names.",
    docs="providers/aws.md",
    declares=Capabilities(
        machines=MachineFeatures(
            create_from_image=True,
            cloud_init=True,
            several_disks=True,
            several_nics=True,
            keep_disks=True,
            description=True,
        ),
        power=PowerFeatures(soft_stop=True),
        reshape=ReshapeFeatures(flavor=True, rename=True, description=True, metadata=True, remove_cloud_init=True),
        disks=DiskFeatures(hot_plug=True, grow=True, existing=True),
        nics=NicFeatures(hot_plug=True, public_address=True),
        snapshots=SnapshotFeatures(while_running=True, tree=True),
        clones=CloneFeatures(full=True, export=True),
        consoles=ConsoleFeatures(kinds=frozenset({ConsoleKind.SERIAL}), screenshot=True, output=True),
        pools=PoolFeatures(types=frozenset({"zone"})),
        volumes=VolumeFeatures(
            create=True, grow=True, clone=True, formats=frozenset({"gp3", "gp2", "standard", "st1", "sc1"})
        ),
        images=ImageFeatures(
            add_from_url=True, add_from_file=True, delete=True, formats=frozenset({"raw", "vmdk", "vhd", "ami"})
        ),
        flavors=FlavorFeatures(),
        networks=NetworkFeatures(create=True, modes=frozenset({NetworkMode.PROVIDER})),
        subnets=SubnetFeatures(create=True),
        firewalls=FirewallFeatures(attach=True),
        buckets=BucketFeatures(public=True),
        dns=DnsFeatures(zones=True, types=frozenset({"A", "AAAA", "CNAME", "TXT", "SRV", "MX"})),
        load_balancers=LoadBalancerFeatures(),
        host=HostFeatures(),
    ),
)
