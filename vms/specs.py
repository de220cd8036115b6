"""From a validated wish to the VmSpec that goes to the provider: a pure function, without database and provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_interface, ip_network
from typing import Any

from providers.base import CloudInit, DiskSpec, GuestFile, GuestUser, NicSpec, VmSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class NicWish:
    network: str
    """external_id of the network."""
    address: str = ""
    """Fixed address with prefix; empty: DHCP."""
    gateway: str = ""
    address6: str = ""
    gateway6: str = ""
    dns: tuple[str, ...] = ()
    """Empty: the gateway."""
    cidr: str = ""
    """Range of the network, from which a gateway is assumed when a fixed address comes without one."""
    has_router: bool = False
    """Whether the provider itself routes this network from its first address, as libvirt's networks do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskWish:
    size_gib: int
    pool: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person asked for, checked and looked up; references are the provider's own ids."""

    name: str
    vcpus: int = 1
    memory_mib: int = 1024
    flavor: str = ""
    zone: str = ""
    """Where in the provider; empty: where it likes."""
    image: str = ""
    iso: str = ""
    disk_gib: int | None = None
    """None: as large as the image; without an image: no disk of its own."""
    pool: str = ""
    full_copy: bool = False
    more_disks: tuple[DiskWish, ...] = ()
    nics: tuple[NicWish, ...] = ()
    username: str = ""
    default_user: str = ""
    """Whom the image brings; the person's keys and password are for them unless another name is asked for."""
    password_hash: str = field(default="", repr=False)
    ssh_password_login: bool = False
    ssh_keys: tuple[str, ...] = ()
    hostname: str = ""
    packages: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    files: tuple[GuestFile, ...] = field(default=(), repr=False)
    users: tuple[GuestUser, ...] = ()
    """Beside the one who signs in with the person's own keys."""
    timezone: str = ""
    user_data: str = field(default="", repr=False)
    merge: bool = False
    description: str = ""
    firmware: str = ""
    autostart: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the provider's kind."""
    start: bool = True


def vm_spec(wish: Wish) -> VmSpec:
    """The complete spec of the wish. First-boot settings are for images only: an ISO's installer asks by itself."""
    return VmSpec(
        name=wish.name,
        vcpus=wish.vcpus,
        memory_mib=wish.memory_mib,
        flavor=wish.flavor,
        zone=wish.zone,
        disks=_disks(wish),
        nics=tuple(_nic(nic) for nic in wish.nics),
        iso=wish.iso,
        cloud_init=_cloud_init(wish) if wish.image else None,
        start=wish.start,
        autostart=wish.autostart,
        firmware=wish.firmware,
        description=wish.description,
        options=dict(wish.options),
    )


def _disks(wish: Wish) -> tuple[DiskSpec, ...]:
    disks = []
    if wish.image or wish.disk_gib:
        disks.append(DiskSpec(size_gib=wish.disk_gib, pool=wish.pool, image=wish.image, thin=not wish.full_copy))
    disks += [
        DiskSpec(size_gib=disk.size_gib, pool=disk.pool or wish.pool, thin=not wish.full_copy)
        for disk in wish.more_disks
    ]
    return tuple(disks)


def _nic(nic: NicWish) -> NicSpec:
    if not nic.address and not nic.address6:
        return NicSpec(network=nic.network)
    gateway = nic.gateway or (_usual_gateway(nic) if nic.address else "")
    return NicSpec(
        network=nic.network,
        address=nic.address,
        gateway=gateway,
        address6=nic.address6,
        gateway6=nic.gateway6,
        dns=nic.dns or ((gateway,) if gateway else ()),
    )


def _usual_gateway(nic: NicWish) -> str:
    """The first address of a network that the provider routes, unless the machine itself is to have it."""
    if not nic.has_router or not nic.cidr:
        return ""
    network = ip_network(nic.cidr, strict=False)
    first = network.network_address + 1
    if not isinstance(first, IPv4Address) or ip_interface(nic.address).ip == first:
        return ""
    return str(first)


def _cloud_init(wish: Wish) -> CloudInit:
    base = CloudInit(hostname=wish.hostname, user_data=wish.user_data)
    if wish.user_data and not wish.merge:
        # The expert's text stands alone: mixing ours in unasked would give a guest that neither side described.
        return base
    common: dict[str, Any] = {
        "packages": wish.packages,
        "commands": wish.commands,
        "files": wish.files,
        "timezone": wish.timezone,
        "users": wish.users,
        "merge": bool(wish.user_data and wish.merge),
        "ssh_password_login": wish.ssh_password_login,
    }
    if wish.username and wish.username != wish.default_user:
        user = GuestUser(name=wish.username, password_hash=wish.password_hash, ssh_keys=wish.ssh_keys)
        return base.model_copy(update={**common, "users": (user, *wish.users)})
    return base.model_copy(
        update={**common, "ssh_keys": wish.ssh_keys, "default_user_password_hash": wish.password_hash}
    )
