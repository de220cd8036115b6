"""Images: those of Hetzner, and the project's own, which are snapshots of servers; and ISO images for the drive."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import QUIET, Conflict, ImageRecord, Images, ImageSpec, NotSupported, Progress
from providers.hcloud.part import Part
from providers.hcloud.records import image_record, iso_record


class HcloudImages(Part, Images):
    def list(self) -> Sequence[ImageRecord]:
        images = self.api.pages("images", status="available")
        return [*(image_record(image) for image in images), *(iso_record(iso) for iso in self.api.pages("isos"))]

    def add(self, spec: ImageSpec, progress: Progress = QUIET) -> ImageRecord:
        raise NotSupported("Hetzner takes no images from outside; make one from a VM.")

    def delete(self, external_id: str) -> None:
        if external_id.startswith("iso-"):
            raise Conflict("ISO images belong to Hetzner and cannot be deleted.")
        if self.api.one("images", external_id)["type"] == "system":
            raise Conflict("This image belongs to Hetzner and cannot be deleted.")
        self.api.delete(f"/images/{external_id}")
