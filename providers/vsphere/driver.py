"""The driver: one session at a vCenter or ESXi host, and its facets."""

from __future__ import annotations

from providers.base import Capabilities, Config, Driver, Features
from providers.vsphere import privileges
from providers.vsphere.clones import VsphereClones
from providers.vsphere.config import VsphereConfig
from providers.vsphere.connection import Connection, demand_open
from providers.vsphere.consoles import VsphereConsoles
from providers.vsphere.disks import VsphereDisks
from providers.vsphere.errors import vendor_calls
from providers.vsphere.events import VsphereEvents
from providers.vsphere.host import VsphereHost
from providers.vsphere.images import VsphereImages
from providers.vsphere.machines import VsphereMachines
from providers.vsphere.metrics import VsphereMetrics
from providers.vsphere.networks import VsphereNetworks
from providers.vsphere.nics import VsphereNics
from providers.vsphere.plugin import PLUGIN
from providers.vsphere.pools import VspherePools
from providers.vsphere.power import VspherePower
from providers.vsphere.properties import read_one
from providers.vsphere.reshape import VsphereReshape
from providers.vsphere.site import read_site
from providers.vsphere.snapshots import VsphereSnapshots
from providers.vsphere.volumes import VsphereVolumes


class VsphereDriver(Driver):
    """For one thread at a time."""

    machines: VsphereMachines
    power: VspherePower
    snapshots: VsphereSnapshots
    reshape: VsphereReshape
    disks: VsphereDisks
    nics: VsphereNics
    clones: VsphereClones | None
    consoles: VsphereConsoles
    pools: VspherePools
    volumes: VsphereVolumes
    images: VsphereImages
    networks: VsphereNetworks
    host: VsphereHost
    metrics: VsphereMetrics
    events: VsphereEvents

    def __init__(self, config: Config) -> None:
        """Sign in within the deadline; raises Unreachable, AuthenticationFailed, InvalidRequest."""
        self.config = config if isinstance(config, VsphereConfig) else VsphereConfig.read(config.model_dump())
        self.connection = Connection(self.config)
        parts = (self.connection, self.config)
        self.machines = VsphereMachines(*parts)
        self.power = VspherePower(*parts)
        self.snapshots = VsphereSnapshots(*parts)
        self.reshape = VsphereReshape(*parts)
        self.disks = VsphereDisks(*parts)
        self.nics = VsphereNics(*parts)
        # A single host has no clones: that is the vCenter's work.
        self.clones = VsphereClones(*parts) if self.connection.is_vcenter else None
        self.consoles = VsphereConsoles(*parts)
        self.pools = VspherePools(*parts)
        self.volumes = VsphereVolumes(*parts)
        self.images = VsphereImages(*parts)
        self.networks = VsphereNetworks(*parts)
        self.host = VsphereHost(*parts)
        self.metrics = VsphereMetrics(*parts)
        self.events = VsphereEvents(*parts)

    def probe(self) -> Capabilities:
        """What this server can do and the account may; also whether the configured datacenter and folder are there."""
        demand_open(self.connection)
        with vendor_calls():
            site = read_site(self.connection)
            missing = privileges.lacking(self.connection, site)
            clusters = site.of("ClusterComputeResource", "ComputeResource")
        declared = PLUGIN.declares
        zones = {name: name for name in sorted(each.text("name") for each in clusters)}
        found: dict[str, Features | None] = {"machines": declared.machines.model_copy(update={"zones": zones})}
        if not self.connection.is_vcenter:
            fewer = {"zones": zones, "create_from_image": False, "full_copy": False}
            found = {"machines": declared.machines.model_copy(update=fewer), "clones": None}
        return privileges.offered(declared.model_copy(update=found), missing)

    def ping(self) -> None:
        demand_open(self.connection)
        with vendor_calls():
            read_one(self.connection, self.connection.datacenter, "name")

    def close(self) -> None:
        self.connection.close()

    @property
    def is_alive(self) -> bool:
        return self.connection.is_open
