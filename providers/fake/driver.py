"""An open connection to a simulated cloud."""

from __future__ import annotations

from providers.base import Capabilities, Config, Driver, InvalidRequest
from providers.fake.buckets import FakeBuckets
from providers.fake.clones import FakeClones
from providers.fake.cloud import Cloud
from providers.fake.config import FakeConfig
from providers.fake.consoles import FakeConsoles
from providers.fake.disks import FakeDisks
from providers.fake.dns import FakeDns
from providers.fake.events import FakeEvents
from providers.fake.firewalls import FakeFirewalls
from providers.fake.flavors import FakeFlavors
from providers.fake.host import FakeHost
from providers.fake.images import FakeImages
from providers.fake.load_balancers import FakeLoadBalancers
from providers.fake.machines import FakeMachines
from providers.fake.metrics import FakeMetrics
from providers.fake.migration import FakeMigration
from providers.fake.networks import FakeNetworks
from providers.fake.nics import FakeNics
from providers.fake.plugin import CAPABILITIES
from providers.fake.pools import FakePools
from providers.fake.power import FakePower
from providers.fake.reshape import FakeReshape
from providers.fake.snapshots import FakeSnapshots
from providers.fake.subnets import FakeSubnets
from providers.fake.volumes import FakeVolumes

#: machines is not here: no provider is without it.
OPTIONAL = frozenset(Capabilities.model_fields) - {"machines"}


class FakeDriver(Driver):
    """Safe to use from several threads; `cloud` is open to tests: faults, the count of calls, the store."""

    def __init__(self, config: Config) -> None:
        if not isinstance(config, FakeConfig):
            raise InvalidRequest("This is not the configuration of a simulated cloud.")
        unknown = set(config.without) - OPTIONAL
        if unknown:
            raise InvalidRequest(f"There is no facet “{sorted(unknown)[0]}” to hide.", field="without")
        self.config = config
        self.cloud = cloud = Cloud(config)
        self.machines = FakeMachines(cloud)
        self.power = FakePower(cloud)
        self.reshape = FakeReshape(cloud)
        self.disks = FakeDisks(cloud)
        self.nics = FakeNics(cloud)
        self.snapshots = FakeSnapshots(cloud)
        self.clones = FakeClones(cloud)
        self.migration = FakeMigration(cloud)
        self.consoles = FakeConsoles(cloud)
        self.pools = FakePools(cloud)
        self.volumes = FakeVolumes(cloud)
        self.images = FakeImages(cloud)
        self.flavors = FakeFlavors(cloud)
        self.networks = FakeNetworks(cloud)
        self.subnets = FakeSubnets(cloud)
        self.firewalls = FakeFirewalls(cloud)
        self.buckets = FakeBuckets(cloud)
        self.dns = FakeDns(cloud)
        self.load_balancers = FakeLoadBalancers(cloud)
        self.host = FakeHost(cloud)
        self.metrics = FakeMetrics(cloud)
        self.events = FakeEvents(cloud)
        for facet in config.without:
            setattr(self, facet, None)

    def probe(self) -> Capabilities:
        with self.cloud.reading("driver.probe"):
            return CAPABILITIES.model_copy(update=dict.fromkeys(self.config.without))

    def close(self) -> None:
        self.cloud.close()

    @property
    def is_alive(self) -> bool:
        return self.cloud.store.is_open
