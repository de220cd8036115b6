"""The driver: one hypervisor's connection and its facets."""

from __future__ import annotations

from typing import cast

from providers.base import Capabilities, Config, ConsoleFeatures, ConsoleKind, Driver, Features
from providers.kvm import connection as connections
from providers.kvm import offers, plugs, pools
from providers.kvm.clones import KvmClones
from providers.kvm.config import KvmConfig
from providers.kvm.consoles import KvmConsoles
from providers.kvm.disks import KvmDisks
from providers.kvm.dns import KvmDns
from providers.kvm.errors import vendor_calls
from providers.kvm.events import KvmEvents
from providers.kvm.host import KvmHost
from providers.kvm.hostfacts import host_facts
from providers.kvm.images import KvmImages
from providers.kvm.machines import KvmMachines
from providers.kvm.metrics import KvmMetrics
from providers.kvm.migration import KvmMigration
from providers.kvm.networks import KvmNetworks
from providers.kvm.nics import KvmNics
from providers.kvm.plugin import PLUGIN
from providers.kvm.pools import KvmPools
from providers.kvm.power import KvmPower
from providers.kvm.reshape import KvmReshape
from providers.kvm.snapshots import KvmSnapshots
from providers.kvm.volumes import KvmVolumes


class KvmDriver(Driver):
    """Safe to use from several threads: libvirt's connection is, and the facets keep nothing of their own."""

    machines: KvmMachines
    power: KvmPower
    reshape: KvmReshape
    snapshots: KvmSnapshots
    clones: KvmClones
    migration: KvmMigration
    disks: KvmDisks
    consoles: KvmConsoles
    pools: KvmPools
    volumes: KvmVolumes
    images: KvmImages
    networks: KvmNetworks
    nics: KvmNics
    dns: KvmDns
    host: KvmHost
    metrics: KvmMetrics
    events: KvmEvents | None

    def __init__(self, config: Config) -> None:
        """Connect, or share a connection of this process; raises Unreachable within `open_timeout_s`."""
        self.config = config if isinstance(config, KvmConfig) else KvmConfig.read(config.model_dump())
        self.connection = connections.acquire(self.config)
        self._is_open = True
        parts = (self.connection, self.config)
        self.machines = KvmMachines(*parts)
        self.power = KvmPower(*parts)
        self.consoles = KvmConsoles(*parts)
        self.reshape = KvmReshape(*parts)
        self.snapshots = KvmSnapshots(*parts)
        self.clones = KvmClones(*parts)
        self.migration = KvmMigration(*parts)
        self.disks = KvmDisks(*parts)
        self.pools = KvmPools(*parts)
        self.volumes = KvmVolumes(*parts)
        self.images = KvmImages(*parts)
        self.networks = KvmNetworks(*parts)
        self.nics = KvmNics(*parts)
        self.dns = KvmDns(*parts)
        self.host = KvmHost(*parts)
        self.metrics = KvmMetrics(*parts)
        # A process that was forked after it had talked to libvirt gets no events, and says so.
        self.events = KvmEvents(*parts) if self.connection.has_events else None

    def probe(self) -> Capabilities:
        """What this host offers of what the kind declares; raises InvalidRequest when it can run no VM at all."""
        with vendor_calls():
            self.raw_version()
            facts = host_facts(self.connection, self.config)
            cards = plugs.features(self.connection.raw)
            pool_types = pools.types(self.connection.raw)
        missing = {name: None for name in Capabilities.model_fields if getattr(self, name) is None}
        declared = PLUGIN.declares.model_copy(update=missing)
        firmwares = frozenset({"bios"} if facts.is_x86 else ()) | frozenset({"uefi"} if facts.has_efi else ())
        found: dict[str, Features] = {
            "machines": declared.machines.model_copy(
                update={
                    "firmwares": firmwares,
                    "option_choices": offers.choices(facts),
                    "option_refusals": offers.refusals(facts),
                }
            )
        }
        if declared.pools is not None:
            found["pools"] = declared.pools.model_copy(update={"types": pool_types})
        if declared.nics is not None:
            found["nics"] = declared.nics.model_copy(update=cards)
        kinds = {ConsoleKind.SERIAL}
        if self.config.is_local or self.config.transport == "ssh":
            # Otherwise the screen listens on the host's loopback, where neither TLS nor TCP to libvirt leads.
            kinds.add(ConsoleKind.VNC)
        if facts.has_spice:
            kinds.add(ConsoleKind.SPICE)
        found["consoles"] = ConsoleFeatures(kinds=frozenset(kinds), send_keys=True, screenshot=True)
        return declared.model_copy(update=found).within(declared)

    def ping(self) -> None:
        with vendor_calls():
            self.raw_version()

    def raw_version(self) -> int:
        """libvirt's version on the host as a number; the cheapest question that needs an answer."""
        return cast(int, self.connection.raw.getLibVersion())

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self.connection.release()

    @property
    def is_alive(self) -> bool:
        return self._is_open and self.connection.is_alive
