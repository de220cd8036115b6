"""What a provider can do: one features class per facet, declared per kind, probed per provider, stored as JSON.

Every default is the modest answer. Unknown keys in stored JSON are dropped, missing ones take the default, so a newer
portal reads an older row.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from providers.base.records import ConsoleKind, NetworkMode


class Features(BaseModel):
    """Base of the features of one facet: booleans for "may", frozensets for kinds, integers for limits."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def within(self, outer: Self) -> Self:
        """What both allow: and for booleans, intersection for sets, the smaller for limits (0 means no limit known)."""
        merged: dict[str, Any] = {}
        for name in type(self).model_fields:
            mine, theirs = getattr(self, name), getattr(outer, name)
            if isinstance(mine, bool):
                merged[name] = mine and theirs
            elif isinstance(mine, frozenset):
                merged[name] = mine & theirs
            elif isinstance(mine, int):
                merged[name] = min(mine, theirs) if mine and theirs else mine or theirs
            else:
                merged[name] = mine
        return type(self)(**merged)


class MachineFeatures(Features):
    create_from_image: bool = False
    create_from_iso: bool = False
    create_empty: bool = False
    own_size: bool = False
    """vCPUs and memory may be chosen freely; otherwise only flavors."""
    cloud_init: bool = False
    several_disks: bool = False
    several_nics: bool = False
    full_copy: bool = False
    """A disk may be a full copy of its image instead of an overlay."""
    keep_disks: bool = False
    description: bool = False
    firmwares: frozenset[str] = frozenset()
    zones: dict[str, str] = {}
    """Where a VM may be made, for `VmSpec.zone`: zone → words for a person. Empty: there is no such choice."""
    option_choices: dict[str, dict[str, str]] = {}
    """Of options whose values depend on the host: value → words for a person."""
    option_refusals: dict[str, str] = {}
    """Options that cannot be used here, each with the reason."""
    guest: bool = False
    """A guest whose agent runs tells of itself: its file systems, its system."""


class PowerFeatures(Features):
    pause: bool = False
    soft_stop: bool = False
    """The guest can be asked to shut down; otherwise stop is pulling the plug."""
    reset: bool = False


class ReshapeFeatures(Features):
    vcpus: bool = False
    memory: bool = False
    flavor: bool = False
    rename: bool = False
    autostart: bool = False
    description: bool = False
    metadata: bool = False
    hot_vcpus: bool = False
    """A running VM takes more vCPUs, up to the most it was started with."""
    hot_memory: bool = False
    options: bool = False
    """The kind's options can be changed after creation."""
    remove_cloud_init: bool = False
    """The first-boot data can be taken away again."""


class DiskFeatures(Features):
    hot_plug: bool = False
    grow: bool = False
    existing: bool = False
    iso: bool = False
    shared: bool = False
    """Several VMs may have a disk at once."""
    move: bool = False
    """A disk of a stopped VM can be moved to another pool."""
    least_gib: int = 0
    """The smallest size that an added disk may have; 0: any."""
    buses: frozenset[str] = frozenset()
    caches: frozenset[str] = frozenset()


class NicFeatures(Features):
    hot_plug: bool = False
    mac: bool = False
    """A card's MAC may be chosen; otherwise the provider gives it."""
    mac_prefix: str = ""
    """First three bytes ("52:54:00") of MACs that the portal draws itself, so that a job that runs twice adds one card;
    empty: the provider gives them."""
    change_network: bool = False
    change_model: bool = False
    link: bool = False
    """The cable can be pulled and plugged in."""
    public_address: bool = False
    """A card of a VM that exists can be given a public address, and lose it again."""
    isolation: bool = False
    vlan: bool = False
    filters: frozenset[str] = frozenset()
    """Names of traffic filters to choose from."""
    models: frozenset[str] = frozenset()


class SnapshotFeatures(Features):
    memory: bool = False
    while_running: bool = False
    tree: bool = False
    external: bool = False
    """A snapshot may be layers over the disks instead of a part of them; it keeps no memory."""


class CloneFeatures(Features):
    linked: bool = False
    full: bool = False
    export: bool = False
    template: bool = False
    """A VM itself can become an image, and the VM again that it was."""


class MigrationFeatures(Features):
    live: bool = False
    offline: bool = False
    copy_storage: bool = False
    """Disks may travel along; otherwise both ends must see the same storage."""


