"""The manifest of the kind "aws". Imports no SDK."""

from __future__ import annotations

from providers.aws.config import AwsConfig, AwsOptions
from providers.base import (
    Capabilities,
    FlavorFeatures,
    MachineFeatures,
    Plugin,
    PowerFeatures,
    SnapshotFeatures,
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
        snapshots=SnapshotFeatures(while_running=True, tree=True),
        flavors=FlavorFeatures(),
    ),
)
