"""Storage pools."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from providers.base import (
    AlreadyExists,
    Conflict,
    InvalidRequest,
    NotSupported,
    PoolRecord,
    Pools,
    PoolSpec,
    ProviderError,
)
from providers.kvm import pool_secrets, storage
from providers.kvm.creation import attempt
from providers.kvm.design import check_name
from providers.kvm.errors import has_code, still_there, vendor_calls
from providers.kvm.inventory import Inventory
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.part import Part
from providers.kvm.pool_sources import TYPES, PoolPlan, plan
from providers.kvm.users import users_now
from providers.kvm.xml.storage import pool_document, read_pool, read_pool_types

#: What a host that could not open a pool's source is to be asked about, and the field of it.
_SOURCES = {
    "dir": ("The host cannot read this folder.", "path"),
    "fs": ("The host cannot mount this device.", "source.device"),
    "netfs": ("The host cannot mount this share.", "source.host"),
    "logical": ("The host has no such volume group, or cannot make it of these devices.", "source.name"),
    "iscsi": ("The host cannot sign in at this target.", "source.target"),
    "rbd": ("The host cannot reach this Ceph pool.", "source.host"),
}
#: Their volumes are somebody else's: libvirt can neither make nor delete them.
_FOREIGN = frozenset({"iscsi", "iscsi-direct", "scsi", "mpath"})
#: libvirt takes them for volumes too; an empty file system has one, "lost+found".
_FOLDERS = frozenset({libvirt.VIR_STORAGE_VOL_DIR, libvirt.VIR_STORAGE_VOL_NETDIR})


class KvmPools(Part, Pools):
    """A pool's identity is its name. Pools of every type are listed and used."""

    def list(self) -> Sequence[PoolRecord]:
        with vendor_calls():
            return list(still_there(self.raw.listAllStoragePools(0), _record))

    def create(self, spec: PoolSpec) -> PoolRecord:
        """Define it, make its folder or volume group where that is its way, and start it, now and with the host."""
        check_name(spec.name)
        planned = plan(spec)
        with vendor_calls():
            if spec.type not in types(self.raw):
                raise NotSupported(f"The host's libvirt has no support for pools of type “{spec.type}”.", field="type")
            self._refuse_twin(spec, planned)
            with ExitStack() as undo:
                pool = self._defined(spec, planned, undo)
                try:
                    if planned.builds:
                        pool.build(0)
                    pool.create(0)
                except LibvirtError as exc:
                    raise _unreadable(spec.type, exc) from exc
                pool.setAutostart(1)
                undo.pop_all()
            self._forget()
            return _record(pool)

    def update(self, external_id: str, *, active: bool | None = None, autostart: bool | None = None) -> PoolRecord:
        """Switch on or off, now or with the host. What a running VM has open must not be taken from under it."""
        with vendor_calls():
            pool = self.any_pool(external_id)
            if autostart is not None:
                pool.setAutostart(int(autostart))
            if active is True and not pool.isActive():
                try:
                    pool.create(0)
                except LibvirtError as exc:
                    reason = _unreadable(storage.pool_type(pool), exc)
                    raise Conflict(reason.reason, reason.detail) from exc
            elif active is False and pool.isActive():
                self._refuse_while_running(pool)
                pool.destroy()
            self._forget()
            return _record(pool)

    def refresh(self, external_id: str) -> PoolRecord:
        with vendor_calls():
            pool = self.pool(external_id)
            try:
                pool.refresh(0)
            except LibvirtError as exc:
                if "asynchronous jobs running" in str(exc):
                    raise Conflict("Something is being copied in it; try again when that is done.", str(exc)) from exc
                # libvirt has switched it off by now.
                reason = _unreadable(storage.pool_type(pool), exc)
                raise Conflict(reason.reason, reason.detail) from exc
            return _record(pool)

    def delete(self, external_id: str, *, with_volumes: bool = False) -> None:
        """Take the pool out of libvirt, with its secret. Folder, group or share stay; volumes go `with_volumes`."""
        with vendor_calls():
            pool = self.any_pool(external_id)
            seen = read_pool(pool.XMLDesc())
            if pool.isActive():
                storage.refreshed(pool)
                typed = still_there(storage.volumes_of(pool), lambda volume: (volume.info()[0], volume))
                volumes = [volume for type_, volume in typed if type_ not in _FOLDERS]
                self._refuse_when_used(pool, volumes)
                if seen.type in _FOREIGN:
                    volumes = []
                if volumes and not with_volumes:
                    raise Conflict(f"It holds {len(volumes)} volumes; delete them first, or delete it with them.")
                for volume in volumes:
                    storage.remove(volume)
            elif with_volumes:
                raise Conflict("It is switched off, so its volumes cannot be deleted; start it first.")
            _drop(pool)
            pool_secrets.forget(self.raw, seen.source.secret_uuid)
            self._forget()

    # -- the steps --------------------------------------------------------------------------------------------------

    def _refuse_twin(self, spec: PoolSpec, planned: PoolPlan) -> None:
        pools = list(still_there(self.raw.listAllStoragePools(0), lambda pool: read_pool(pool.XMLDesc())))
        if any(pool.name == spec.name for pool in pools):
            raise AlreadyExists(f"A storage pool called “{spec.name}” exists already.", field="name")
        for pool in pools:
            if planned.builds and pool.path.rstrip("/") == planned.path:
                raise AlreadyExists(f"The storage pool “{pool.name}” has this folder already.", field="path")

    def _defined(self, spec: PoolSpec, planned: PoolPlan, undo: ExitStack) -> Any:
        source = planned.source
        if source is not None and planned.secret:
            uuid = pool_secrets.keep(self.raw, spec.name, type_=planned.auth_type, value=planned.secret)
            undo.callback(attempt, lambda: pool_secrets.forget(self.raw, uuid))
            source = replace(source, auth_type=planned.auth_type, secret_uuid=uuid)
        try:
            document = pool_document(name=spec.name, type_=spec.type, path=planned.path, source=source)
            pool = self.raw.storagePoolDefineXML(document, 0)
        except LibvirtError as exc:
            if "source conflict" in str(exc).lower():
                raise AlreadyExists(
                    "Another storage pool has this source already.", str(exc), field=_SOURCES[spec.type][1]
                ) from exc
            raise
        undo.callback(attempt, lambda: _drop(pool))
        return pool

    def _refuse_while_running(self, pool: Any) -> None:
        name, paths = pool.name(), {volume.path() for volume in storage.volumes_of(pool)}
        for vm, known in Inventory.of(self.connection).everything():
            for drive in known.machine.drives:
                if vm.is_active and (drive.pool == name or paths & {drive.source, *drive.backing}):
                    raise Conflict(f"The running VM “{known.machine.name}” has disks in it; stop it first.")

    def _refuse_when_used(self, pool: Any, volumes: Sequence[Any]) -> None:
        name, paths = pool.name(), [volume.path() for volume in volumes]
        inventory = Inventory.of(self.connection)
        users = users_now(self, *paths)
        used = [path for path in paths if users[path]]
        for _, known in inventory.everything():
            used += [drive.source for drive in known.machine.all_drives if drive.pool == name]
        if used:
            raise Conflict("VMs have disks in it; delete those first.", ", ".join(used))
        above = storage.overlays_of(self.raw, paths)
        if any(overlay not in above for overlays in above.values() for overlay in overlays):
            raise Conflict("Volumes of other pools build on its volumes; delete those first.")

    def _forget(self) -> None:
        Inventory.of(self.connection).forget_pools()


def types(raw: Any) -> frozenset[str]:
    """Types of pools that can be made at this host."""
    try:
        return TYPES & read_pool_types(raw.getStoragePoolCapabilities(0))
    except LibvirtError as exc:
        # Before libvirt 5.2 nobody could ask; it says so when it is tried.
        if has_code(exc, libvirt.VIR_ERR_NO_SUPPORT):
            return TYPES
        raise


def _unreadable(type_: str, error: Exception) -> ProviderError:
    """Helpers of libvirt (mount, vgcreate, iscsiadm) fail with their text alone, which names the host's insides."""
    reason, field = _SOURCES.get(type_, ("The host cannot open this pool.", ""))
    return InvalidRequest(reason, str(error), field=field)


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
