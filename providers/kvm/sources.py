"""What stands behind a disk: a new volume, or one that exists and may be had."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from providers.base import QUIET, AlreadyExists, Conflict, DiskSpec, InvalidRequest, Progress
from providers.kvm import storage
from providers.kvm.inventory import Inventory
from providers.kvm.part import Part
from providers.kvm.xml.elements import Source

_FORMATS = frozenset({"qcow2", "raw", "vmdk", "vdi", "vhdx", "vpc", "qed"})

#: How a volume is made: given the function that does it. A create that may have run before clears away what is left.
Maker = Callable[[Any, str, Callable[[], Any]], Any]


def as_it_comes(_pool: Any, _name: str, make: Callable[[], Any]) -> Any:
    return make()


class DiskSources(Part):
    """Errors name fields below `field`: "disks.0." for the first disk of a new VM, empty for a disk alone."""

    def existing(self, wish: DiskSpec, *, field: str = "", uuid: str = "") -> Source:
        """The volume that the wish names, for the VM with this uuid; raises NotFound, InvalidRequest, AlreadyExists,
        and Conflict when another VM has it, or a volume builds on it."""
        volume = self.volume(wish.volume, "volume", f"{field}volume")
        found = storage.check_image(self.raw, volume, field=f"{field}volume")
        format_ = found.format if found.format in _FORMATS else "raw"
        if wish.shareable and format_ != "raw":
            raise InvalidRequest(
                f"Only raw volumes can be shared, and this one is {format_}: two writers would ruin it.",
                field=f"{field}shareable",
            )
        if not wish.read_only:
            self._refuse_taken(found.path, wish, field=field, uuid=uuid)
        return storage.source_of(volume.storagePoolLookupByVolume(), volume, format_)

    def made(
        self,
        wish: DiskSpec,
        names: Callable[[Any, str], str],
        *,
        field: str = "",
        progress: Progress = QUIET,
        maker: Maker = as_it_comes,
    ) -> tuple[Any, Source]:
        """A new volume, and how a VM's document names it. `names` gives its name for a pool and a format.

        Raises InvalidRequest, NotFound, OutOfCapacity, Conflict.
        """
        pool = self.pool(wish.pool)
        in_files = storage.pool_type(pool) in storage.FILE_POOLS
        format_ = wish.format or ("qcow2" if in_files and not wish.shareable else "raw")
        if format_ not in {"qcow2", "raw"} or (format_ == "qcow2" and not in_files):
            raise InvalidRequest(f"The pool keeps no volumes of format “{format_}”.", field=f"{field}format")
        if wish.shareable and format_ != "raw":
            raise InvalidRequest("Only raw disks can be shared: two writers ruin any other.", field=f"{field}format")
        name = names(pool, format_)
        make = self._from_image if wish.image else self._blank
        volume = maker(pool, name, make(wish, pool, name, format_, field, progress))
        return volume, storage.source_of(pool, volume, format_)

    def iso(self, external_id: str, *, field: str = "iso") -> Source:
        """An ISO image as a medium; raises NotFound, InvalidRequest for a volume that is none."""
        volume = self.volume(external_id, "ISO image", field)
        found = storage.check_image(self.raw, volume, field=field)
        if found.format not in {"iso", "raw", ""}:
            raise InvalidRequest("This is no ISO image.", field=field)
        return storage.source_of(volume.storagePoolLookupByVolume(), volume, "raw")

    def _blank(
        self, wish: DiskSpec, pool: Any, name: str, format_: str, field: str, _progress: Progress
    ) -> Callable[[], Any]:
        if wish.size_gib is None:
            raise InvalidRequest("Say how large the disk is.", field=f"{field}size_gib")
        size = wish.size_gib * storage.GIB
        return lambda: storage.blank(pool, name=name, capacity=size, format_=format_, thin=wish.thin)

    def _from_image(
        self, wish: DiskSpec, pool: Any, name: str, format_: str, field: str, progress: Progress
    ) -> Callable[[], Any]:
        image_volume = self.volume(wish.image, "image", f"{field}image")
        image = storage.check_image(self.raw, image_volume, field=f"{field}image")
        size = wish.size_gib * storage.GIB if wish.size_gib is not None else image.capacity
        if size < image.capacity:
            least = -(-image.capacity // storage.GIB)
            raise InvalidRequest(f"This image needs a disk of {least} GiB or more.", field=f"{field}size_gib")
        if wish.thin and format_ == "qcow2":
            return lambda: storage.overlay(pool, image, name=name, capacity=size)
        return lambda: storage.copy(
            pool, image_volume, image, name=name, capacity=size, format_=format_, progress=progress
        )

    def _refuse_taken(self, path: str, wish: DiskSpec, *, field: str, uuid: str) -> None:
        for vm, known in Inventory.of(self.connection).everything():
            for drive in known.machine.all_drives:
                if path not in {drive.source, *drive.backing}:
                    continue
                if vm.uuid == uuid:
                    raise AlreadyExists("The VM has this volume already.", field=f"{field}volume")
                if not (wish.shareable and drive.shareable):
                    raise Conflict(
                        f"The VM “{known.machine.name}” has this volume. Only a disk that both share can be in two.",
                        field=f"{field}volume",
                    )
        above = storage.overlays_of(self.raw, [path])[path]
        if above:
            raise Conflict(
                "Other volumes build on this one, so nothing may write to it.",
                ", ".join(above),
                field=f"{field}volume",
            )
