"""What we ask a provider for: complete, validated wishes. A spec is JSON-safe: a job can keep it and run it again."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from providers.base.records import FirewallRule, NetworkMode

#: Names of VMs, networks, pools: what every host name rule accepts. Awkward names are refused by the form
#: with a sentence; a driver that is asked directly must either keep the name exactly or raise InvalidRequest.
Name = Annotated[str, StringConstraints(min_length=1, max_length=63)]


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


class NicSpec(Spec):
    network: str
    """external_id of the network."""
    mac: str = ""
    model: str = ""
    address: str = ""
    """Fixed address with prefix ("192.0.2.7/24"); empty: DHCP."""
    gateway: str = ""
    dns: tuple[str, ...] = ()


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
    user_data: str = ""
    """The expert's own user data; wins over everything else in this object except host name and network."""

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
    source: dict[str, str] = Field(default_factory=dict)


class VolumeSpec(Spec):
    name: str = Field(min_length=1, max_length=255)
    size_gib: int = Field(ge=1, le=65536)
    pool: str = ""
    format: str = ""
    thin: bool = True
    image: str = ""


class ImageSpec(Spec):
    """An image to be brought in: from `path` on the machine of the worker, or from `url`."""

    name: str = Field(min_length=1, max_length=255)
    pool: str = ""
    path: str = ""
    url: str = ""
    checksum: str = ""
    """ "sha256:…" of what is fetched; empty: not checked."""
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
    "FirewallSpec",
    "GuestFile",
    "GuestUser",
    "ImageSpec",
    "LoadBalancerSpec",
    "Name",
    "NetworkSpec",
    "NicSpec",
    "PoolSpec",
    "Spec",
    "SubnetSpec",
    "VmSpec",
    "VolumeSpec",
]
