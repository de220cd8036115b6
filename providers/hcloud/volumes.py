"""Volumes: block storage of the project, each in one location."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import (
    QUIET,
    AlreadyExists,
    Conflict,
    InvalidRequest,
    NotSupported,
    Progress,
    VolumeRecord,
    Volumes,
    VolumeSpec,
)
from providers.hcloud.creation import check_size
from providers.hcloud.part import Part
from providers.hcloud.records import volume_record


class HcloudVolumes(Part, Volumes):
    def list(self, pool: str = "") -> Sequence[VolumeRecord]:
        del pool
        return [volume_record(volume) for volume in self.api.pages("volumes")]

    def get(self, external_id: str) -> VolumeRecord:
        return volume_record(self.api.one("volumes", external_id))

    def create(self, spec: VolumeSpec, progress: Progress = QUIET) -> VolumeRecord:
        if self.api.named("volumes", spec.name) is not None:
            raise AlreadyExists(f"There is a volume called “{spec.name}” already.")
        if spec.image or spec.format:
            raise InvalidRequest("Volumes at Hetzner are empty at first.", field="image" if spec.image else "format")
        check_size(spec.size_gib)
        body = {"name": spec.name, "size": spec.size_gib, "location": spec.pool or self.api.config.location}
        answer = self.api.post("/volumes", body)
        number = str(answer["volume"]["id"])
        try:
            self.api.settle(
                answer["action"], progress=progress, sentence="Making the volume.", percent=(10, 100), is_final=False
            )
        except BaseException:
            self.api.delete(f"/volumes/{number}")
            raise
        return self.get(number)

    def grow(self, external_id: str, size_gib: int) -> VolumeRecord:
        if size_gib <= self.api.one("volumes", external_id)["size"]:
            raise InvalidRequest("Volumes can only become larger.", field="size_gib")
        check_size(size_gib)
        self.api.settle(self.api.post(f"/volumes/{external_id}/actions/resize", {"size": size_gib})["action"])
        return self.get(external_id)

    def clone(self, external_id: str, name: str, *, pool: str = "", progress: Progress = QUIET) -> VolumeRecord:
        raise NotSupported("Hetzner Cloud cannot copy volumes.")

    def delete(self, external_id: str) -> None:
        if self.api.one("volumes", external_id)["server"]:
            raise Conflict("A VM uses the volume; detach it there first.")
        self.api.delete(f"/volumes/{external_id}")
