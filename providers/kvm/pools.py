"""Storage pools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from providers.base import AlreadyExists, Conflict, InvalidRequest, PoolRecord, Pools, PoolSpec
from providers.kvm import storage
from providers.kvm.design import check_name
from providers.kvm.errors import still_there, vendor_calls
from providers.kvm.inventory import Inventory
from providers.kvm.native import LibvirtError
from providers.kvm.part import Part
from providers.kvm.xml.storage import pool_document, read_pool

#: Every file of a pool's folder becomes a volume that can be read and deleted.
_SYSTEM = frozenset({"bin", "boot", "dev", "etc", "lib", "lib64", "proc", "root", "run", "sbin", "sys", "usr"})


class KvmPools(Part, Pools):
    """A pool's identity is its name. Pools of every type are listed and used; folders can be made."""

    def list(self) -> Sequence[PoolRecord]:
        with vendor_calls():
            return list(still_there(self.raw.listAllStoragePools(0), _record))

    def create(self, spec: PoolSpec) -> PoolRecord:
        """A pool over a folder of the host, which is made when it is missing; it starts with the host."""
        check_name(spec.name)
        if spec.type != "dir":
            raise InvalidRequest("Only pools over a folder (“dir”) can be made here.", field="type")
        path = PurePosixPath(spec.path)
        if not path.is_absolute() or ".." in path.parts or len(path.parts) < 3:
            raise InvalidRequest("Give the absolute path of a folder, such as /var/lib/libvirt/images.", field="path")
        if path.parts[1] in _SYSTEM:
            raise InvalidRequest("The system's own folders cannot hold disks.", field="path")
        with vendor_calls():
            pools = list(still_there(self.raw.listAllStoragePools(0), lambda pool: read_pool(pool.XMLDesc())))
            if any(pool.name == spec.name for pool in pools):
                raise AlreadyExists(f"A storage pool called “{spec.name}” exists already.", field="name")
            twin = next((pool.name for pool in pools if pool.path.rstrip("/") == str(path)), "")
            if twin:
                raise AlreadyExists(f"The storage pool “{twin}” has this folder already.", field="path")
            pool = self.raw.storagePoolDefineXML(pool_document(name=spec.name, type_="dir", path=str(path)), 0)
            try:
                pool.build(0)
                pool.create(0)
                pool.setAutostart(1)
            except LibvirtError:
                _drop(pool)
                raise
            self._forget()
            return _record(pool)

    def delete(self, external_id: str, *, with_volumes: bool = False) -> None:
        """Take the pool out of libvirt. Its folder stays; its files go only `with_volumes`."""
        with vendor_calls():
            pool = self.any_pool(external_id)
            if pool.isActive():
                storage.refreshed(pool)
                volumes = pool.listAllVolumes(0)
                if volumes and not with_volumes:
                    raise Conflict(f"It holds {len(volumes)} volumes; delete them first, or delete it with them.")
                self._refuse_when_used(volumes)
                for volume in volumes:
                    storage.remove(volume)
            elif with_volumes:
                raise Conflict("It is switched off, so its volumes cannot be deleted; start it first.")
            _drop(pool)
            self._forget()

    def update(self, external_id: str, *, active: bool | None = None, autostart: bool | None = None) -> PoolRecord:
        """Switch on or off, now or with the host. What a running VM has open must not be taken from under it."""
        with vendor_calls():
            pool = self.any_pool(external_id)
            if autostart is not None:
                pool.setAutostart(int(autostart))
            if active is True and not pool.isActive():
                pool.create(0)
            elif active is False and pool.isActive():
                self._refuse_while_running(pool)
                pool.destroy()
            self._forget()
            return _record(pool)

    def refresh(self, external_id: str) -> PoolRecord:
        with vendor_calls():
            pool = self.pool(external_id)
            pool.refresh(0)
            return _record(pool)

    def _refuse_while_running(self, pool: Any) -> None:
        name, paths = pool.name(), {volume.path() for volume in storage.volumes_of(pool)}
        for vm, known in Inventory.of(self.connection).everything():
            for drive in known.machine.drives:
                if vm.is_active and (drive.pool == name or paths & {drive.source, *drive.backing}):
                    raise Conflict(f"The running VM “{known.machine.name}” has disks in it; stop it first.")

    def _refuse_when_used(self, volumes: Sequence[Any]) -> None:
        paths = [volume.path() for volume in volumes]
        users = Inventory.of(self.connection).users_of(*paths)
        used = [path for path in paths if users[path]]
        if used:
            raise Conflict("VMs have disks in it; delete those first.", ", ".join(used))
        above = storage.overlays_of(self.raw, paths)
        if any(overlay not in above for overlays in above.values() for overlay in overlays):
            raise Conflict("Volumes of other pools build on its volumes; delete those first.")

    def _forget(self) -> None:
        Inventory.of(self.connection).forget_pools()


def _record(pool: Any) -> PoolRecord:
    seen = read_pool(pool.XMLDesc())
    return PoolRecord(
        external_id=seen.name,
        name=seen.name,
        type=seen.type,
        path=seen.path,
        is_active=bool(pool.isActive()),
        autostart=bool(pool.autostart()),
        capacity_gib=seen.capacity / storage.GIB,
        allocation_gib=seen.allocation / storage.GIB,
        available_gib=seen.available / storage.GIB,
    )


def _drop(pool: Any) -> None:
    if pool.isActive():
        pool.destroy()
    if pool.isPersistent():
        pool.undefine()
