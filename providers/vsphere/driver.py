"""The driver: one session at a vCenter or ESXi host, and its facets."""

from __future__ import annotations

from providers.base import Capabilities, Config, Driver
from providers.vsphere.config import VsphereConfig
from providers.vsphere.connection import Connection, demand_open
from providers.vsphere.errors import vendor_calls
from providers.vsphere.machines import VsphereMachines
from providers.vsphere.plugin import PLUGIN
from providers.vsphere.power import VspherePower
from providers.vsphere.site import vm_folder


class VsphereDriver(Driver):
    """For one thread at a time."""

    machines: VsphereMachines
    power: VspherePower

    def __init__(self, config: Config) -> None:
        """Sign in within the deadline; raises Unreachable, AuthenticationFailed, InvalidRequest."""
        self.config = config if isinstance(config, VsphereConfig) else VsphereConfig.read(config.model_dump())
        self.connection = Connection(self.config)
        parts = (self.connection, self.config)
        self.machines = VsphereMachines(*parts)
        self.power = VspherePower(*parts)

    def probe(self) -> Capabilities:
        """What this server can do; also whether the configured datacenter and folder are there."""
        demand_open(self.connection)
        with vendor_calls():
            self.ping()
            vm_folder(self.connection)
        declared = PLUGIN.declares
        found = {}
        if not self.connection.is_vcenter:
            found["machines"] = declared.machines.model_copy(update={"create_from_image": False})
        return declared.model_copy(update=found).within(declared)

    def ping(self) -> None:
        demand_open(self.connection)
        with vendor_calls():
            # The time alone is told without a session, too.
            session = self.connection.content.sessionManager
            session._stub.raw(session, "SessionIsActive", "", self.config.username)

    def close(self) -> None:
        self.connection.close()

    @property
    def is_alive(self) -> bool:
        return self.connection.is_open
