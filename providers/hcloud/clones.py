"""Clones and images of servers: both by way of a snapshot, since the platform copies in no other way."""

from __future__ import annotations

from contextlib import suppress

from providers.base import (
    QUIET,
    AlreadyExists,
    Clones,
    Conflict,
    DiskSpec,
    ImageRecord,
    NicSpec,
    PowerState,
    Progress,
    ProviderError,
    VmRecord,
    VmSpec,
)
from providers.hcloud import labels
from providers.hcloud.creation import Creation, check_name
from providers.hcloud.part import Part
from providers.hcloud.records import PUBLIC, image_name, image_record, place_of, power_of
from providers.hcloud.snapshots import take_image


class HcloudClones(Part, Clones):
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
        """Same size, place and networks, other addresses. The copy of the disk between them is deleted again."""
        server = self.server(external_id)
        check_name(name)
        taken = self.api.named("servers", name)
        if taken is not None:
            if portal_uuid and taken["labels"].get(labels.UUID) == portal_uuid and labels.MAKING not in taken["labels"]:
                return self.record(str(taken["id"]))
            raise AlreadyExists(f"There is a VM called “{name}” already.")
        if server["volumes"]:
            raise Conflict("The VM has volumes, which Hetzner cannot copy; detach them first.")
        marks = {labels.IMAGE: labels.value(name, field="name")[: labels.MOST], labels.MAKING: "clone"}
        image = take_image(self.api, external_id, f"For the clone {name}", marks, progress)
        try:
            public = server["public_net"]
            spec = VmSpec(
                name=name,
                portal_uuid=portal_uuid,
                flavor=server["server_type"]["name"],
                zone=place_of(server),
                disks=(DiskSpec(image=str(image["id"])),),
                nics=(
                    *((NicSpec(network=PUBLIC),) if public["ipv4"] or public["ipv6"] else ()),
                    *(NicSpec(network=str(net["network"])) for net in server["private_net"]),
                ),
                metadata=labels.metadata(server["labels"]),
                start=start,
                options={"public_ipv4": bool(public["ipv4"]), "public_ipv6": bool(public["ipv6"])},
            )
            return self.record(Creation(self.api, spec, _Second(progress)).run())
        finally:
            with suppress(ProviderError):
                self.api.delete(f"/images/{image['id']}")

    def export(self, external_id: str, image_name: str, progress: Progress = QUIET) -> ImageRecord:
        server = self.server(external_id)
        if power_of(server) is not PowerState.STOPPED:
            raise Conflict("Stop the VM first, so that what is on its disk fits together.")
        self._refuse_taken(image_name)
        marks = {labels.IMAGE: labels.value(image_name, field="name")}
        image = take_image(self.api, external_id, image_name, marks, progress)
        return image_record(self.api.one("images", str(image["id"])))

    def _refuse_taken(self, name: str) -> None:
        own = self.api.pages("images", type="snapshot", label_selector=labels.IMAGE)
        if name in {image_name(image) for image in own}:
            raise AlreadyExists(f"There is an image called “{name}” already.")


class _Second:
    """The second half of a longer progress."""

    def __init__(self, whole: Progress) -> None:
        self._whole = whole

    def report(self, percent: int, sentence: str) -> None:
        self._whole.report(60 + percent * 2 // 5, sentence)

    def checkpoint(self) -> None:
        self._whole.checkpoint()
