"""Documents of pools and volumes (https://libvirt.org/formatstorage.html)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from providers.kvm.xml.build import Element, add, node, read, text_at, write


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenVolume:
    name: str
    key: str
    path: str
    format: str = ""
    capacity: int = 0
    allocation: int = 0
    backing: str = ""
    mode: int | None = None
    """Permission bits, None where the pool has none."""
    modified_at: datetime | None = None
    is_folder: bool = False
    """libvirt takes folders in a pool for volumes too, as each file system's "lost+found"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSource:
    """Where a pool has its content, as far as its type knows these."""

    hosts: tuple[tuple[str, str], ...] = ()
    """Name or address, and port or ""."""
    devices: tuple[str, ...] = ()
    dir: str = ""
    name: str = ""
    format: str = ""
    initiator: str = ""
    auth_type: str = ""
    auth_user: str = ""
    secret_uuid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPool:
    name: str
    type: str
    path: str = ""
    source: PoolSource = PoolSource()
    capacity: int = 0
    allocation: int = 0
    available: int = 0


def volume_document(
    *,
    name: str,
    capacity: int,
    format_: str = "",
    allocation: int | None = 0,
    backing: str = "",
    backing_format: str = "",
    mode: str = "",
    owner: int | None = None,
) -> str:
    """A volume to be made. Sizes are bytes; `allocation` None leaves it to the pool (in full). `owner` is a user's
    number on the host, and goes with a mode."""
    root = node("volume")
    add(root, "name", name)
    add(root, "capacity", capacity, unit="bytes")
    if allocation is not None:
        add(root, "allocation", allocation, unit="bytes")
    target = add(root, "target")
    if format_:
        add(target, "format", type_=format_)
    if format_ == "qcow2":
        # libvirt's default is the format of 2009, which cannot grow once it holds a snapshot.
        add(target, "compat", "1.1")
    if mode:
        permissions = add(target, "permissions")
        add(permissions, "mode", mode)
        if owner is not None:
            add(permissions, "owner", owner)
    if backing:
        store = add(root, "backingStore")
        add(store, "path", backing)
        add(store, "format", type_=backing_format or "raw")
    return write(root)


def read_volume(text: str) -> SeenVolume:
    """One volume's document."""
    root = read(text)
    mode = text_at(root, "target/permissions/mode")
    modified = text_at(root, "target/timestamps/mtime")
    return SeenVolume(
        name=root.findtext("name") or "",
        key=root.findtext("key") or "",
        path=root.findtext("target/path") or "",
        format=text_at(root, "target/format/@type"),
        capacity=_bytes(text_at(root, "capacity")),
        allocation=_bytes(text_at(root, "allocation")),
        backing=root.findtext("backingStore/path") or "",
        mode=int(mode, 8) if mode else None,
        modified_at=datetime.fromtimestamp(float(modified), UTC) if modified else None,
        is_folder=root.get("type") in {"dir", "netdir"},
    )


def pool_document(*, name: str, type_: str, path: str = "", source: PoolSource | None = None) -> str:
    root = node("pool", type_=type_)
    add(root, "name", name)
    if source is not None:
        _add_source(root, source)
    if path:
        add(add(root, "target"), "path", path)
    return write(root)


def _add_source(root: Element, source: PoolSource) -> None:
    element = add(root, "source")
    for host, port in source.hosts:
        add(element, "host", name=host, port=port or None)
    for device in source.devices:
        add(element, "device", path=device)
    if source.dir:
        add(element, "dir", path=source.dir)
    if source.name:
        add(element, "name", source.name)
    if source.auth_user:
        auth = add(element, "auth", type_=source.auth_type, username=source.auth_user)
        add(auth, "secret", uuid=source.secret_uuid)
    if source.initiator:
        add(add(element, "initiator"), "iqn", name=source.initiator)
    if source.format:
        add(element, "format", type_=source.format)


def read_pool(text: str) -> SeenPool:
    """One pool's document; sizes are bytes and 0 while it is inactive."""
    root = read(text)
    return SeenPool(
        name=root.findtext("name") or "",
        type=root.get("type") or "",
        path=root.findtext("target/path") or "",
        source=PoolSource(
            hosts=tuple((host.get("name") or "", host.get("port") or "") for host in root.iterfind("source/host")),
            devices=tuple(device.get("path") or "" for device in root.iterfind("source/device")),
            dir=text_at(root, "source/dir/@path"),
            name=root.findtext("source/name") or "",
            format=text_at(root, "source/format/@type"),
            initiator=text_at(root, "source/initiator/iqn/@name"),
            auth_type=text_at(root, "source/auth/@type"),
            auth_user=text_at(root, "source/auth/@username"),
            secret_uuid=text_at(root, "source/auth/secret/@uuid"),
        ),
        capacity=_bytes(text_at(root, "capacity")),
        allocation=_bytes(text_at(root, "allocation")),
        available=_bytes(text_at(root, "available")),
    )


def read_pool_types(text: str) -> frozenset[str]:
    """Types of pools that the host's libvirt can run, from its storage pool capabilities."""
    return frozenset(pool.get("type") or "" for pool in read(text).iterfind("pool") if pool.get("supported") == "yes")


def secret_document(*, uuid: str, description: str, type_: str, usage: str) -> str:
    """A secret of libvirt's that can be used and never be read back (https://libvirt.org/formatsecret.html)."""
    root = node("secret", ephemeral=False, private=True)
    add(root, "uuid", uuid)
    add(root, "description", description)
    add(add(root, "usage", type_=type_), "target" if type_ == "iscsi" else "name", usage)
    return write(root)


def _bytes(text: str) -> int:
    return int(text) if text.isdigit() else 0
