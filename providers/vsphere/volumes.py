"""Volumes: disk files on datastores, whether or not a VM has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from providers.base import (
    QUIET,
    AlreadyExists,
    Conflict,
    InvalidRequest,
    NotFound,
    NotSupported,
    Progress,
    VolumeRecord,
    Volumes,
    VolumeSpec,
)
from providers.vsphere.datastores import File, disks_query, find, make_folder, search, split, stores
from providers.vsphere.errors import vendor_calls
from providers.vsphere.native import vim
from providers.vsphere.part import Part
from providers.vsphere.properties import children
from providers.vsphere.records import KIB_PER_GIB, backing_files
from providers.vsphere.site import read_site

#: Where the portal's own volumes lie on a datastore.
FOLDER = "kvweb"
_GIB = 1024**3


class VsphereVolumes(Part, Volumes):
    """A volume's identity is its path, which changes when vCenter moves it to another datastore."""

    def list(self, pool: str = "") -> Sequence[VolumeRecord]:
        """A search of each datastore; what VMs and templates use is read in one call."""
        with vendor_calls():
            users = self._users()
            return [
                _record(file, users)
                for store in stores(self.connection)
                if pool in ("", store.id) and store.is_true("summary.accessible")
                for file in search(self.connection, store, disks_query())
            ]

    def get(self, external_id: str) -> VolumeRecord:
        with vendor_calls():
            return _record(find(self.connection, external_id, disks_query()), self._users())

    def create(self, spec: VolumeSpec, progress: Progress = QUIET) -> VolumeRecord:
        if spec.format not in ("", "vmdk"):
            raise InvalidRequest("Disks of vSphere are VMDK files.", field="format")
        if spec.image:
            raise NotSupported("A volume cannot begin with an image here; a new VM's disk can.")
        with vendor_calls():
            path = self._free_path(spec.name, read_site(self.connection).datastore(spec.pool).text("name"))
            disk = vim.VirtualDiskManager.FileBackedVirtualDiskSpec(
                diskType="thin" if spec.thin else "preallocated",
                adapterType="lsiLogic",
                capacityKb=spec.size_gib * KIB_PER_GIB,
            )
            task = self._manager.CreateVirtualDisk_Task(path, self.connection.datacenter, disk)
            self._undone(path, task, progress, "Making the disk")
            return self.get(path)

    def grow(self, external_id: str, size_gib: int) -> VolumeRecord:
        with vendor_calls():
            before = self.get(external_id)
            if size_gib < before.size_gib:
                raise InvalidRequest("A volume can only grow.", field="size_gib")
            if before.used_by:
                raise Conflict("A VM has this disk; let it grow there.")
            task = self._manager.ExtendVirtualDisk_Task(
                external_id, self.connection.datacenter, size_gib * KIB_PER_GIB, False
            )
            self.run_task(task, can_stop=False)
            return self.get(external_id)

    def clone(self, external_id: str, name: str, *, pool: str = "", progress: Progress = QUIET) -> VolumeRecord:
        with vendor_calls():
            before = find(self.connection, external_id, disks_query())
            self._demand_stopped(external_id)
            store = read_site(self.connection).datastore(pool or before.store)
            path = self._free_path(name, store.text("name"))
            here = self.connection.datacenter
            task = self._manager.CopyVirtualDisk_Task(external_id, here, path, here, None, False)
            self._undone(path, task, progress, "Copying the disk")
            return self.get(path)

    def delete(self, external_id: str) -> None:
        with vendor_calls():
            if self.get(external_id).used_by:
                raise Conflict("A VM or template uses this disk.")
            self.run_task(self._manager.DeleteVirtualDisk_Task(external_id, self.connection.datacenter), can_stop=False)

    # -- steps ------------------------------------------------------------------------------------------------------

    @property
    def _manager(self) -> Any:
        return self.connection.content.virtualDiskManager

    def _users(self) -> Mapping[str, Sequence[str]]:
        """VMs and templates by the files of their disks, and by those that these build on."""
        users: dict[str, list[str]] = defaultdict(list)
        for found in self.everybody("config.hardware.device"):
            for device in children(found.values.get("config.hardware.device")):
                for file in backing_files(device):
                    users[file].append(found.id)
        return users

    def _demand_stopped(self, external_id: str) -> None:
        for found in self.everybody("config.hardware.device", "runtime.powerState"):
            files = [backing_files(each) for each in children(found.values.get("config.hardware.device"))]
            if any(external_id in each for each in files) and found.text("runtime.powerState") == "poweredOn":
                raise Conflict("A running VM writes to this disk; stop it first.")

    def _free_path(self, name: str, store: str) -> str:
        """Where a volume of this name will lie; raises AlreadyExists."""
        name = name.removesuffix(".vmdk")
        if not name or "/" in name or "\\" in name or not name.isprintable():
            raise InvalidRequest("The name must be printable and have no slash.", field="name")
        path = f"[{store}] {FOLDER}/{name}.vmdk"
        try:
            find(self.connection, path, disks_query())
        except NotFound:
            make_folder(self.connection, f"[{store}] {FOLDER}")
            return path
        raise AlreadyExists(f"There is a volume “{name}” already.", field="name")

    def _undone(self, path: str, task: Any, progress: Progress, sentence: str) -> None:
        """Wait for a task that makes a file, and delete what it has made when it is broken off."""
        try:
            self.run_task(task, progress, sentence=sentence)
        except BaseException as exc:
            if not isinstance(exc, AlreadyExists):
                self._drop(path)
            raise

    def _drop(self, path: str) -> None:
        try:
            with vendor_calls():
                self.run_task(self._manager.DeleteVirtualDisk_Task(path, self.connection.datacenter), can_stop=False)
        except Exception:  # noqa: S110 - the first error is what is told
            pass


def _record(file: File, users: Mapping[str, Sequence[str]]) -> VolumeRecord:
    _, folder, name = split(file.path)
    name = name.removesuffix(".vmdk")
    return VolumeRecord(
        external_id=file.path,
        name=name if folder == FOLDER else f"{folder}/{name}",
        pool=file.store,
        path=file.path,
        format="vmdk",
        size_gib=file.capacity_kib / KIB_PER_GIB,
        allocation_gib=file.stored_bytes / _GIB,
        used_by=tuple(dict.fromkeys(users.get(file.path, ()))),
    )
