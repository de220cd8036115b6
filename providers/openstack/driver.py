"""An open connection to one project of an OpenStack cloud."""

from __future__ import annotations

from providers.base import Capabilities, Config, ConsoleFeatures, Driver, InvalidRequest, NetworkMode
from providers.openstack.clones import OpenStackClones
from providers.openstack.clouds_yaml import with_clouds_yaml
from providers.openstack.config import OpenStackConfig
from providers.openstack.connection import Cloud
from providers.openstack.consoles import OpenStackConsoles
from providers.openstack.creation import external_network
from providers.openstack.disks import OpenStackDisks
from providers.openstack.errors import vendor_calls
from providers.openstack.firewalls import OpenStackFirewalls
from providers.openstack.flavors import OpenStackFlavors
from providers.openstack.host import OpenStackHost
from providers.openstack.images import OpenStackImages
from providers.openstack.machines import OpenStackMachines
from providers.openstack.networks import OpenStackNetworks
from providers.openstack.nics import OpenStackNics
from providers.openstack.plugin import PLUGIN
from providers.openstack.power import OpenStackPower
from providers.openstack.reshape import OpenStackReshape
from providers.openstack.volumes import OpenStackPools, OpenStackVolumes


class OpenStackDriver(Driver):
    machines: OpenStackMachines
    power: OpenStackPower
    reshape: OpenStackReshape
    nics: OpenStackNics
    images: OpenStackImages
    disks: OpenStackDisks | None
    volumes: OpenStackVolumes | None
    networks: OpenStackNetworks

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
        self.firewalls = OpenStackFirewalls(cloud)
        self.host = OpenStackHost(cloud)
        self.disks, self.volumes = None, None
        if cloud.volume is not None:
            self.disks = OpenStackDisks(cloud)
            self.volumes = OpenStackVolumes(cloud)
            self.pools = OpenStackPools(cloud)
            self.clones = OpenStackClones(cloud)

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
        missing = {name: None for name in Capabilities.model_fields if getattr(self, name) is None}
        machines, networks = declared.machines, declared.networks
        has_volumes = self.cloud.volume is not None
        changes = {
            "machines": machines.model_copy(
                update={
                    "keep_disks": self.machines.keeps_disks,
                    "create_empty": has_volumes,
                    "several_disks": has_volumes,
                    "full_copy": has_volumes,
                }
            ),
            "networks": networks and networks.model_copy(update={"modes": frozenset(modes)}),
            "consoles": ConsoleFeatures(kinds=self.machines.console_kinds),
        }
        return declared.model_copy(update={**changes, **missing}).within(declared)

    def ping(self) -> None:
        with vendor_calls():
            self.cloud.compute.get("/limits")

    def close(self) -> None:
        self.cloud.close()

    @property
    def is_alive(self) -> bool:
        return self.cloud.is_open
