"""Images made of VMs, and VMs made of VMs: both by an AMI, since that is how AWS copies a VM."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from providers.aws import images, inventory, tags
from providers.aws.cloud import Part
from providers.aws.creation import Creation
from providers.aws.records import state_of
from providers.aws.waiting import wait_for
from providers.base import (
    QUIET,
    AlreadyExists,
    Clones,
    Conflict,
    DiskSpec,
    ImageRecord,
    InvalidRequest,
    NicSpec,
    NotSupported,
    Progress,
    ProviderError,
    VmRecord,
    VmSpec,
)

IMAGE_S = 3600.0


class AwsClones(Part, Clones):
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
        """A full copy by an image for the moment, with new cards in the same subnets. The first boot runs again."""
        if not full:
            raise NotSupported("AWS makes full copies only.")
        told = self._stopped(external_id)
        existing = self._made_before(name, portal_uuid)
        if existing is not None:
            return inventory.vm(self.cloud, existing["InstanceId"], existing)
        progress.report(5, "Making an image for the copy.")
        progress.checkpoint()
        image = self._image(told, f"kvweb {name} {portal_uuid or external_id}"[:128], all_disks=True, progress=progress)
        try:
            kept = tags.metadata(tags.read(told))
            spec = VmSpec(
                name=name,
                portal_uuid=portal_uuid,
                flavor=told["InstanceType"],
                disks=(DiskSpec(image=image["ImageId"]),),
                nics=tuple(NicSpec(network=nic["SubnetId"]) for nic in told.get("NetworkInterfaces") or ()),
                description=tags.read(told).get(tags.DESCRIPTION, ""),
                metadata=kept,
                start=start,
                options={"security_groups": [one["GroupId"] for one in told.get("SecurityGroups") or ()]},
            )
            return Creation(self.cloud, spec, progress).run()
        finally:
            # Disks that were made of it do not need it any more.
            with suppress(ProviderError):
                images.AwsImages(self.cloud).delete(image["ImageId"])

    def export(self, external_id: str, image_name: str, progress: Progress = QUIET) -> ImageRecord:
        told = self._stopped(external_id)
        if not 3 <= len(image_name) <= 128:
            raise InvalidRequest("AWS takes names of 3 to 128 characters for images.", field="image_name")
        if any(one.get("Name") == image_name for one in images.own(self.cloud)):
            raise AlreadyExists(f"There is an image “{image_name}” already.", field="image_name")
        progress.report(5, "Making the image.")
        made = self._image(told, image_name, all_disks=False, progress=progress)
        progress.report(100, "The image is there.")
        return images.record(made)

    def _image(self, told: Mapping[str, Any], name: str, *, all_disks: bool, progress: Progress) -> Mapping[str, Any]:
        root = told.get("RootDeviceName")
        left_out = [
            {"DeviceName": one["DeviceName"], "NoDevice": ""}
            for one in told.get("BlockDeviceMappings") or ()
            if one["DeviceName"] != root and not all_disks
        ]
        own = {tags.NAME: name, tags.VM + "-image": told["InstanceId"]}
        image_id = self.cloud.ec2(
            "create_image",
            InstanceId=told["InstanceId"],
            Name=name,
            TagSpecifications=[*tags.on("image", own), *tags.on("snapshot", own)],
            **({"BlockDeviceMappings": left_out} if left_out else {}),
        )["ImageId"]

        def look() -> Mapping[str, Any] | None:
            found = self.cloud.ec2("describe_images", ImageIds=[image_id]).get("Images") or ()
            for one in found:
                if one["State"] == "available":
                    return dict(one)
                if one["State"] in ("failed", "error", "invalid"):
                    raise ProviderError("AWS could not make the image.", str(one.get("StateReason")))
            return None

        try:
            return wait_for(look, "Making the image", timeout_s=IMAGE_S, progress=progress)
        except BaseException:
            with suppress(ProviderError):
                images.AwsImages(self.cloud).delete(image_id)
            raise

    def _stopped(self, external_id: str) -> Mapping[str, Any]:
        told = inventory.instance(self.cloud, external_id)
        if state_of(told) != "stopped":
            raise Conflict("Stop the VM first.")
        return told

    def _made_before(self, name: str, portal_uuid: str) -> Mapping[str, Any] | None:
        if portal_uuid:
            for one in inventory.instances(self.cloud, tags.tagged(tags.UUID, portal_uuid)):
                if tags.BUILDING not in tags.read(one):
                    return one
        if inventory.called(self.cloud, name) is not None:
            raise AlreadyExists(f"There is a VM “{name}” already.", field="name")
        return None
