"""Layers: qcow2 volumes that lie over a VM's disk, so that what is below them never changes again.

An external snapshot is the disk below a layer, a linked clone is a layer of another VM over it. A layer bears the VM's
mark and its disk's target (`web-0123456789ab-vda-3.qcow2`), is made in the pool before anything uses it, and so never
belongs to nobody: what dies half-way leaves a volume by whose name and base its VM is known (`owned`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from providers.base import Conflict
from providers.kvm import storage
from providers.kvm.creation import mark_of, volume_name
from providers.kvm.errors import has_code
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.part import Part
from providers.kvm.xml.domain_reader import SeenDrive, SeenMachine
from providers.kvm.xml.storage import SeenVolume

_LAYER = re.compile(r".*-(?P<mark>[0-9a-f]{12})-(?P<target>[a-z][a-z0-9]*)-(?P<number>\d+)\.qcow2")


@dataclass(frozen=True, slots=True)
class Tree:
    """All volumes of the active pools by their paths, and which builds on which."""

    volumes: Mapping[str, SeenVolume]
    above: Mapping[str, tuple[str, ...]]
    """Path → paths of the volumes that build directly on it."""

    def chain(self, path: str) -> tuple[str, ...]:
        """The path, and what is below it as far as pools know."""
        found: list[str] = []
        while path and path not in found:
            found.append(path)
            volume = self.volumes.get(path)
            path = volume.backing if volume is not None else ""
        return tuple(found)

    def closure(self, paths: Iterable[str]) -> set[str]:
        """These and everything below them."""
        return {step for path in paths for step in self.chain(path)}


def disks_of(machine: SeenMachine) -> list[SeenDrive]:
    """The drives that hold what the VM writes."""
    return [drive for drive in machine.drives if drive.device == "disk" and not drive.read_only and drive.source]


def owned(machine: SeenMachine, tree: Tree) -> list[str]:
    """Paths of the volumes that were made for the VM: those in its note, and layers over them that bear its mark."""
    mine = {path for path in machine.note.volumes if path in tree.volumes}
    mark = mark_of(UUID(machine.uuid))
    layers = [path for path, volume in tree.volumes.items() if _is_layer(volume.name, mark)]
    return sorted(mine | {layer for layer in layers if mine & set(tree.chain(layer))})


class Layers(Part):
    """Making layers, and looking at what lies on what."""

    def tree(self, refresh: Iterable[str] = ()) -> Tree:
        """Read all volumes. The pools that hold these paths are looked at again: QEMU moves chains without libvirt."""
        pools: dict[str, Any] = {}
        for path in refresh:
            volume = self.volume_at(path)
            if volume is not None:
                pool = volume.storagePoolLookupByVolume()
                pools.setdefault(pool.name(), pool)
        for pool in pools.values():
            storage.refreshed(pool)
        volumes = {volume.path: volume for _, volume in storage.all_seen(self.active_pools(), refresh=False)}
        above: dict[str, list[str]] = {}
        for path, volume in volumes.items():
            if volume.backing:
                above.setdefault(volume.backing, []).append(path)
        return Tree(volumes, {path: tuple(sorted(paths)) for path, paths in above.items()})

    def volume_at(self, path: str) -> Any:
        """The volume behind a path or a "pool/volume", None when no pool knows it."""
        try:
            if not path.startswith("/"):
                pool, _, name = path.partition("/")
                return self.raw.storagePoolLookupByName(pool).storageVolLookupByName(name)
            return self.raw.storageVolLookupByPath(path)
        except LibvirtError as exc:
            if has_code(exc, libvirt.VIR_ERR_NO_STORAGE_VOL, libvirt.VIR_ERR_NO_STORAGE_POOL):
                return None
            raise

    def over(self, machine: SeenMachine, drives: Iterable[SeenDrive]) -> dict[str, str]:
        """A fresh layer over each of these disks, by target. Raises Conflict for one that cannot lie below a layer.

        Nothing uses them yet; when one cannot be made, those before it are removed again.
        """
        made: dict[str, str] = {}
        try:
            for drive in drives:
                made[drive.target] = self._over(machine, drive)
        except BaseException:
            self.remove(made.values())
            raise
        return made

    def _over(self, machine: SeenMachine, drive: SeenDrive) -> str:
        volume = self.volume_at(drive.source)
        if volume is None:
            reason = f"The disk {drive.target} lies in no storage pool, so no layer can be put over it."
            raise Conflict(reason, drive.source)
        if volume.info()[0] not in {libvirt.VIR_STORAGE_VOL_FILE, libvirt.VIR_STORAGE_VOL_BLOCK}:
            raise Conflict(f"The disk {drive.target} is neither a file nor a device of the host.", drive.source)
        pool = volume.storagePoolLookupByVolume()
        if storage.pool_type(pool) not in storage.FILE_POOLS:
            # A layer is a file, so over a logical volume it goes to the pool for disks.
            pool = self.pool("")
            if storage.pool_type(pool) not in storage.FILE_POOLS:
                raise Conflict(f"The disk {drive.target} needs a storage pool that keeps files.", drive.source)
        name = self._free_name(pool, machine, drive.target)
        # Of the format that the VM's document says and never of the one that the content looks like: a guest writes
        # what it likes to a raw disk, also a header that names a file of the host.
        base = replace(storage.seen(volume), format=drive.format or "raw")
        return str(storage.overlay(pool, base, name=name, capacity=base.capacity).path())

    def _free_name(self, pool: Any, machine: SeenMachine, target: str) -> str:
        taken = [found for name in pool.listVolumes() if (found := _LAYER.fullmatch(name))]
        mark = mark_of(UUID(machine.uuid))
        numbers = [int(found["number"]) for found in taken if (found["mark"], found["target"]) == (mark, target)]
        return f"{volume_name(machine.name, UUID(machine.uuid), target)}-{max(numbers, default=0) + 1}.qcow2"

    def remove(self, paths: Iterable[str]) -> None:
        """Remove volumes that nothing uses; those that are gone already are passed over."""
        for path in paths:
            volume = self.volume_at(path)
            if volume is not None:
                storage.remove(volume)


def layer_target(path: str) -> str:
    """The disk's target in a layer's name, empty for what is no layer."""
    found = _LAYER.fullmatch(PurePosixPath(path).name)
    return found["target"] if found else ""


def _is_layer(name: str, mark: str) -> bool:
    found = _LAYER.fullmatch(name)
    return found is not None and found["mark"] == mark
