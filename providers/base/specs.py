"""What we ask a provider for: complete, validated wishes. A spec is JSON-safe: a job can keep it and run it again."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from providers.base.records import DnsHost, FirewallRule, NetworkMode, NetworkRecord, StaticLease

#: Names of VMs, networks, pools: what every host name rule accepts. Awkward names are refused by the form
#: with a sentence; a driver that is asked directly must either keep the name exactly or raise InvalidRequest.
Name = Annotated[str, StringConstraints(min_length=1, max_length=63)]


#: The tag of a VLAN; 0 and 4095 are reserved (IEEE 802.1Q).
Vlan = Annotated[int, Field(ge=1, le=4094)]


class Spec(BaseModel):
    """Base of all specs: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DiskSpec(Spec):
    """One disk of a VM to be created or attached.

    The first disk carries the image when `image` is given; `volume` attaches an existing volume instead of making one.
    """

    size_gib: int | None = Field(default=None, ge=1, le=65536)
    """None: as large as the image."""
    pool: str = ""
    """external_id of the pool; empty: the provider's default."""
    image: str = ""
    """external_id of the image whose content it starts with."""
    volume: str = ""
    thin: bool = True
    """Overlay of the image or sparse volume; False copies and allocates in full."""
    format: str = ""
    bus: str = ""
    name: str = ""
    shareable: bool = False
    """Other VMs may have it at the same time; their guests must know how to share."""
    cache: str = ""
    """ "none", "writeback", "writethrough", "directsync", "unsafe", or empty for the provider's default."""
    read_only: bool = False


class NicSpec(Spec):
    network: str
    """external_id of the network."""
    mac: str = ""
    model: str = ""
    address: str = ""
    """Fixed address with prefix ("192.0.2.7/24"); empty: DHCP."""
    gateway: str = ""
    address6: str = ""
    """Fixed IPv6 address with prefix, beside an IPv4 one or DHCP."""
    gateway6: str = ""
    dns: tuple[str, ...] = ()
    filter: str = ""
    """Name of a traffic filter ("clean-traffic"); empty: none."""
    isolated: bool = False
    """It reaches the network's router, and no other isolated card."""
    vlan: Vlan | None = None


class NicChange(Spec):
    """What changes of a network card; None leaves a value as it is."""

    network: str | None = None
    """external_id of the other network; the card keeps its MAC."""
    model: str | None = None
    filter: str | None = None
    """Empty takes the filter away."""
    isolated: bool | None = None
    vlan: int | None = Field(default=None, ge=0, le=4094)
    """0 takes the tag away."""
    is_linked: bool | None = None
    """False pulls the cable."""


class GuestFile(Spec):
    path: str
    content: str
    owner: str = "root:root"
    permissions: str = "0644"


class GuestUser(Spec):
    name: str
    password_hash: str = Field(default="", repr=False)
    """crypt(3) hash ($6$…); the clear text never enters a spec."""
    ssh_keys: tuple[str, ...] = ()
    sudo: bool = True
    shell: str = "/bin/sh"


class CloudInit(Spec):
    """What the guest should do at its first boot; the same on every kind."""

    hostname: str = ""
    domain: str = ""
    users: tuple[GuestUser, ...] = ()
    ssh_keys: tuple[str, ...] = ()
    """Keys for the image's default user."""
    default_user_password_hash: str = Field(default="", repr=False)
    ssh_password_login: bool = False
    packages: tuple[str, ...] = ()
    files: tuple[GuestFile, ...] = ()
    commands: tuple[str, ...] = ()
    timezone: str = ""
    """Of the guest's clock ("Europe/Berlin")."""
    locale: str = ""
    user_data: str = ""
    """The expert's own user data; wins over everything else in this object except host name and network."""
    merge: bool = False
    """The expert's user data comes beside the rest, as a further part, instead of in its place."""

    @property
    def is_empty(self) -> bool:
        return self == CloudInit()


class VmSpec(Spec):
    """A VM as it should become. `options` belongs to the kind and is validated by its plugin's `options` model."""

    name: Name
    portal_uuid: str = ""
    """Stored with the VM at the provider: a repeated create finds it, a sync recognises it."""
    vcpus: int = Field(default=1, ge=1, le=1024)
    memory_mib: int = Field(default=1024, ge=16, le=16 * 1024 * 1024)
    flavor: str = ""
    """external_id of a flavor at kinds that have them; it wins over vcpus and memory."""
    disks: tuple[DiskSpec, ...] = ()
    nics: tuple[NicSpec, ...] = ()
    iso: str = ""
    """external_id of an ISO image to boot from."""
    cloud_init: CloudInit | None = None
    start: bool = True
    autostart: bool = False
    firmware: str = ""
    """ "bios", "uefi" or empty for the provider's choice."""
    description: str = ""
    metadata: dict[str, str] = Field(default_factory=dict)
    tags: tuple[str, ...] = ()
    zone: str = ""
    options: dict[str, Any] = Field(default_factory=dict)


