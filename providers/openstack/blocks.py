"""Volumes as Cinder tells them: making one, waiting for it, taking it away."""

from __future__ import annotations

import math
from typing import Any

from providers.base import (
    QUIET,
    Conflict,
    InvalidRequest,
    NotFound,
    NotSupported,
    OutOfCapacity,
    Progress,
    ProviderError,
)
from providers.openstack.part import MARK, Part
from providers.openstack.records import users_of
from providers.openstack.service import Json, Service

_GIB = 1024**3
#: What a volume says while Cinder is at work on it; anything else that is not wanted will not pass by itself.
_PASSING = frozenset(
    {
        "creating",
        "downloading",
        "available",
        "in-use",
        "attaching",
        "detaching",
        "reserved",
        "extending",
        "uploading",
        "retyping",
        "reverting",
        "maintenance",
        "deleting",
        "backing-up",
        "restoring-backup",
        "awaiting-transfer",
    }
)


class VolumePart(Part):
    @property
    def cinder(self) -> Service:
        if self.cloud.volume is None:
            raise NotSupported("This cloud has no block storage.")
        return self.cloud.volume

    def volume(self, external_id: str) -> Json:
        """Raises NotFound."""
        try:
            found: Json = self.cinder.get(f"/volumes/{external_id}")["volume"]
        except ProviderError:
            raise
        except Exception as exc:
            if getattr(exc, "status_code", 0) in (400, 404):
                raise NotFound("The volume does not exist any more.", str(exc)) from exc
            raise
        return found

    def make_volume(self, *, name: str, size_gib: int, portal_uuid: str = "", pool: str = "", **source: Any) -> Json:
        """Begin one; `source` is Cinder's imageRef, source_volid or snapshot_id."""
        wish: Json = {"name": name, "size": size_gib, **source}
        if pool:
            wish["volume_type"] = pool
        if portal_uuid:
            wish["metadata"] = {MARK: portal_uuid}
        made: Json = self.cinder.post("/volumes", {"volume": wish})["volume"]
        return made

    def wait_volume(self, external_id: str, *wanted: str, what: str, progress: Progress = QUIET) -> Json:
        def look() -> Json | None:
            volume = self.volume(external_id)
            status = volume.get("status")
            if status in wanted:
                return volume
            if status == "error_extending":
                raise Conflict("The cloud's storage does not let this volume grow while a VM has it.", external_id)
            if status not in _PASSING:
                # Cinder keeps the reason to itself: its messages are for administrators mostly.
                raise OutOfCapacity(
                    "The cloud could not make this volume; its storage may be full.", f"{external_id}: {status}"
                )
            return None

        return self.wait(look, what, progress)

    def remove_volume(self, external_id: str) -> None:
        """Delete and wait until it is gone; raises Conflict while something uses it, NotFound."""
        volume = self.volume(external_id)
        if users_of(volume):
            raise Conflict("A VM has this volume as a disk.", external_id)
        self.cinder.delete(f"/volumes/{external_id}")
        self.wait_gone(lambda: self.no_error(external_id), "Deleting the volume")

    def no_error(self, external_id: str) -> Json:
        volume = self.volume(external_id)
        if str(volume.get("status", "")).startswith("error"):
            raise Conflict("The cloud could not delete this volume.", f"{external_id}: {volume['status']}")
        return volume

    def drop_volume(self, volume_id: str) -> None:
        """Also one that Cinder is still making, which it does not let go of before."""
        self.wait(lambda: self._is_at_rest(volume_id), "Making the disk")
        try:
            self.remove_volume(volume_id)
        except NotFound:
            return

    def _is_at_rest(self, volume_id: str) -> bool | None:
        try:
            volume = self.volume(volume_id)
        except NotFound:
            return True
        # Nova detaches what was never quite attached some moments after its server is gone.
        return None if volume.get("status") in ("creating", "downloading", "reserved", "attaching", "in-use") else True

    def grow_volume(self, external_id: str, size_gib: int) -> Json:
        volume = self.volume(external_id)
        if size_gib < int(volume["size"]):
            raise InvalidRequest(f"It has {volume['size']} GiB; a disk can only grow.", field="size_gib")
        if size_gib == int(volume["size"]):
            return volume
        before = str(volume["status"])
        if before not in ("available", "in-use"):
            raise Conflict("Something else is at work on this volume.", before)
        self.cinder.post(f"/volumes/{external_id}/action", {"os-extend": {"new_size": size_gib}})
        grown = self.wait_volume(external_id, before, what="Growing the volume")
        if int(grown["size"]) < size_gib:
            # A cloud that refuses says so in the size only.
            raise Conflict("The cloud's storage does not let this volume grow now; stop the VM and try again.")
        return grown

    def image(self, external_id: str) -> Json:
        """Raises NotFound."""
        try:
            found = self.cloud.image.get(f"/images/{external_id}")
        except Exception as exc:
            if getattr(exc, "status_code", 0) in (400, 404):
                raise NotFound("The image does not exist any more.", str(exc), field="image") from exc
            raise
        if found.get("status") in ("deleted", "pending_delete"):
            raise NotFound("The image does not exist any more.", external_id, field="image")
        return found


def least_gib(image: Json) -> int:
    """What a volume must have to hold this image."""
    virtual = image.get("virtual_size") or image.get("size") or 0
    return max(int(image.get("min_disk") or 0), math.ceil(virtual / _GIB), 1)
