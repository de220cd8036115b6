"""The manifest of the simulated cloud: it declares every facet and every feature."""

from __future__ import annotations

from providers.base import (
    BucketFeatures,
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
    MigrationFeatures,
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
from providers.fake.config import FakeConfig, FakeOptions

CAPABILITIES = Capabilities(
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
        vcpus=True, memory=True, flavor=True, rename=True, autostart=True, description=True, metadata=True
    ),
    disks=DiskFeatures(
        hot_plug=True, grow=True, existing=True, iso=True, buses=frozenset({"virtio", "scsi", "sata", "ide"})
    ),
    nics=NicFeatures(hot_plug=True, change_network=True, models=frozenset({"virtio", "e1000"})),
    snapshots=SnapshotFeatures(memory=True, while_running=True, tree=True, external=True),
    clones=CloneFeatures(linked=True, full=True, export=True),
    migration=MigrationFeatures(live=True, offline=True, copy_storage=True),
    consoles=ConsoleFeatures(kinds=frozenset({ConsoleKind.VNC, ConsoleKind.SERIAL})),
    pools=PoolFeatures(create=True, types=frozenset({"dir", "logical", "zfs"})),
    volumes=VolumeFeatures(create=True, grow=True, formats=frozenset({"qcow2", "raw"})),
    images=ImageFeatures(
        add_from_url=True,
        add_from_file=True,
        delete=True,
        isos=True,
        formats=frozenset({"qcow2", "raw", "iso"}),
    ),
    flavors=FlavorFeatures(),
    networks=NetworkFeatures(create=True, update=True, modes=frozenset(NetworkMode)),
    subnets=SubnetFeatures(create=True),
    firewalls=FirewallFeatures(attach=True),
    buckets=BucketFeatures(public=True),
    dns=DnsFeatures(zones=True),
    load_balancers=LoadBalancerFeatures(),
    host=HostFeatures(overcommit=False),
    events=EventFeatures(),
)

PLUGIN = Plugin(
    kind="fake",
    label="Simulated cloud",
    config=FakeConfig,
    declares=CAPABILITIES,
    driver="providers.fake.driver:FakeDriver",
    options=FakeOptions,
    summary="A whole cloud in one file: for looking around, for demonstrations and for tests.",
    docs="providers/fake.md",
    icon="ghost-2",
    aliases=("simulated",),
)