class PoolSpec(Spec):
    name: Name
    type: str = "dir"
    path: str = ""
    source: dict[str, str] = Field(default_factory=dict, repr=False)
    """Where its content is, by type: see `providers.base.pool_sources`. Holds a secret for some."""


class VolumeSpec(Spec):
    name: str = Field(min_length=1, max_length=255)
    size_gib: int = Field(ge=1, le=65536)
    pool: str = ""
    format: str = ""
    thin: bool = True
    image: str = ""


class FetchRules(Spec):
    """What may be fetched from an address; the defaults are the strict ones."""

    http: bool = False
    """Whether plain http may be asked too."""
    networks: tuple[str, ...] = ()
    """Networks ("10.0.0.0/8") that may be asked although they are private."""
    most_bytes: int = Field(default=64 * 1024**3, ge=1)
    """The largest file, packed or unpacked."""


class ImageSpec(Spec):
    """An image to be brought in: from `path` on the machine of the worker, or from `url`."""

    name: str = Field(min_length=1, max_length=255)
    pool: str = ""
    path: str = ""
    url: str = ""
    checksum: str = ""
    """ "sha256:…" of what is fetched, as it lies there, packed or not; empty: not checked."""
    checksum_url: str = ""
    """Where the vendor lists checksums; asked when `checksum` is empty."""
    fetch: FetchRules = FetchRules()
    portal_uuid: str = ""
    """Who brings it in: the same one may begin again where an earlier attempt left something."""
    is_iso: bool = False
    os: str = ""
    default_user: str = ""


class NetworkSpec(Spec):
    name: Name
    mode: NetworkMode = NetworkMode.NAT
    cidr: str = ""
    dhcp: bool = True
    domain: str = ""
    bridge: str = ""
    autostart: bool = True
    plan: str = ""
    dhcp_start: str = ""
    dhcp_end: str = ""
    """What DHCP gives out of `cidr`; empty: the provider's choice, and at an update what it gives out by now."""
    ipv6_cidr: str = ""
    """A second range, when `cidr` is one of IPv4."""
    forward_device: str = ""
    """The host's device that traffic is let out by (NAT, routed), or that cards sit on directly (bridge)."""
    vlan: Vlan | None = None
    mtu: int | None = Field(default=None, ge=68, le=65535)
    leases: tuple[StaticLease, ...] | None = None
    """Addresses kept for a card. None: none at first, and at an update those that there are."""
    dns_hosts: tuple[DnsHost, ...] | None = None
    """Names that the network's DNS server knows. None as above."""
    portal_uuid: str = ""
    """Of the wish, at a create: where the provider keeps it, what a dead attempt at the same wish left is made anew."""

    @classmethod
    def like(cls, record: NetworkRecord, **changes: Any) -> Self:
        """What would make this network; with `changes` the whole wish that `Networks.update` takes."""
        old = [cidr for cidr in record.cidrs if ip_network(cidr).version == 4]
        new = [cidr for cidr in record.cidrs if ip_network(cidr).version == 6]
        wish: dict[str, Any] = {
            "name": record.name,
            "mode": record.mode,
            "cidr": (old or new or [""])[0],
            "dhcp": bool(record.dhcp),
            "domain": record.domain,
            "bridge": record.bridge,
            "autostart": record.autostart is not False,
            "plan": record.plan,
            "dhcp_start": record.dhcp_start,
            "dhcp_end": record.dhcp_end,
            "ipv6_cidr": new[0] if old and new else "",
            "forward_device": record.forward_device,
            "vlan": record.vlan,
            "mtu": record.mtu,
        }
        if changes.get("dhcp") is False or changes.get("cidr", wish["cidr"]) != wish["cidr"]:
            # Where DHCP gave out addresses has no meaning any more.
            wish |= {"dhcp_start": "", "dhcp_end": ""}
        if changes.get("mode") == NetworkMode.ISOLATED:
            wish["forward_device"] = ""
        return cls.model_validate(wish | changes)


class SubnetSpec(Spec):
    name: Name
    network: str
    cidr: str
    dhcp: bool = True
    zone: str = ""
    private: bool = False


class FirewallSpec(Spec):
    name: Name
    network: str = ""
    rules: tuple[FirewallRule, ...] = ()


class DnsSpec(Spec):
    zone: str
    name: str
    type: str = "A"
    data: str
    ttl_s: int = Field(default=300, ge=0)


class LoadBalancerSpec(Spec):
    name: Name
    protocol: str = "tcp"
    ports: tuple[int, ...]
    targets: tuple[str, ...] = ()
    check_path: str = "/index.html"
    check_port: int = 80
    internal: bool = False


__all__ = [
    "CloudInit",
    "DiskSpec",
    "DnsSpec",
    "FetchRules",
    "FirewallSpec",
    "GuestFile",
    "GuestUser",
    "ImageSpec",
    "LoadBalancerSpec",
    "Name",
    "NetworkSpec",
    "NicChange",
    "NicSpec",
    "PoolSpec",
    "Spec",
    "SubnetSpec",
    "VmSpec",
    "VolumeSpec",
]
