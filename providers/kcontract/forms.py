"""The loose forms in which `create` and `add_disk` take disks, nets and files, read into specs."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from providers.base import DiskSpec, GuestFile, InvalidRequest, NetworkRecord, NicSpec, NotSupported
from providers.kcontract.core import Core, called, refuse_extras, spec_of, whole_number

#: 10, "10", "existingvolume" or {"size": 10, …}.
DiskForm = int | str | Mapping[str, Any]
#: "network" or {"name": "network", …}.
NetForm = str | Mapping[str, Any]
#: {"path": …, "content": …} or a bare path.
FileForm = str | Mapping[str, Any]

DISK_KEYS = frozenset(
    {"size", "pool", "thin", "interface", "name", "image", "format", "shareable", "existing", "volume"}
    | {"cache", "readonly"}
)
_NET_ADDRESS_KEYS = frozenset({"ip", "mask", "netmask", "prefix", "gateway", "dns", "reserveip"})
NET_KEYS = _NET_ADDRESS_KEYS | {"name", "mac", "type", "filter", "isolated", "vlan"}
FILE_KEYS = frozenset({"path", "content", "origin", "mode", "permissions", "owner", "encoding", "currentdir"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskDefaults:
    """What a disk is where its form does not say."""

    size_gib: int | None
    pool: str = ""
    thin: bool = True
    interface: str = ""


def disk_spec(core: Core, form: DiskForm, defaults: DiskDefaults, image: str = "") -> DiskSpec:
    """One disk; `image` is the external_id of what a new one starts with."""
    if isinstance(form, bool):
        raise InvalidRequest("A disk is a size, the name of a volume, or a mapping.")
    if isinstance(form, int) or (isinstance(form, str) and form.isdigit()):
        form = {"size": int(form)}
    elif isinstance(form, str):
        form = {"existing": form}
    refuse_extras("disks", form, DISK_KEYS)
    use = {
        "bus": str(form.get("interface") or defaults.interface),
        "cache": str(form.get("cache") or ""),
        "read_only": bool(form.get("readonly")),
        "shareable": bool(form.get("shareable")),
    }
    existing = form.get("existing") or form.get("volume")
    if existing:
        return spec_of(DiskSpec, volume=volume_id(core, str(existing)), **use)
    own_image = form.get("image")
    size = form.get("size", defaults.size_gib)
    return spec_of(
        DiskSpec,
        size_gib=None if size is None else whole_number(size, "The size of a disk"),
        pool=core.pool_id(form["pool"]) if form.get("pool") else defaults.pool,
        thin=bool(form.get("thin", defaults.thin)),
        name=str(form.get("name") or ""),
        format=str(form.get("format") or ""),
        image=core.image_id(str(own_image)) if own_image else image,
        **use,
    )


def volume_id(core: Core, name: str) -> str:
    """external_id of a volume by its name, its path or its id."""
    volumes = core.facet(core.driver.volumes, "volumes").list()
    for volume in volumes:
        if volume.path == name:
            return volume.external_id
    return called(volumes, name, "volume").external_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NetDefaults:
    """Addresses given beside the nets, in the same order."""

    ips: Sequence[str] = ()
    netmasks: Sequence[str] = ()
    gateway: str = ""
    dns: Sequence[str] = field(default=())


def nic_specs(core: Core, forms: Sequence[NetForm], defaults: NetDefaults) -> tuple[NicSpec, ...]:
    """All cards of a VM; a gateway given once belongs to the first."""
    networks = core.facet(core.driver.networks, "networks").list() if forms else ()
    specs = []
    for number, form in enumerate(forms):
        wish: dict[str, Any] = {"name": form} if isinstance(form, str) else dict(form)
        if number < len(defaults.ips):
            wish.setdefault("ip", defaults.ips[number])
        if number < len(defaults.netmasks):
            wish.setdefault("mask", defaults.netmasks[number])
        if number == 0:
            wish.setdefault("gateway", defaults.gateway)
            wish.setdefault("dns", defaults.dns)
        specs.append(nic_spec(wish, networks))
    return tuple(specs)


def nic_spec(wish: Mapping[str, Any], networks: Sequence[NetworkRecord]) -> NicSpec:
    refuse_extras("nets", wish, NET_KEYS)
    if not wish.get("name"):
        raise InvalidRequest("A net needs the name of its network.", field="nets")
    network = called(networks, str(wish["name"]), "network")
    ip = str(wish.get("ip") or "")
    if wish.get("reserveip") and not ip:
        raise NotSupported("An address can only be reserved by naming it (ip).", field="reserveip")
    dns = wish.get("dns") or ()
    return spec_of(
        NicSpec,
        network=network.external_id,
        mac=str(wish.get("mac") or ""),
        model=str(wish.get("type") or ""),
        address=f"{ip}/{prefix_of(wish, ip, network)}" if ip else "",
        gateway=str(wish.get("gateway") or "") if ip else "",
        dns=(dns,) if isinstance(dns, str) else tuple(dns),
        filter=str(wish.get("filter") or ""),
        isolated=wish.get("isolated") or False,
        vlan=wish.get("vlan"),
    )


def prefix_of(wish: Mapping[str, Any], ip: str, network: NetworkRecord) -> int:
    """The prefix length: as given ("24" or "255.255.255.0"), else that of the network's range."""
    given = wish.get("mask") or wish.get("netmask") or wish.get("prefix")
    try:
        if given:
            return ip_network(f"0.0.0.0/{given}").prefixlen if ":" not in ip else int(str(given))
        for cidr in network.cidrs:
            if (":" in cidr) == (":" in ip):
                return ip_network(cidr).prefixlen
    except ValueError:
        raise InvalidRequest(f"“{given}” is not a network mask.", field="netmasks") from None
    raise InvalidRequest(f"The address {ip} needs a mask: the network tells no range.", field="netmasks")


def guest_file(form: FileForm, folder: Path | None) -> GuestFile:
    """One file for the guest. Local files are read only below the folder that was opened for this."""
    wish: Mapping[str, Any] = {"path": f"/root/{Path(form).name}", "origin": form} if isinstance(form, str) else form
    refuse_extras("files", wish, FILE_KEYS)
    if not wish.get("path"):
        raise InvalidRequest("A file needs a path in the guest.", field="files")
    content = wish.get("content")
    if content is None:
        content = local_text(str(wish.get("origin") or ""), folder)
    encoding = str(wish.get("encoding") or "")
    if encoding in ("b64", "base64"):
        try:
            content = base64.b64decode(str(content), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise InvalidRequest("The content is not text in base64.", field="files") from None
    elif encoding:
        raise NotSupported(f"The encoding “{encoding}” is not understood.", field="files")
    mode = str(wish.get("mode") or wish.get("permissions") or "0644")
    owner = str(wish.get("owner") or "root:root")
    return spec_of(GuestFile, path=str(wish["path"]), content=str(content), permissions=mode, owner=owner)


def local_text(origin: str, folder: Path | None) -> str:
    if folder is None or not origin:
        raise NotSupported("Give the content of the file: local files are not read here.", field="files")
    path = (folder / origin).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise InvalidRequest(f"“{origin}” is outside the folder for files.", field="files")
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidRequest(f"“{origin}” cannot be read.", detail=str(exc), field="files") from exc
