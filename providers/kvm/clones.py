"""Clones of a VM, and images made from one."""

from __future__ import annotations

from typing import Any

from providers.base import QUIET, AlreadyExists, Clones, Conflict, ImageRecord, Progress, VmRecord
from providers.kvm import storage
from providers.kvm.cloning import Cloning, demand_still, full_copy
from providers.kvm.design import check_name
from providers.kvm.errors import has_code, vendor_calls
from providers.kvm.images import image_record
from providers.kvm.layers import Layers, disks_of
from providers.kvm.machines import KvmMachines
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.part import Part


class KvmClones(Part, Clones):
    def clone(
        self,
        external_id: str,
        name: str,
        *,
        full: bool = False,
        start: bool = False,
        portal_uuid: str = "",
        progress: Progress = QUIET,
    ) -> VmRecord:
        """The guest gets another name, host keys and addresses through its seed, where it has one. A cancel is heard
        between two disks: libvirt's copying of one cannot be broken off.
        """
        with vendor_calls():
            domain = Cloning(self.connection, self.config).run(
                external_id, name, full=full, start=start, portal_uuid=portal_uuid, progress=progress
            )
            record = KvmMachines(self.connection, self.config).record(domain)
        progress.report(100, "Done")
        return record

    def export(self, external_id: str, image_name: str, progress: Progress = QUIET) -> ImageRecord:
        """A qcow2 that stands alone, in the pool of the first disk (or the default, where that keeps no files)."""
        check_name(image_name)
        with vendor_calls():
            machine = demand_still(self.domain(external_id))
            disk = next(iter(disks_of(machine)), None)
            if disk is None:
                raise Conflict("The VM has no disk to export.")
            layers = Layers(self.connection, self.config)
            volume = layers.volume_at(disk.source)
            if volume is None:
                raise Conflict(f"The disk {disk.target} lies in no storage pool.", disk.source)
            pool = volume.storagePoolLookupByVolume()
            if storage.pool_type(pool) not in storage.FILE_POOLS:
                pool = self.pool("")
            if _exists(pool, image_name):
                raise AlreadyExists(f"The pool holds “{image_name}” already.", field="name")
            progress.checkpoint()
            progress.report(5, "Copying the disk")
            made = full_copy(layers, disk, pool=pool, name=image_name, format_="qcow2", progress=progress, mode="0444")
            record = image_record(pool.name(), storage.seen(made))
        progress.report(100, "Done")
        return record


def _exists(pool: Any, name: str) -> bool:
    try:
        pool.storageVolLookupByName(name)
    except LibvirtError as exc:
        if has_code(exc, libvirt.VIR_ERR_NO_STORAGE_VOL):
            return False
        raise
    return True
