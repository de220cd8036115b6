"""What providers tell us: frozen records with fixed units, enums for states and aware UTC times.

Records are plain slotted dataclasses and not pydantic models, since an inventory makes thousands of them per sync from
values that a driver has converted already. `external_id` is the identity, a name is only a name.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class PowerState(StrEnum):
    """The one vocabulary of power states; the provider's own word is kept beside it in `raw_state`."""

    RUNNING = "running"
    STOPPED = "stopped"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    STARTING = "starting"
    STOPPING = "stopping"
    CRASHED = "crashed"
    UNKNOWN = "unknown"


class ConsoleKind(StrEnum):
    VNC = "vnc"
    SERIAL = "serial"
    #: Not carried by the portal: a viewer on the person's own computer connects to the host.
    SPICE = "spice"


#: What opens in the browser.
CARRIED_CONSOLES = (ConsoleKind.VNC, ConsoleKind.SERIAL)


class DiskDevice(StrEnum):
    DISK = "disk"
    CDROM = "cdrom"
    FLOPPY = "floppy"


class NetworkMode(StrEnum):
    NAT = "nat"
    ROUTE = "route"
    OPEN = "open"
    ISOLATED = "isolated"
    BRIDGE = "bridge"
    #: A cloud's own network, with whatever routing that cloud gives it.
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class NicRecord:
    """One network card; addresses belong to it and not to the VM."""

    external_id: str
    """The device's name for this VM's card: alias, target or index, unique inside the VM."""
    mac: str = ""
    network: str = ""
    """external_id of the network, or the host's bridge name, empty when unknown."""
    model: str = ""
    addresses: tuple[str, ...] = ()
    addresses_source: str = ""
    """Where the addresses were read: "lease", "agent", "arp" or "provider"; empty while unknown."""
    public_address: str = ""
    """The one of `addresses` that the provider keeps beside the card's own and can take away again ("floating",
    "elastic"); empty for none."""
    filter: str = ""
    """Name of the traffic filter on it, empty for none."""
    isolated: bool = False
    """It reaches the network's router, and no other isolated card."""
    vlan: int | None = None
    is_linked: bool = True
    """Whether its cable is plugged in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskRecord:
    external_id: str
    """The device's target inside this VM ("vda"), unique inside the VM."""
    device: DiskDevice = DiskDevice.DISK
    volume: str = ""
    """external_id of the volume behind it, or its path; empty for an empty drive."""
    pool: str = ""
    format: str = ""
    bus: str = ""
    size_gib: float = 0.0
    boot: bool = False
    read_only: bool = False
    cache: str = ""
    """How the host caches it: "none", "writeback", "writethrough", "directsync", "unsafe"; empty: its default."""
    shareable: bool = False
    """Several VMs may have it at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRecord:
    external_id: str
    name: str
    description: str = ""
    created_at: datetime | None = None
    parent: str | None = None
    is_current: bool = False
    has_memory: bool = False
    power: PowerState = PowerState.UNKNOWN
    size_bytes: int | None = None
    """Room that it takes in storage, memory included; None where the provider does not tell."""
    is_external: bool = False
    """Kept as layers over the disks, and not inside them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VmRecord:
    """A VM as the provider tells it. None means "not read" or "not known", an empty tuple means "read, none"."""

    external_id: str
    name: str
    power: PowerState
    raw_state: str = ""
    vcpus: int | None = None
    memory_mib: int | None = None
    flavor: str = ""
    description: str = ""
    image: str = ""
    """external_id of the image it was made from, when the provider remembers."""
    host: str = ""
    zone: str = ""
    autostart: bool | None = None
    created_at: datetime | None = None
    nics: tuple[NicRecord, ...] | None = None
    disks: tuple[DiskRecord, ...] | None = None
    snapshots: tuple[SnapshotRecord, ...] | None = None
    consoles: frozenset[ConsoleKind] | None = None
    portal_uuid: str = ""
    """The uuid that the portal gave at create time and the provider carries; empty for VMs made elsewhere."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    pending: tuple[str, ...] = ()
    """What changes when it is next switched off and on, each in a few words: "CPUs: 2 → 4"."""
    options: Mapping[str, Any] | None = None
    """The kind's options as they will be at its next start; those at their default may be left out."""

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(address for nic in self.nics or () for address in nic.addresses)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionsRecord:
    """The kind's options of one VM, by the names of its options model; JSON-safe."""

    live: Mapping[str, Any]
    """As it runs now; the same as `pending` for a VM that is off."""
    pending: Mapping[str, Any]
    """As it will be at its next start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRecord:
    external_id: str
    name: str
    type: str = ""
    path: str = ""
    is_active: bool = True
    autostart: bool | None = None
    """Whether it is switched on with its host; None where there is no such choice."""
    capacity_gib: float = 0.0
    allocation_gib: float = 0.0
    available_gib: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRecord:
    external_id: str
    name: str
    pool: str = ""
    """external_id of its pool."""
    path: str = ""
    format: str = ""
    size_gib: float = 0.0
    allocation_gib: float = 0.0
    backing: str = ""
    """Path or id of the volume that this one overlays, empty for a volume that stands alone."""
    used_by: tuple[str, ...] = ()
    """external_ids of the VMs that have it as a disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    external_id: str
    name: str
    pool: str = ""
    format: str = ""
    size_gib: float = 0.0
    """Virtual size: what a disk made from it needs at least."""
    stored_bytes: int = 0
    is_iso: bool = False
    os: str = ""
    default_user: str = ""
    path: str = ""
    created_at: datetime | None = None
    used_by: tuple[str, ...] = ()
    """external_ids of the VMs that have it in a drive, or a disk that builds on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedImage:
    """What was begun of an image: not listed, and nothing can be made of it."""

    key: str
    name: str
    portal_uuid: str = ""
    """Of the wish that began it."""
    begun_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What running a VM costs, as the provider publishes it without tax; disks and traffic may come on top."""

    currency: str
    """ISO 4217: "EUR"."""
    hourly: float | None = None
    monthly: float | None = None
    zone: str = ""
    """Where it holds; empty: everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlavorRecord:
    external_id: str
    name: str
    vcpus: int
    memory_mib: int
    disk_gib: int | None = None
    zones: tuple[str, ...] = ()
    """Where it can be had; empty: everywhere, or not told."""
    architecture: str = ""
    """Of its processors, where a provider has several: "x86", "arm"."""
    prices: tuple[Price, ...] = ()
    """Empty: not published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticLease:
    """An address that DHCP keeps for one card."""

    mac: str
    address: str
    """Without prefix."""
    name: str = ""
    """The name that the guest is told, and that the network's DNS answers while the guest has the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRecord:
    """What DHCP has given out, or keeps for a card that has not asked yet."""

    mac: str
    address: str
    hostname: str = ""
    expires_at: datetime | None = None
    """None: it never expires, or nobody has asked for it yet."""
    is_static: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsHost:
    """Names that the network's own DNS server answers with one address."""

    address: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRecord:
    external_id: str
    name: str
    mode: NetworkMode = NetworkMode.PROVIDER
    type: str = ""
    """The provider's own word for what it is: "network", "bridge", "nic", "vpc" …"""
    cidrs: tuple[str, ...] = ()
    dhcp: bool | None = None
    domain: str = ""
    bridge: str = ""
    is_active: bool = True
    autostart: bool | None = None
    plan: str = ""
    gateway: str = ""
    """The provider's own address in the first range, which routers and DNS servers of guests are told."""
    dhcp_start: str = ""
    dhcp_end: str = ""
    """What DHCP gives out of the first range; empty when it gives out nothing, or the provider does not tell."""
    leases: tuple[StaticLease, ...] = ()
    """The addresses that are kept for a card; `Networks.leases` tells those that were given out, too."""
    dns_hosts: tuple[DnsHost, ...] = ()
    forward_device: str = ""
    """The host's device that traffic is let out by, empty for any."""
    vlan: int | None = None
    mtu: int | None = None
    used_by: tuple[str, ...] = ()
    """external_ids of the VMs that have a card in it; read by `Networks.get` only."""
    pending: tuple[str, ...] = ()
    """Names of those fields above that were changed, and are so only after the network is switched off and on."""
    portal_uuid: str = ""
    """What the wish that made it was called, where the provider keeps that: what a dead attempt left is known by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetRecord:
    external_id: str
    name: str
    network: str
    cidr: str
    zone: str = ""
    is_private: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallRule:
    """One allowed range of ports. Protocol "icmp" has no ports (0–0)."""

    protocol: str = "tcp"
    from_port: int = 0
    to_port: int = 0
    cidr: str = "0.0.0.0/0"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallRecord:
    external_id: str
    name: str
    network: str = ""
    rules: tuple[FirewallRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsRecord:
    name: str
    type: str
    ttl_s: int
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancerRecord:
    external_id: str
    name: str
    address: str = ""
    protocol: str = "tcp"
    ports: tuple[int, ...] = ()
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRecord:
    """The provider as a whole: a hypervisor host, a cluster, or an account."""

    name: str
    version: str = ""
    cpus_total: int | None = None
    cpus_used: int | None = None
    memory_total_mib: int | None = None
    memory_used_mib: int | None = None
    vms_running: int | None = None
    vms_total: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    """JSON-safe facts of this kind alone: region, virt type, emulator version …"""


# -- metrics: counters, from whose differences the portal makes rates --------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class VmSample:
    """What one VM has used up to `at`, since it was switched on. None: not told, at all or in this reading."""

    external_id: str
    at: datetime
    vcpus: int
    cpu_time_ns: int | None = None
    """Time on a processor, summed over all of its vCPUs."""
    memory_mib: int = 0
    memory_used_mib: int | None = None
    """As the guest itself sees it, caches left out."""
    disk_read_bytes: int | None = None
    disk_write_bytes: int | None = None
    disk_reads: int | None = None
    disk_writes: int | None = None
    net_rx_bytes: int | None = None
    net_tx_bytes: int | None = None
    """Sent by the VM; received is what reached it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSample:
    """What the host has used up to `at`, by everything that runs on it and not by VMs alone."""

    at: datetime
    cpu_busy_ns: int
    cpu_total_ns: int
    """Busy and idle time, summed over all processors."""
    memory_mib: int
    memory_used_mib: int
    load_1m: float | None = None
    """Processes that run or wait to, averaged over a minute."""


