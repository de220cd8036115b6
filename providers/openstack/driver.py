"""An open connection to one project of an OpenStack cloud."""

from __future__ import annotations

import logging

from providers.base import (
    Capabilities,
    Config,
    ConsoleFeatures,
    Driver,
    InvalidRequest,
    NetworkMode,
    ProviderError,
)
from providers.openstack.buckets import OpenStackBuckets
from providers.openstack.clones import OpenStackClones
from providers.openstack.clouds_yaml import with_clouds_yaml
from providers.openstack.config import OpenStackConfig
from providers.openstack.connection import Cloud
from providers.openstack.consoles import OpenStackConsoles
from providers.openstack.creation import external_network
from providers.openstack.disks import OpenStackDisks
from providers.openstack.dns import OpenStackDns
from providers.openstack.errors import vendor_calls
from providers.openstack.firewalls import OpenStackFirewalls
from providers.openstack.flavors import OpenStackFlavors
from providers.openstack.host import OpenStackHost
from providers.openstack.images import OpenStackImages
from providers.openstack.load_balancers import OpenStackLoadBalancers
from providers.openstack.machines import OpenStackMachines
from providers.openstack.networks import OpenStackNetworks
from providers.openstack.nics import OpenStackNics
from providers.openstack.plugin import PLUGIN
from providers.openstack.power import OpenStackPower
from providers.openstack.reshape import OpenStackReshape
from providers.openstack.subnets import OpenStackSubnets
from providers.openstack.volumes import OpenStackPools, OpenStackVolumes

logger = logging.getLogger(__name__)


class OpenStackDriver(Driver):
    machines: OpenStackMachines
    power: OpenStackPower
    reshape: OpenStackReshape
    nics: OpenStackNics
    images: OpenStackImages
    disks: OpenStackDisks | None
    volumes: OpenStackVolumes | None
    networks: OpenStackNetworks
    subnets: OpenStackSubnets
    buckets: OpenStackBuckets | None
    dns: OpenStackDns | None
    load_balancers: OpenStackLoadBalancers | None

    def __init__(self, config: Config) -> None:
        """Sign in and read the catalogue; raises Unreachable, AuthenticationFailed, InvalidRequest."""
        if not isinstance(config, OpenStackConfig):
            raise InvalidRequest("This is not the configuration of an OpenStack cloud.")
        self.cloud = cloud = Cloud(with_clouds_yaml(config))
        self.machines = OpenStackMachines(cloud)
        self.power = OpenStackPower(cloud)
        self.reshape = OpenStackReshape(cloud)
        self.nics = OpenStackNics(cloud)
        self.consoles = OpenStackConsoles(cloud)
        self.images = OpenStackImages(cloud)
        self.flavors = OpenStackFlavors(cloud)
        self.networks = OpenStackNetworks(cloud)
        self.subnets = OpenStackSubnets(cloud)
        self.firewalls = OpenStackFirewalls(cloud)
        self.host = OpenStackHost(cloud)
        self.disks, self.volumes = None, None
        if cloud.volume is not None:
            self.disks = OpenStackDisks(cloud)
            self.volumes = OpenStackVolumes(cloud)
            self.pools = OpenStackPools(cloud)
            self.clones = OpenStackClones(cloud)
        self.buckets = OpenStackBuckets(cloud) if cloud.object_store is not None else None
        self.dns = OpenStackDns(cloud) if cloud.dns is not None else None
        self.load_balancers = OpenStackLoadBalancers(cloud) if cloud.load_balancer is not None else None

    def probe(self) -> Capabilities:
        """What this cloud has: services that its catalogue lacks are no capability, and no error."""
        with vendor_calls():
            self.cloud.compute.get("/limits")
            modes = {NetworkMode.ISOLATED}
            try:
                external_network(self.machines)
            except InvalidRequest:
                pass
            else:
                modes.add(NetworkMode.NAT)
        declared = PLUGIN.declares
        missing = {
            name: None for name in Capabilities.model_fields if getattr(self, name) is None or self._refused(name)
        }
        machines, networks = declared.machines, declared.networks
        has_volumes = self.cloud.volume is not None
        changes = {
            "machines": machines.model_copy(
                update={
                    "keep_disks": self.machines.keeps_disks,
                    "create_empty": has_volumes,
                    "several_disks": has_volumes,
                    "full_copy": has_volumes,
                    "zones": self.machines.zones(),
                }
            ),
            "networks": networks and networks.model_copy(update={"modes": frozenset(modes)}),
            "consoles": ConsoleFeatures(kinds=self.machines.console_kinds, output=True),
        }
        return declared.model_copy(update={**changes, **missing}).within(declared)

    def _refused(self, facet: str) -> bool:
        """Whether a service that is in the catalogue, and that not every cloud has, is not there for this project."""
        service, path = {
            "buckets": (self.cloud.object_store, "/"),
            "dns": (self.cloud.dns, "/zones"),
            "load_balancers": (self.cloud.load_balancer, "/lbaas/loadbalancers"),
        }.get(facet, (None, ""))
        if service is None:
            return False
        try:
            with vendor_calls():
                service.raw("GET", path, params={"limit": 1})
        except ProviderError as exc:
            logger.info("The cloud's %s cannot be used: %s (%s)", facet, exc.reason, exc.detail)
            return True
        return False

    def ping(self) -> None:
        with vendor_calls():
            self.cloud.compute.get("/limits")

    def close(self) -> None:
        self.cloud.close()

    @property
    def is_alive(self) -> bool:
        return self.cloud.is_open
