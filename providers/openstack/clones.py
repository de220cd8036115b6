"""Clones and exports, for VMs whose disks are volumes: Cinder copies them."""

from __future__ import annotations

from contextlib import suppress

from providers.base import (
    QUIET,
    AlreadyExists,
    Clones,
    Conflict,
    ImageRecord,
    NicSpec,
    NotFound,
    Progress,
    VmRecord,
    VmSpec,
)
from providers.openstack.blocks import VolumePart
from providers.openstack.creation import Creation
from providers.openstack.errors import vendor_calls
from providers.openstack.images import image_record
from providers.openstack.records import vm_record
from providers.openstack.servers import ServerPart, is_off
from providers.openstack.service import Json


class OpenStackClones(ServerPart, VolumePart, Clones):
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
        """Always with copies of its volumes; with the same flavor, networks, zone and metadata."""
        del full
        with vendor_calls():
            server = self.server(external_id)
            volumes = self._volumes(server)
            record = vm_record(server, self.ports_of(external_id), volumes, frozenset())
            made_from = {"kvweb_image": record.image} if record.image else {}
            spec = VmSpec(
                name=name,
                portal_uuid=portal_uuid,
                flavor=record.flavor,
                nics=tuple(NicSpec(network=nic.network) for nic in record.nics or ()),
                description=record.description,
                metadata={**record.metadata, **made_from},
                zone=record.zone,
                start=start,
            )
            ordered = [volumes[disk.volume] for disk in record.disks or () if disk.volume]
            return Creation(self.cloud, spec, progress).run(ordered)

    def export(self, external_id: str, image_name: str, progress: Progress = QUIET) -> ImageRecord:
        """From a copy of the volume: the volume itself is in use as long as its VM exists."""
        with vendor_calls():
            server = self.server(external_id)
            if any(True for _ in self.cloud.image.all("/images", "images", name=image_name)):
                raise AlreadyExists(f"There is an image “{image_name}” already.", field="name")
            volumes = self._volumes(server)
            record = vm_record(server, (), volumes, frozenset())
            first = next(volumes[disk.volume] for disk in record.disks or () if disk.volume)
            progress.report(10, "Copying the disk.")
            copy = self.make_volume(
                name=image_name,
                size_gib=int(first["size"]),
                pool=str(first.get("volume_type") or ""),
                source_volid=first["id"],
            )
            image_id = ""
            try:
                self.wait_volume(copy["id"], "available", what="Copying the disk", progress=progress)
                progress.report(40, "Writing the image.")
                wish = {"image_name": image_name, "disk_format": "qcow2", "container_format": "bare", "force": False}
                told = self.cinder.post(f"/volumes/{copy['id']}/action", {"os-volume_upload_image": wish})
                image_id = str(told["os-volume_upload_image"]["image_id"])
                image = self.wait(lambda: self._active(image_id), "Writing the image", progress)
            except BaseException:
                if image_id:
                    with suppress(Exception):
                        self.cloud.image.delete(f"/images/{image_id}")
                raise
            finally:
                self.wait(lambda: self._is_done(copy["id"]), "Writing the image")
                self.drop_volume(copy["id"])
            progress.report(100, "Done.")
            return image_record(image)

    def _volumes(self, server: Json) -> dict[str, Json]:
        if not is_off(server):
            raise Conflict("Stop the VM first.", server["status"])
        if server.get("image"):
            raise Conflict("Its first disk is one of the host's, which the cloud cannot copy this way.")
        found = self.volumes_of(server)
        if not found:
            raise Conflict("The VM has no disk.")
        return found

    def _active(self, image_id: str) -> Json | None:
        image = self.image(image_id)
        if image["status"] in ("killed", "deleted"):
            raise Conflict("The cloud could not write the image.", image["status"])
        return image if image["status"] == "active" else None

    def _is_done(self, volume_id: str) -> bool | None:
        try:
            return True if self.volume(volume_id)["status"] != "uploading" else None
        except NotFound:
            return True
