"""Disks of a VM: volumes of block storage that are plugged in and out."""

from __future__ import annotations

from providers.base import (
    QUIET,
    Conflict,
    DiskRecord,
    Disks,
    DiskSpec,
    InvalidRequest,
    NotFound,
    NotSupported,
    Progress,
    VmRecord,
)
from providers.openstack.blocks import VolumePart
from providers.openstack.errors import vendor_calls
from providers.openstack.part import MARK
from providers.openstack.records import users_of
from providers.openstack.servers import ServerPart
from providers.openstack.service import Json


class OpenStackDisks(ServerPart, VolumePart, Disks):
    def attach(self, external_id: str, disk: DiskSpec, progress: Progress = QUIET) -> VmRecord:
        if disk.bus or disk.cache or disk.read_only:
            raise InvalidRequest("The cloud decides about bus and cache of a disk.", field="bus")
        with vendor_calls():
            server = self.server(external_id)
            made = ""
            if disk.volume:
                volume = self.volume(disk.volume)
                if external_id in users_of(volume):
                    return self.record_of(server)
                if users_of(volume) and not (disk.shareable and volume.get("multiattach")):
                    raise Conflict("Another VM has this volume, and its type does not allow to share it.")
            else:
                volume = self._made(server, disk, progress)
                made = volume["id"]
            try:
                progress.checkpoint()
                progress.report(60, "Plugging it in.")
                wish = {"volumeId": volume["id"], "delete_on_termination": not disk.volume}
                self.cloud.compute.post(f"/servers/{external_id}/os-volume_attachments", {"volumeAttachment": wish})
                self.wait(lambda: self._is_plugged(external_id, volume["id"]), "Plugging in the disk", progress)
            except BaseException:
                if made:
                    self.drop_volume(made)
                raise
            progress.report(100, "Done.")
            return self.record(external_id)

    def detach(self, external_id: str, disk_id: str, *, delete: bool = False) -> VmRecord:
        with vendor_calls():
            disk = self._disk(external_id, disk_id)
            if not disk.volume or disk.boot:
                raise Conflict("The VM starts from this disk.")
            volume = self.volume(disk.volume)
            if delete and set(users_of(volume)) - {external_id}:
                raise Conflict("Another VM has this volume, too.")
            self.cloud.compute.delete(f"/servers/{external_id}/os-volume_attachments/{disk.volume}")
            self.wait(lambda: self._is_out(external_id, disk.volume), "Unplugging the disk")
            if delete:
                self.remove_volume(disk.volume)
            return self.record(external_id)

    def grow(self, external_id: str, disk_id: str, size_gib: int) -> VmRecord:
        with vendor_calls():
            disk = self._disk(external_id, disk_id)
            if not disk.volume:
                raise Conflict("This disk is as large as the flavor says; choose another flavor.")
            self.grow_volume(disk.volume, size_gib)
            return self.record(external_id)

    def move(self, external_id: str, disk_id: str, pool: str, progress: Progress = QUIET) -> VmRecord:
        raise NotSupported("Disks cannot be moved to another volume type here.")

    def set_iso(self, external_id: str, image: str | None, *, force: bool = False) -> VmRecord:
        raise NotSupported("The VMs of this cloud have no drives for CDs.")

    def _made(self, server: Json, disk: DiskSpec, progress: Progress) -> Json:
        progress.report(10, "Making the disk.")
        number = len(server.get("os-extended-volumes:volumes_attached", ())) + bool(server.get("image"))
        source: Json = {"imageRef": self.image(disk.image)["id"]} if disk.image else {}
        volume = self.make_volume(
            name=disk.name or f"{server['name']}-disk{number}",
            size_gib=disk.size_gib or 1,
            portal_uuid=(server.get("metadata") or {}).get(MARK, ""),
            pool=disk.pool,
            **source,
        )
        try:
            return self.wait_volume(volume["id"], "available", what="Making the disk", progress=progress)
        except BaseException:
            self.drop_volume(volume["id"])
            raise

    def _disk(self, external_id: str, disk_id: str) -> DiskRecord:
        for disk in self.record(external_id).disks or ():
            if disk_id in (disk.external_id, disk.volume):
                return disk
        raise NotFound("The VM has no such disk.", disk_id)

    def _is_plugged(self, external_id: str, volume_id: str) -> bool | None:
        """Both services must agree: Nova lists it before Cinder has it in use."""
        volume = self.volume(volume_id)
        if volume["status"] in ("error", "error_attaching"):
            raise Conflict("The cloud could not plug this disk in.", volume["status"])
        return True if volume["status"] == "in-use" and external_id in users_of(volume) else None

    def _is_out(self, external_id: str, volume_id: str) -> bool | None:
        volume = self.volume(volume_id)
        gone = external_id not in users_of(volume) and volume["status"] in ("available", "in-use")
        return True if gone else None
