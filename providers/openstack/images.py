"""Images of Glance: those that the project may start from, brought in by the portal's worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from providers.base import (
    QUIET,
    AlreadyExists,
    Conflict,
    ImageRecord,
    Images,
    ImageSpec,
    NotFound,
    Progress,
)
from providers.openstack.blocks import VolumePart
from providers.openstack.errors import vendor_calls
from providers.openstack.part import MARK
from providers.openstack.records import gib, moment
from providers.openstack.servers import ServerPart
from providers.openstack.service import Json
from providers.transfer.source import opened

_PIECE = 1024 * 1024


class OpenStackImages(ServerPart, VolumePart, Images):
    def list(self) -> Sequence[ImageRecord]:
        """What can be started from: finished, and neither kernels nor their disks."""
        with vendor_calls():
            found = self.cloud.image.all("/images", "images", status="active")
        return [image_record(each) for each in found if each.get("disk_format") not in (None, "aki", "ari")]

    def add(self, spec: ImageSpec, progress: Progress = QUIET) -> ImageRecord:
        """The worker fetches, checks and hands on piece by piece; Glance lists it as unfinished until the end."""
        with vendor_calls():
            for known in self.cloud.image.all("/images", "images", name=spec.name):
                if known.get(MARK) != (spec.portal_uuid or None) or known.get("status") == "active":
                    raise AlreadyExists(f"There is an image “{spec.name}” already.", field="name")
                self._drop(known["id"])
            with opened(spec, progress) as source:
                wish: Json = {
                    "name": spec.name,
                    "disk_format": "iso" if spec.is_iso else source.header.format,
                    "container_format": "bare",
                    "visibility": "private",
                }
                for key, value in (
                    (MARK, spec.portal_uuid),
                    ("os_distro", spec.os),
                    ("os_admin_user", spec.default_user),
                ):
                    if value:
                        wish[key] = value
                image_id = str(self.cloud.image.post("/images", wish)["id"])
                try:
                    headers = {"Content-Type": "application/octet-stream"}
                    pieces = source.pieces(progress)
                    self.cloud.image.raw("PUT", f"/images/{image_id}/file", data=pieces, headers=headers)
                    made = self.wait(lambda: self._active(image_id), "Bringing the image in", progress)
                except BaseException:
                    self._drop(image_id)
                    raise
            progress.report(100, "Done.")
            return image_record(made)

    def delete(self, external_id: str) -> None:
        """Raises Conflict while a VM began with it, since rebuilding that needs it again."""
        with vendor_calls():
            self.image(external_id)
            for server in self.servers():
                metadata = server.get("metadata") or {}
                if external_id in ((server.get("image") or {}).get("id"), metadata.get("kvweb_image")):
                    raise Conflict(f"“{server.get('name')}” was made from this image.")
            self.cloud.image.delete(f"/images/{external_id}")

    def read(self, external_id: str) -> Iterator[bytes]:
        with vendor_calls():
            self.image(external_id)
            response = self.cloud.image.raw("GET", f"/images/{external_id}/file", stream=True)
            with response:
                yield from response.iter_content(_PIECE)

    def _active(self, image_id: str) -> Json | None:
        image = self.image(image_id)
        if image["status"] in ("killed", "deleted"):
            raise Conflict("The cloud did not keep the image.", image["status"])
        return image if image["status"] == "active" else None

    def _drop(self, image_id: str) -> None:
        with suppress(NotFound):
            self.image(image_id)
            self.cloud.image.delete(f"/images/{image_id}")


def image_record(image: Json) -> ImageRecord:
    size = image.get("virtual_size") or image.get("size") or 0
    return ImageRecord(
        external_id=image["id"],
        name=image.get("name") or image["id"],
        format=image.get("disk_format") or "",
        size_gib=max(gib(size), float(image.get("min_disk") or 0)),
        stored_bytes=int(image.get("size") or 0),
        is_iso=image.get("disk_format") == "iso",
        os=image.get("os_distro") or "",
        default_user=image.get("os_admin_user") or "",
        created_at=moment(image.get("created_at")),
    )
