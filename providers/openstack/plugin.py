"""The manifest of the kind "openstack". Imports no SDK."""

from __future__ import annotations

from providers.base import (
    Capabilities,
    CloneFeatures,
    ConsoleFeatures,
    ConsoleKind,
    DiskFeatures,
    FirewallFeatures,
    FlavorFeatures,
    HostFeatures,
    ImageFeatures,
    MachineFeatures,
    NetworkFeatures,
    NetworkMode,
    NicFeatures,
    Plugin,
    PoolFeatures,
    PowerFeatures,
    ReshapeFeatures,
    VolumeFeatures,
)
from providers.openstack.config import OpenStackConfig
from providers.openstack.options import OpenStackOptions

PLUGIN = Plugin(
    kind="openstack",
    label="OpenStack",
    config=OpenStackConfig,
    options=OpenStackOptions,
    driver="providers.openstack.driver:OpenStackDriver",
    extra="openstack",
    summary="A project of an OpenStack cloud: a company's own, or one that is rented.",
    docs="providers/openstack.md",
    icon="cloud",
    declares=Capabilities(
        machines=MachineFeatures(
            create_from_image=True,
            create_empty=True,
            cloud_init=True,
            several_disks=True,
            several_nics=True,
            full_copy=True,
            keep_disks=True,
            description=True,
        ),
        power=PowerFeatures(pause=True, soft_stop=True, reset=True),
        reshape=ReshapeFeatures(flavor=True, rename=True, description=True, metadata=True),
        disks=DiskFeatures(hot_plug=True, grow=True, existing=True),
        nics=NicFeatures(hot_plug=True, mac=True, link=True, public_address=True),
        clones=CloneFeatures(full=True, export=True),
        consoles=ConsoleFeatures(kinds=frozenset({ConsoleKind.VNC, ConsoleKind.SERIAL})),
        pools=PoolFeatures(),
        volumes=VolumeFeatures(create=True, grow=True, clone=True),
        images=ImageFeatures(
            add_from_url=True,
            add_from_file=True,
            download=True,
            delete=True,
            isos=True,
            formats=frozenset({"qcow2", "raw", "iso"}),
        ),
        flavors=FlavorFeatures(),
        networks=NetworkFeatures(
            create=True,
            update=True,
            activate=True,
            leases=True,
            dhcp_range=True,
            ipv6=True,
            mtu=True,
            modes=frozenset({NetworkMode.NAT, NetworkMode.ISOLATED}),
        ),
        firewalls=FirewallFeatures(attach=True),
        host=HostFeatures(),
    ),
)
