"""Snapshots of servers: at Hetzner a whole copy of the local disk, kept as an image. Volumes are not in it.

Each costs money by its size and outlives its server, so that the portal marks those that it made: with their name, the
server, the snapshot that came before, and whether the server ran.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from providers.base import (
    QUIET,
    AlreadyExists,
    InvalidRequest,
    NotFound,
    NotSupported,
    PowerState,
    Progress,
    ProviderError,
    SnapshotRecord,
    Snapshots,
    VmRecord,
)
from providers.hcloud import labels
from providers.hcloud.api import Api, Json
from providers.hcloud.part import Part
from providers.hcloud.records import power_of, snapshot_records


class HcloudSnapshots(Part, Snapshots):
    def list(self, external_id: str) -> Sequence[SnapshotRecord]:
        return snapshot_records(self.server(external_id), self.snapshots_of(external_id))

    def create(
        self,
        external_id: str,
        name: str,
        *,
        description: str = "",
        memory: bool = False,
        external: bool = False,
        progress: Progress = QUIET,
    ) -> SnapshotRecord:
        if memory:
            raise NotSupported("Snapshots at Hetzner keep the disk, and no memory.")
        if external:
            raise InvalidRequest("Snapshots at Hetzner are of one sort.", field="external")
        server = self.server(external_id)
        told = labels.value(name, field="name")
        if name in {record.name for record in snapshot_records(server, self.snapshots_of(external_id))}:
            raise AlreadyExists(f"The VM has a snapshot called “{name}” already.")
        marks = {
            labels.SNAPSHOT: told,
            labels.OWNER: external_id,
            labels.POWER: str(power_of(server)),
            labels.PARENT: server["labels"].get(labels.CURRENT, ""),
        }
        image = take_image(self.api, external_id, description or name, marks, progress)
        self._point_at(server, str(image["id"]))
        return next(record for record in self.list(external_id) if record.external_id == str(image["id"]))

    def revert(self, external_id: str, name: str, progress: Progress = QUIET) -> VmRecord:
        """The local disk is written anew from the copy; addresses, volumes and size stay as they are now."""
        server = self.server(external_id)
        image = self._called(external_id, name)
        answer = self.api.post(f"/servers/{external_id}/actions/rebuild", {"image": str(image["id"])})
        self.api.settle(answer["action"], progress=progress, sentence="Going back to the snapshot.", percent=(5, 80))
        self._point_at(server, str(image["id"]))
        # A rebuilt server is started, whatever it did before.
        was_off = image["labels"].get(labels.POWER) == PowerState.STOPPED
        if was_off and power_of(self.server(external_id)) is not PowerState.STOPPED:
            self.api.settle(self.api.post(f"/servers/{external_id}/actions/poweroff")["action"])
        return self.record(external_id)

    def delete(self, external_id: str, name: str, progress: Progress = QUIET) -> None:
        """Those that came after it hang on the one before it from now on."""
        server = self.server(external_id)
        image = self._called(external_id, name)
        number, before = str(image["id"]), image["labels"].get(labels.PARENT, "")
        for other in self.snapshots_of(external_id):
            if other["labels"].get(labels.PARENT) == number:
                self.api.put(f"/images/{other['id']}", {"labels": {**other["labels"], labels.PARENT: before}})
        if server["labels"].get(labels.CURRENT) == number:
            self._point_at(server, before)
        self.api.delete(f"/images/{number}")

    def _called(self, external_id: str, name: str) -> Json:
        for image in self.snapshots_of(external_id):
            if labels.text_of(image["labels"][labels.SNAPSHOT]) == name:
                return image
        raise NotFound(f"The VM has no snapshot called “{name}”.")

    def _point_at(self, server: Json, image_id: str) -> None:
        """Remember where the server stands in its tree."""
        told = {**server["labels"], labels.CURRENT: image_id}
        self.api.put(f"/servers/{server['id']}", {"labels": told})


def take_image(api: Api, server_id: str, description: str, marks: dict[str, str], progress: Progress) -> Json:
    """A copy of a server's local disk as an image; one that fails or is cancelled is deleted."""
    progress.checkpoint()
    body = {"type": "snapshot", "description": description, "labels": marks}
    answer = api.post(f"/servers/{server_id}/actions/create_image", body)
    image: Json = answer["image"]
    try:
        api.settle(answer["action"], progress=progress, sentence="Copying the disk.", percent=(5, 60), is_final=False)
    except BaseException:
        with suppress(ProviderError):
            api.delete(f"/images/{image['id']}")
        raise
    return image
