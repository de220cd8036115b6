"""The driver: one account in one region, and its facets."""

from __future__ import annotations

from providers.aws import placement, rights, serial_hosts
from providers.aws.buckets import AwsBuckets
from providers.aws.clones import AwsClones
from providers.aws.cloud import Cloud
from providers.aws.config import AwsConfig
from providers.aws.consoles import AwsConsoles
from providers.aws.disks import AwsDisks
from providers.aws.dns import AwsDns
from providers.aws.firewalls import AwsFirewalls
from providers.aws.flavors import AwsFlavors
from providers.aws.host import AwsHost
from providers.aws.images import AwsImages
from providers.aws.load_balancers import AwsLoadBalancers
from providers.aws.machines import AwsMachines
from providers.aws.networks import AwsNetworks
from providers.aws.nics import AwsNics
from providers.aws.plugin import PLUGIN
from providers.aws.power import AwsPower
from providers.aws.reshape import AwsReshape
from providers.aws.snapshots import AwsSnapshots
from providers.aws.subnets import AwsSubnets
from providers.aws.volumes import AwsPools, AwsVolumes
from providers.base import Capabilities, Config, ConsoleFeatures, ConsoleKind, Driver, Features


class AwsDriver(Driver):
    """Safe to use from several threads: the SDK's clients are, and the facets keep nothing of their own."""

    machines: AwsMachines
    power: AwsPower | None
    disks: AwsDisks
    nics: AwsNics
    snapshots: AwsSnapshots
    volumes: AwsVolumes
    images: AwsImages
    flavors: AwsFlavors
    networks: AwsNetworks
    host: AwsHost
    buckets: AwsBuckets | None

    def __init__(self, config: Config) -> None:
        """Asks who the key belongs to and what it may, once per process and ten minutes."""
        self.config = config if isinstance(config, AwsConfig) else AwsConfig.read(config.model_dump())
        self.cloud = Cloud(self.config)
        self._equip(rights.known(self.cloud))

    def _equip(self, found: rights.Rights) -> None:
        """The facets that this key can use."""
        cloud = self.cloud
        self.machines = AwsMachines(cloud)
        self.power = AwsPower(cloud) if "power" in found.may else None
        self.reshape = AwsReshape(cloud)
        self.disks = AwsDisks(cloud)
        self.nics = AwsNics(cloud)
        self.snapshots = AwsSnapshots(cloud)
        self.clones = AwsClones(cloud)
        self.consoles = AwsConsoles(cloud) if found.may & {"serial", "screenshot"} else None
        self.pools = AwsPools(cloud)
        self.volumes = AwsVolumes(cloud)
        self.images = AwsImages(cloud)
        self.flavors = AwsFlavors(cloud)
        self.networks = AwsNetworks(cloud)
        self.subnets = AwsSubnets(cloud)
        self.firewalls = AwsFirewalls(cloud)
        self.buckets = AwsBuckets(cloud) if "buckets" in found.may else None
        self.dns = AwsDns(cloud) if "dns" in found.may else None
        self.load_balancers = AwsLoadBalancers(cloud) if "load_balancers" in found.may else None
        self.host = AwsHost(cloud)

    def probe(self) -> Capabilities:
        """Ask again what the key may; what it lacks is not there, and what VMs cannot be without is an error."""
        found = rights.asked(self.cloud)
        self._equip(found)
        missing = {name: None for name in Capabilities.model_fields if getattr(self, name) is None}
        declared = PLUGIN.declares.model_copy(update=missing)
        features: dict[str, Features] = {
            "machines": declared.machines.model_copy(
                update={
                    "option_choices": rights.choices(self.cloud),
                    "zones": {zone: zone for zone in placement.zones(self.cloud)},
                    "create_from_image": "create" in found.may,
                }
            )
        }
        if declared.consoles is not None:
            is_reached = "serial" in found.may and serial_hosts.place(self.cloud) is not None
            features["consoles"] = ConsoleFeatures(
                kinds=frozenset({ConsoleKind.SERIAL} if is_reached else ()),
                screenshot="screenshot" in found.may,
                output="output" in found.may,
            )
        if declared.images is not None and "import" not in found.may:
            features["images"] = declared.images.model_copy(update={"add_from_url": False, "add_from_file": False})
        return declared.model_copy(update=features).within(declared)

    def ping(self) -> None:
        self.cloud.call("sts", "get_caller_identity")

    def close(self) -> None:
        self.cloud.is_open = False

    @property
    def is_alive(self) -> bool:
        return self.cloud.is_open
