"""What a simulated cloud consists of: one document per object. Times are seconds since the epoch."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, Field

from providers.base import CloudInit, DiskDevice, DnsHost, FirewallRule, NetworkMode, PowerState, StaticLease

#: A VM's keyboard forgets what is older.
MOST_TYPED = 2048


class Thing(BaseModel):
    """Base of all documents; `noun` is its table key and the word used in sentences."""

    noun: ClassVar[str]

    id: str
    name: str


class Disk(BaseModel):
    """A place in a VM where a volume or an ISO image is plugged in."""

    target: str
    device: DiskDevice = DiskDevice.DISK
    volume: str = ""
    image: str = ""
    bus: str = "virtio"
    boot: bool = False
    cache: str = ""
    read_only: bool = False
    shareable: bool = False


class Nic(BaseModel):
    id: str
    mac: str
    network: str
    model: str = "virtio"
    address: str = ""
    """Leased, or fixed by the guest's own configuration; without prefix."""
    is_fixed: bool = False
    filter: str = ""
    isolated: bool = False
    vlan: int | None = None
    is_linked: bool = True
    public_address: str = ""


class SavedVolume(BaseModel):
    volume: str
    size_gib: float
    content: str


class Snapshot(BaseModel):
    """A moment of a VM: its shape, its disks' content, and whether memory was kept."""

    name: str
    description: str = ""
    created_at: float
    parent: str | None = None
    has_memory: bool = False
    is_external: bool = False
    power: PowerState
    vcpus: int
    memory_mib: int
    disks: list[Disk]
    volumes: list[SavedVolume]


class Viewer(BaseModel):
    """What became of a ticket to a SPICE screen."""

    ticket: str
    password: str = Field(repr=False)
    run: int
    """The run of the VM that it was for."""
    until: float
    address: str = ""
    """Where a viewer came from; empty: nobody came."""
    is_there: bool = False


class Vm(Thing):
    noun: ClassVar[str] = "VM"

    portal_uuid: str = ""
    is_building: bool = False
    """Not listed yet: its name is reserved while it is being made."""
    building_until: float = 0.0
    """After this moment a half-made VM belongs to a process that died."""
    power: PowerState = PowerState.STOPPED
    then: PowerState | None = None
    """What `power` turns into at `ready_at`."""
    ready_at: float = 0.0
    booted_at: float = 0.0
    boots: int = 0
    """How often its guest booted."""
    runs: int = 0
    """How often it was switched on; a console lives as long as one run."""
    typed: list[str] = Field(default_factory=list, repr=False)
    """What its keyboard typed in this boot, one stroke each, at most `MOST_TYPED` of them."""
    typed_in_boot: int = 0
    typed_count: int = 0
    """How many strokes there ever were."""
    vcpus: int = 1
    memory_mib: int = 1024
    flavor: str = ""
    description: str = ""
    image: str = ""
    zone: str = ""
    firmware: str = ""
    autostart: bool = False
    created_at: float = 0.0
    metadata: dict[str, str] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    disks: list[Disk] = Field(default_factory=list)
    nics: list[Nic] = Field(default_factory=list)
    snapshots: list[Snapshot] = Field(default_factory=list)
    current_snapshot: str | None = None
    cloud_init: CloudInit | None = None
    vnc_password: str = Field(default="", repr=False)
    viewer: Viewer | None = None
    """The last ticket to its SPICE screen."""
    ignores_shutdown: bool = False
    firewalls: list[str] = Field(default_factory=list)
    cpu_model: str = ""
    cpu_flags: list[str] = Field(default_factory=list)
    max_vcpus: int = 0
    """What it may grow to while it runs; 0: its vCPUs at the start."""
    max_memory_mib: int = 0
    next: dict[str, Any] = Field(default_factory=dict)
    """Fields of this very document that change when it is next switched on."""

    def settle(self, now: float) -> None:
        """Let time have its effect: a state whose moment has come turns into the next."""
        if self.then is not None and now >= self.ready_at:
            self.power, self.then = self.then, None

    @property
    def is_stopped(self) -> bool:
        return self.power in (PowerState.STOPPED, PowerState.CRASHED)

    @property
    def has_guest(self) -> bool:
        """Whether there is anything to boot: an empty disk shows a firmware message and gets no address."""
        return bool(self.image or any(disk.image for disk in self.disks))


class Pool(Thing):
    noun: ClassVar[str] = "storage pool"

    type: str = "dir"
    path: str = ""
    capacity_gib: float = 0.0
    """0: no limit."""
    is_active: bool = True
    autostart: bool = True


class Volume(Thing):
    noun: ClassVar[str] = "volume"

    pool: str
    format: str = "qcow2"
    size_gib: float
    allocation_gib: float = 0.0
    backing: str = ""
    """id of the image or volume that it overlays."""
    content: str = ""
    """Stands for the bytes: what it was made from, and what was written since; a letter a byte (Latin-1)."""
    owner: str = ""
    """id of the VM it was made for and is deleted with; empty for one that stands alone."""


class Image(Thing):
    noun: ClassVar[str] = "image"

    pool: str
    format: str = "qcow2"
    size_gib: float = 1.0
    stored_bytes: int = 0
    is_iso: bool = False
    os: str = ""
    default_user: str = ""
    created_at: float = 0.0
    content: str = ""
    template: str = ""
    """The VM that became this image, with its volumes, as JSON."""


class UnfinishedImage(Thing):
    noun: ClassVar[str] = "unfinished image"

    pool: str
    portal_uuid: str = ""
    begun_at: float = 0.0


class Flavor(Thing):
    noun: ClassVar[str] = "flavor"

    vcpus: int
    memory_mib: int
    disk_gib: int


class Network(Thing):
    noun: ClassVar[str] = "network"

    mode: NetworkMode = NetworkMode.NAT
    cidr: str = ""
    dhcp: bool = True
    domain: str = ""
    bridge: str = ""
    autostart: bool = True
    plan: str = ""
    leases: dict[str, str] = Field(default_factory=dict)
    """MAC → address; kept here so that the next free address needs no look at the VMs."""
    kept: list[StaticLease] = Field(default_factory=list)
    """Addresses that are kept for a card; they are in `leases` only while a VM has that card."""
    dns_hosts: list[DnsHost] = Field(default_factory=list)
    portal_uuid: str = ""
    is_active: bool = True
    dhcp_start: str = ""
    dhcp_end: str = ""
    ipv6_cidr: str = ""
    forward_device: str = ""
    vlan: int | None = None
    mtu: int | None = None


class Subnet(Thing):
    noun: ClassVar[str] = "subnet"

    network: str
    cidr: str
    dhcp: bool = True
    zone: str = ""
    private: bool = False


class Firewall(Thing):
    noun: ClassVar[str] = "security group"

    network: str = ""
    rules: list[FirewallRule] = Field(default_factory=list)


class Bucket(Thing):
    noun: ClassVar[str] = "bucket"

    public: bool = False
    public_keys: list[str] = Field(default_factory=list)


class ZoneEntry(BaseModel):
    name: str
    type: str
    ttl_s: int
    data: str


class Zone(Thing):
    noun: ClassVar[str] = "DNS zone"

    entries: list[ZoneEntry] = Field(default_factory=list)


class LoadBalancer(Thing):
    noun: ClassVar[str] = "load balancer"

    address: str
    protocol: str = "tcp"
    ports: list[int]
    targets: list[str] = Field(default_factory=list)
    check_path: str = "/index.html"
    check_port: int = 80
    internal: bool = False