# -- guests: what the system inside says of itself ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestFileSystem:
    """One file system as the guest has it mounted."""

    mount_point: str
    """Where, in the guest's own words: "/srv", "C:\\"."""
    type: str = ""
    """ "ext4", "NTFS" …; empty where it is not told."""
    total_bytes: int | None = None
    used_bytes: int | None = None
    """Both, or None where the guest does not tell them."""
    disks: tuple[str, ...] = ()
    """external_ids of the VM's disks in which it lies; empty where that is not told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestRecord:
    """What the guest tells by its agent: strangers' text. None, or an empty text, means "not told"."""

    os: str = ""
    """In words for a person: "Debian GNU/Linux 13 (trixie)"."""
    hostname: str = ""
    users: tuple[str, ...] | None = None
    """Who is signed in, each once."""
    file_systems: tuple[GuestFileSystem, ...] | None = None


# -- consoles: how to reach one, never what the browser may see --------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpConsole:
    host: str
    port: int
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnixConsole:
    path: str
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamConsole:
    """The driver itself opens the connection: a descriptor passed by libvirt, a libvirt stream, a simulated screen.

    `connect` returns a connected stream socket that speaks RFB (vnc) or raw bytes (serial), to be closed by the caller;
    it may raise any ProviderError. `endpoint` names the other end as it is now (changes when the VM was restarted).
    """

    connect: Callable[[], socket.socket]
    endpoint: str
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConsole:
    """A TCP port with TLS around it. `tls` brings what the driver knows: an own CA, a client's certificate."""

    host: str
    port: int
    server_name: str = ""
    """Whom the certificate must name, where that is not `host`."""
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    """None: certificates are checked against the system's authorities."""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketConsole:
    """The vendor carries the console's bytes (RFB or a serial line) in a websocket; the portal is its client.

    `url` is ws or wss and may hold the vendor's ticket; `headers` are sent as they are (Authorization, Cookie, Origin).
    Of `subprotocols` the server may choose one or none. Whatever asking the vendor again gives (mostly a new ticket),
    `endpoint` names the console of this run of the VM; empty: nobody can tell, and nobody asks while it is open.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    subprotocols: tuple[str, ...] = field(default=(), repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    """None: certificates are checked against the system's authorities."""
    endpoint: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SshConsole:
    """A console that is reached through SSH; the portal is the client and signs in with a key.

    Without `forward` the session itself is the console, as at a vendor's gateway to serial lines. With it the console
    is a port ("127.0.0.1:5900") or a socket file as the SSH host reaches it. There is no connection to a host whose key
    is not among the lines of `known_hosts`. For vendors that take a fresh key each time there is `authorise` in place
    of `key`: it is called when the connection is made, with the public line of a key made for it, and may raise any
    ProviderError.
    """

    host: str
    user: str
    known_hosts: str
    key: str = field(default="", repr=False)
    """A private key without passphrase."""
    authorise: Callable[[str], None] | None = field(default=None, repr=False)
    port: int = 22
    forward: str = ""
    endpoint: str = ""
    """The console of this run of the VM; empty: nobody can tell, and nobody asks while it is open."""
    password: str = field(default="", repr=False)
    """Of the console itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConsole:
    """A page of the vendor's own: opened in a new tab, not carried by the portal."""

    url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerConsole:
    """A screen that a viewer on the person's own computer opens by itself: a ticket is handed out, nothing is carried.

    Asking again makes another password: the one before opens nothing, and whoever came with it is disconnected.
    """

    protocol: str
    """ "spice"."""
    host: str
    """As the person's computer reaches it."""
    port: int = 0
    """0: with TLS only."""
    tls_port: int = 0
    """0: without TLS only."""
    password: str = field(repr=False)
    valid_s: int
    """Seconds in which the viewer must connect; it stays connected afterwards."""
    title: str = ""
    ticket: str
    """Names this hand-out when `Consoles.viewer` is asked about it; no secret."""