class ConsoleFeatures(Features):
    kinds: frozenset[ConsoleKind] = frozenset()
    send_keys: bool = False
    """Keys of the VM's keyboard can be pressed without opening its screen."""
    screenshot: bool = False
    output: bool = False
    """The provider itself keeps what the serial line says."""


class PoolFeatures(Features):
    create: bool = False
    update: bool = False
    """Pools can be switched on and off, with their host or by hand."""
    types: frozenset[str] = frozenset()


class VolumeFeatures(Features):
    create: bool = False
    grow: bool = False
    clone: bool = False
    upload: bool = False
    download: bool = False
    thick: bool = False
    """A volume may take its whole size from the pool at once."""
    formats: frozenset[str] = frozenset()


class ImageFeatures(Features):
    add_from_url: bool = False
    add_from_file: bool = False
    upload: bool = False
    """Piece by piece, as a browser sends it."""
    download: bool = False
    delete: bool = False
    isos: bool = False
    formats: frozenset[str] = frozenset()


class FlavorFeatures(Features):
    pass


class NetworkFeatures(Features):
    create: bool = False
    update: bool = False
    activate: bool = False
    """It can be switched on and off."""
    leases: bool = False
    """What DHCP has given out is told."""
    static_leases: bool = False
    dns_hosts: bool = False
    dhcp_range: bool = False
    ipv6: bool = False
    vlan: bool = False
    mtu: bool = False
    forward_device: bool = False
    modes: frozenset[NetworkMode] = frozenset()


class SubnetFeatures(Features):
    create: bool = False
    own_range: bool = False
    """A subnet brings a range of its own; otherwise it is a part of its network's."""


class FirewallFeatures(Features):
    attach: bool = False


class BucketFeatures(Features):
    public: bool = False


class DnsFeatures(Features):
    zones: bool = False
    types: frozenset[str] = frozenset()
    """Types of records that can be entered: "A", "CNAME" …"""


class LoadBalancerFeatures(Features):
    pass


class HostFeatures(Features):
    overcommit: bool = False


class MetricsFeatures(Features):
    vms: bool = False
    host: bool = False
    memory_used: bool = False
    """What a guest uses of its memory is told, where the guest helps; otherwise only what the VM has."""


class EventFeatures(Features):
    restarts: bool = False
    """Also told when a guest begins anew while its VM runs on."""


class Capabilities(BaseModel):
    """The whole of what a kind declares or a provider was probed to have; a facet that is None is not there."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    machines: MachineFeatures = MachineFeatures()
    power: PowerFeatures | None = None
    reshape: ReshapeFeatures | None = None
    disks: DiskFeatures | None = None
    nics: NicFeatures | None = None
    snapshots: SnapshotFeatures | None = None
    clones: CloneFeatures | None = None
    migration: MigrationFeatures | None = None
    consoles: ConsoleFeatures | None = None
    pools: PoolFeatures | None = None
    volumes: VolumeFeatures | None = None
    images: ImageFeatures | None = None
    flavors: FlavorFeatures | None = None
    networks: NetworkFeatures | None = None
    subnets: SubnetFeatures | None = None
    firewalls: FirewallFeatures | None = None
    buckets: BucketFeatures | None = None
    dns: DnsFeatures | None = None
    load_balancers: LoadBalancerFeatures | None = None
    host: HostFeatures | None = None
    metrics: MetricsFeatures | None = None
    events: EventFeatures | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON-safe and stable: sets are sorted, so equal capabilities give equal rows."""

        def stable(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: stable(item) for key, item in value.items()}
            if isinstance(value, list):
                return sorted(stable(item) for item in value)
            return value

        result: dict[str, Any] = stable(self.model_dump(mode="json"))
        return result

    @classmethod
    def from_json(cls, stored: Any) -> Capabilities:
        """Read a stored row; raises nothing for keys of another version."""
        return cls.model_validate(stored or {})

    def within(self, declared: Capabilities) -> Capabilities:
        """What was probed, cut down to what the kind declares."""
        merged: dict[str, Features | None] = {}
        for name in type(self).model_fields:
            mine: Features | None = getattr(self, name)
            theirs: Features | None = getattr(declared, name)
            merged[name] = mine.within(theirs) if mine is not None and theirs is not None else None
        return type(self).model_validate(merged)
