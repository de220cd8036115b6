"""Disks and pools: heading 1.5 of the contract, first half. Sizes are whole GB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.base import (
    DiskDevice,
    DiskRecord,
    InvalidRequest,
    NotFound,
    NotSupported,
    PoolSpec,
    VmRecord,
    VolumeRecord,
    VolumeSpec,
)
from providers.kcontract.core import Core, Result, called, changes, refuse_extras, spec_of, whole_number
from providers.kcontract.forms import DiskDefaults, disk_spec


class Storage(Core):
    """Volumes, the disks of VMs, and pools."""

    def disk_exists(self, pool: str, name: str) -> bool:
        if self.driver.volumes is None:
            return False
        return any(volume.name == name and pool in names for volume, names in self._volumes_with_pools())

    @changes
    def create_disk(
        self, name: str, size: int | str, pool: str | None = None, thin: bool = True, image: str | None = None
    ) -> Result | None:
        """A volume on its own; the answer tells its `path`."""
        volumes = self.facet(self.driver.volumes, "volumes")
        volume = volumes.create(
            spec_of(
                VolumeSpec,
                name=name,
                size_gib=whole_number(size, "size"),
                pool=self.pool_id(pool),
                thin=thin,
                image=self.image_id(image) if image else "",
            )
        )
        return {"path": volume.path or volume.external_id}

    @changes
    def add_disk(
        self,
        name: str,
        size: int | str = 1,
        pool: str | None = None,
        thin: bool = True,
        image: str | None = None,
        shareable: bool = False,
        existing: str | None = None,
        interface: str = "virtio",
        novm: bool = False,
        overrides: Mapping[str, Any] | None = None,
        diskname: str | None = None,
    ) -> Result | None:
        """Plugs a new disk, or the `existing` volume, into a VM; with `novm` makes a volume called `name` instead.

        `overrides`: format, cache, readonly.
        """
        further = dict(overrides or {})
        refuse_extras("add_disk", further, () if novm else ("format", "cache", "readonly"))
        if novm:
            return self.create_disk(name, size, pool=pool, thin=thin, image=image)
        disks, vm = self.facet(self.driver.disks, "disks to change"), self.vm(name)
        form = {**further, "size": size, "name": diskname, "shareable": shareable, "image": image, "existing": existing}
        defaults = DiskDefaults(
            size_gib=None, pool=self.pool_id(pool), thin=thin, interface=interface if interface != "virtio" else ""
        )
        disks.attach(vm.external_id, disk_spec(self, form, defaults))
        return None

    @changes
    def delete_disk(
        self, name: str | None = None, diskname: str | None = None, pool: str | None = None, novm: bool = False
    ) -> Result | None:
        """Unplugs and deletes a disk of the VM `name`: by device, volume name or path; with `novm` a volume that
        stands alone. Another VM's disk is never guessed."""
        if not diskname:
            raise InvalidRequest("Say which disk.", field="diskname")
        if novm or name is None:
            volumes = self.facet(self.driver.volumes, "volumes")
            volumes.delete(self._volume(diskname, pool).external_id)
            return None
        disks, vm = self.facet(self.driver.disks, "disks to change"), self.vm(name)
        disks.detach(vm.external_id, self._disk_of(vm, diskname).external_id, delete=True)
        return None

    @changes
    def delete_disk_by_name(self, name: str, pool: str) -> Result | None:
        """Deletes a volume, unplugging it from the one VM that has it."""
        volume = self._volume(name, pool)
        if not volume.used_by:
            self.facet(self.driver.volumes, "volumes").delete(volume.external_id)
            return None
        disks = self.facet(self.driver.disks, "disks to change")
        for user in volume.used_by:
            vm = self.driver.machines.get(user)
            disk = self._disk_with(vm, volume)
            disks.detach(user, disk.external_id, delete=user == volume.used_by[-1])
        return None

    @changes
    def resize_disk(self, path: str, size: int | str) -> Result | None:
        """Grows a volume, by its path or name; a disk of a VM is grown through the VM, which may run."""
        wanted, volume = whole_number(size, "size"), self._volume(path, None)
        if not volume.used_by:
            self.facet(self.driver.volumes, "volumes").grow(volume.external_id, wanted)
            return None
        disks, vm = self.facet(self.driver.disks, "disks to change"), self.driver.machines.get(volume.used_by[0])
        disks.grow(vm.external_id, self._disk_with(vm, volume).external_id, wanted)
        return None

    def list_disks(self) -> dict[str, dict[str, str]]:
        """Volume name → {"pool", "path"}; a name that several pools have is preceded by its pool ("fast/data")."""
        if self.driver.volumes is None:
            return {}
        pools = self.pools_by_id()
        volumes = sorted(self.driver.volumes.list(), key=lambda volume: (volume.name, volume.pool))
        names = [volume.name for volume in volumes]
        listed = {}
        for volume in volumes:
            pool = pools[volume.pool].name if volume.pool in pools else volume.pool
            key = volume.name if names.count(volume.name) == 1 else f"{pool}/{volume.name}"
            listed[key] = {"pool": pool, "path": volume.path or volume.external_id}
        return listed

    # -- pools ------------------------------------------------------------------------------------------------------

    @changes
    def create_pool(
        self, name: str, poolpath: str, pooltype: str = "dir", user: str = "qemu", thinpool: str | None = None
    ) -> Result | None:
        """`pooltype`: dir, lvm (or logical), zfs; for the latter two `poolpath` is the group's or pool's own name or
        device. An owner other than the default cannot be honoured."""
        if user != "qemu":
            raise NotSupported("The owner of a pool's folder cannot be chosen.", field="user")
        pools = self.facet(self.driver.pools, "storage pools")
        type_ = {"lvm": "logical"}.get(pooltype, pooltype)
        if thinpool:
            raise NotSupported("Volumes in a thin pool of LVM cannot be made.", field="thinpool")
        if type_ in {"logical", "zfs"}:
            source = {"name": poolpath.removeprefix("/dev/").strip("/")}
            pools.create(spec_of(PoolSpec, name=name, type=type_, source=source))
            return None
        pools.create(spec_of(PoolSpec, name=name, type=type_, path=poolpath))
        return None

    @changes
    def delete_pool(self, name: str, full: bool = False) -> Result | None:
        """`full` deletes the volumes too."""
        pools = self.facet(self.driver.pools, "storage pools")
        pools.delete(called(pools.list(), name, "storage pool").external_id, with_volumes=full)
        return None

    def list_pools(self) -> list[str]:
        return sorted(pool.name for pool in self.pools_by_id().values())

    def get_pool_path(self, pool: str) -> str | None:
        return next((each.path for each in self.pools_by_id().values() if each.name == pool), None)

    # -- finding ----------------------------------------------------------------------------------------------------

    def _volumes_with_pools(self) -> list[tuple[VolumeRecord, tuple[str, str]]]:
        """Each volume with the id and name of its pool."""
        pools, volumes = self.pools_by_id(), self.facet(self.driver.volumes, "volumes").list()
        return [(each, (each.pool, pools[each.pool].name if each.pool in pools else "")) for each in volumes]

    def _volume(self, name: str, pool: str | None) -> VolumeRecord:
        """A volume by its path, or by its name in a pool; a name that several pools have is refused."""
        inside = [volume for volume, names in self._volumes_with_pools() if not pool or pool in names]
        return next((each for each in inside if each.path == name), None) or called(inside, name, "volume")

    def _disk_of(self, vm: VmRecord, name: str) -> DiskRecord:
        """A disk of this VM by its device, or by the name or path of its volume."""
        disks = [disk for disk in vm.disks or () if disk.device is DiskDevice.DISK]
        for disk in disks:
            if name in (disk.external_id, disk.volume):
                return disk
        volumes = self.driver.volumes.list() if self.driver.volumes is not None else ()
        wanted = {key for each in volumes if name in (each.name, each.path) for key in (each.external_id, each.path)}
        for disk in disks:
            if disk.volume in wanted:
                return disk
        raise NotFound(f"“{vm.name}” has no disk “{name}”.")

    @staticmethod
    def _disk_with(vm: VmRecord, volume: VolumeRecord) -> DiskRecord:
        for disk in vm.disks or ():
            if disk.volume in (volume.external_id, volume.path):
                return disk
        raise NotFound(f"“{vm.name}” has no disk on “{volume.name}”.")