class ViewerState(StrEnum):
    WAITING = "waiting"
    """Nobody came with this ticket yet."""
    OPEN = "open"
    GONE = "gone"
    """Somebody came and left, or another ticket was handed out since."""
    UNSEEN = "unseen"
    """The line by which the driver watched was lost meanwhile; nobody knows who is there."""


@dataclass(frozen=True, slots=True)
class ViewerRecord:
    """What became of a ticket. `address` is where its viewer connects or connected from; empty: nobody came."""

    state: ViewerState
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What a screen shows. `media_type` is the image's own, such as "image/png" or "image/x-portable-pixmap"."""

    media_type: str
    data: bytes = field(repr=False)


ConsoleTarget = (
    TcpConsole | UnixConsole | StreamConsole | TlsConsole | SshConsole | WebSocketConsole | LinkConsole | ViewerConsole
)


class EventTopic(StrEnum):
    VM = "vm"
    NETWORK = "network"
    POOL = "pool"
    IMAGE = "image"
    #: The connection itself: the watcher should sync everything.
    RESYNC = "resync"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEvent:
    """ "This object changed": the receiver reads it again, so nothing but its identity is carried."""

    topic: EventTopic
    external_id: str = ""
    gone: bool = False
    """The provider says that it does not exist any more."""
    restarted: bool = False
    """Its guest began anew while the VM ran on: warm, by itself or by a reset."""
    hint: str = ""
    """The vendor's word for what happened, for the log."""
