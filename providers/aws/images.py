"""Images at AWS: the account's own, and the newest of each public one that is configured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from providers.aws import imports, tags
from providers.aws.cloud import Cloud, Part
from providers.aws.creation import root_size
from providers.base import (
    QUIET,
    AlreadyExists,
    Conflict,
    ImageRecord,
    Images,
    ImageSpec,
    InvalidRequest,
    NotFound,
    NotSupported,
    Progress,
    UnfinishedImage,
)

PUBLIC = "public-images"
PUBLIC_S = 3600.0
#: Whom images of these owners bring (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/managing-users.html).
USERS = {"amazon": "ec2-user", "137112412989": "ec2-user", "136693071363": "admin", "099720109477": "ubuntu"}


def record(told: Mapping[str, Any]) -> ImageRecord:
    created = None
    with suppress(ValueError):
        text = str(told.get("CreationDate") or "").replace("Z", "+00:00")
        created = datetime.fromisoformat(text).astimezone(UTC) if text else None
    owner = str(told.get("OwnerId") or "")
    return ImageRecord(
        external_id=told["ImageId"],
        name=str(told.get("Name") or told["ImageId"]),
        format="ami",
        size_gib=float(root_size(told)),
        os=str(told.get("PlatformDetails") or told.get("Platform") or ""),
        default_user=tags.read(told).get(tags.USER)
        or USERS.get(owner)
        or USERS.get(str(told.get("ImageOwnerAlias") or ""), ""),
        created_at=created,
    )


def public(cloud: Cloud) -> list[Mapping[str, Any]]:
    """The newest of each configured pattern, in one question, once an hour."""
    known: list[Mapping[str, Any]] | None = cloud.remembered(PUBLIC)
    if known is not None:
        return known
    wanted = [(owner, pattern) for owner, _, pattern in (line.partition("/") for line in cloud.config.public_images)]
    found: list[Mapping[str, Any]] = []
    if wanted:
        told = cloud.pages(
            "ec2",
            "describe_images",
            "Images",
            Owners=sorted({owner for owner, _ in wanted}),
            Filters=[
                {"Name": "name", "Values": sorted({pattern for _, pattern in wanted})},
                {"Name": "state", "Values": ["available"]},
            ],
        )
        for owner, pattern in wanted:
            fitting = [one for one in told if _is_of(one, owner) and fnmatchcase(str(one.get("Name")), pattern)]
            if fitting:
                found.append(max(fitting, key=lambda one: str(one.get("CreationDate"))))
    cloud.remember(PUBLIC, found, PUBLIC_S)
    return found


def _is_of(told: Mapping[str, Any], owner: str) -> bool:
    return owner in (told.get("OwnerId"), told.get("ImageOwnerAlias"))


def own(cloud: Cloud) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = cloud.pages("ec2", "describe_images", "Images", Owners=["self"])
    return [one for one in found if one.get("State") == "available"]


class AwsImages(Part, Images):
    def list(self) -> Sequence[ImageRecord]:
        found = {one["ImageId"]: one for one in [*own(self.cloud), *public(self.cloud)]}
        return [record(one) for one in found.values()]

    def add(self, spec: ImageSpec, progress: Progress = QUIET) -> ImageRecord:
        """A raw, VMDK or VHD disk of x86-64, by a bucket and AWS's own import; the account needs a role for it."""
        if not 3 <= len(spec.name) <= 128:
            raise InvalidRequest("AWS takes names of 3 to 128 characters for images.", field="name")
        if spec.is_iso:
            raise NotSupported("AWS does not start VMs from ISO images.", field="is_iso")
        for one in own(self.cloud):
            if spec.portal_uuid and tags.read(one).get(tags.UUID) == spec.portal_uuid:
                return record(one)
            if one.get("Name") == spec.name:
                raise AlreadyExists(f"There is an image “{spec.name}” already.", field="name")
        image = imports.Import(self.cloud, spec, progress).run()
        return record(self._own(image))

    def unfinished(self) -> Sequence[UnfinishedImage]:
        return imports.unfinished(self.cloud)

    def discard(self, key: str) -> None:
        imports.discard(self.cloud, key)

    def delete(self, external_id: str) -> None:
        """Takes the image and the snapshots that only it needs; VMs that were made of it go on."""
        told = self._own(external_id)
        snapshots = [
            one["Ebs"]["SnapshotId"]
            for one in told.get("BlockDeviceMappings") or ()
            if one.get("Ebs", {}).get("SnapshotId")
        ]
        self.cloud.ec2("deregister_image", ImageId=external_id)
        for snapshot in snapshots:
            # One that another image needs, too, is refused, and stays.
            with suppress(NotFound, Conflict):
                self.cloud.ec2("delete_snapshot", SnapshotId=snapshot)

    def _own(self, external_id: str) -> Mapping[str, Any]:
        found: Sequence[Mapping[str, Any]] = ()
        if external_id.startswith("ami-"):
            with suppress(InvalidRequest, NotFound):
                found = self.cloud.ec2("describe_images", ImageIds=[external_id], Owners=["self"]).get("Images") or ()
        for one in found:
            if one.get("State") in ("available", "failed", "pending"):
                return one
        if any(one["ImageId"] == external_id for one in public(self.cloud)):
            raise Conflict("This image is not the account's own.")
        raise NotFound("The image does not exist any more.")
