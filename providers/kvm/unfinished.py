"""Marks of images that are being brought in.

libvirt can neither rename a volume nor change its mode, so an image has its name from the beginning. What says that it
is not finished is a second, tiny volume beside it, made first and removed last: whatever dies in between, the image is
not taken for one, and whoever finds the mark may take both away. The mark says whose wish it is.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from typing import Any

from providers.base import AlreadyExists, NotFound, UnfinishedImage
from providers.kvm import storage
from providers.kvm.errors import has_code
from providers.kvm.native import LibvirtError, libvirt

_SUFFIX = ".kvweb-part"
_MARK_BYTES = 4096
#: Of a wish that nobody wrote down: not empty, since an empty mark is one whose maker died.
_NOBODYS = "-"
#: Far longer than writing a mark takes, which is the next thing after making it.
_WRITTEN_WITHIN_S = 2.0


def key_of(pool: str, name: str) -> str:
    return f"{pool}/{name}"


def split_key(key: str) -> tuple[str, str]:
    """Pool and name; neither may have a slash. Raises NotFound."""
    pool, slash, name = key.partition("/")
    if not (pool and slash and name):
        raise NotFound("This image is not being brought in.", key)
    return pool, name


def mark_name(name: str) -> str:
    return f"{name}{_SUFFIX}"


def is_marked(name: str, pool: str, names: Collection[tuple[str, str]]) -> bool:
    """Whether this volume is a mark or has one, by the (pool, name) of all volumes."""
    return name.endswith(_SUFFIX) or (pool, mark_name(name)) in names


def mark(raw: Any, pool: Any, name: str, portal_uuid: str) -> None:
    """Raises AlreadyExists when it is marked already: making a volume is atomic, so of two only one begins."""
    content = (portal_uuid or _NOBODYS).encode().ljust(_MARK_BYTES, b"\0")
    try:
        storage.upload(raw, pool, name=mark_name(name), content=content)
    except LibvirtError as exc:
        if has_code(exc, libvirt.VIR_ERR_STORAGE_VOL_EXIST) or "already exists" in str(exc):
            raise AlreadyExists(f"“{name}” is being brought in already.", str(exc), field="name") from exc
        raise


def unmark(pool: Any, name: str) -> None:
    found = _lookup(pool, mark_name(name))
    if found is not None:
        storage.remove(found)


def discard(pool: Any, name: str) -> None:
    """Remove a marked volume, then its mark; one without a mark is left alone."""
    marking = _lookup(pool, mark_name(name))
    if marking is None:
        return
    volume = _lookup(pool, name)
    if volume is not None:
        storage.remove(volume)
    storage.remove(marking)


def owner_of(raw: Any, pool: Any, name: str) -> str | None:
    """Whose it is; None when there is no mark."""
    marking = _lookup(pool, mark_name(name))
    return None if marking is None else _owner(raw, marking)


def settled_owner(raw: Any, pool: Any, name: str) -> str | None:
    """The same, once whoever makes the mark has had time to write into it: still empty, its maker is dead."""
    deadline = time.monotonic() + _WRITTEN_WITHIN_S
    while (owner := owner_of(raw, pool, name)) == "" and time.monotonic() < deadline:
        time.sleep(0.05)
    return owner


def marks(raw: Any, pool: Any) -> Iterator[UnfinishedImage]:
    storage.refreshed(pool)
    for volume in storage.volumes_of(pool):
        name = volume.name()
        if name.endswith(_SUFFIX):
            own = name.removesuffix(_SUFFIX)
            seen = storage.seen(volume)
            owner = _owner(raw, volume).removeprefix(_NOBODYS)
            yield UnfinishedImage(key=key_of(pool.name(), own), name=own, portal_uuid=owner, begun_at=seen.modified_at)


def _owner(raw: Any, marking: Any) -> str:
    return storage.head(raw, marking)[:_MARK_BYTES].rstrip(b"\0").decode(errors="replace")


def _lookup(pool: Any, name: str) -> Any:
    try:
        return pool.storageVolLookupByName(name)
    except LibvirtError as exc:
        if has_code(exc, libvirt.VIR_ERR_NO_STORAGE_VOL):
            return None
        raise
