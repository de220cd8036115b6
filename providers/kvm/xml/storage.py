"""Documents of pools and volumes (https://libvirt.org/formatstorage.html)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from providers.kvm.xml.build import add, node, read, text_at, write


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPool:
    name: str
    type: str
    path: str = ""
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
) -> str:
    """A volume to be made. Sizes are bytes; `allocation` None leaves it to the pool (in full)."""
    root = node("volume")
    add(root, "name", name)
    add(root, "capacity", capacity, unit="bytes")
    if allocation is not None:
        add(root, "allocation", allocation, unit="bytes")
    target = add(root, "target")
    if format_:
        add(target, "format", type_=format_)
    if mode:
        add(add(target, "permissions"), "mode", mode)
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
    )


def pool_document(*, name: str, type_: str, path: str) -> str:
    root = node("pool", type_=type_)
    add(root, "name", name)
    add(add(root, "target"), "path", path)
    return write(root)


def read_pool(text: str) -> SeenPool:
    """One pool's document; sizes are bytes and 0 while it is inactive."""
    root = read(text)
    return SeenPool(
        name=root.findtext("name") or "",
        type=root.get("type") or "",
        path=root.findtext("target/path") or "",
        capacity=_bytes(text_at(root, "capacity")),
        allocation=_bytes(text_at(root, "allocation")),
        available=_bytes(text_at(root, "available")),
    )


def _bytes(text: str) -> int:
    return int(text) if text.isdigit() else 0
