"""Files on their way to becoming images: by a bucket of their own to a snapshot of a disk, and from that to an AMI.

https://docs.aws.amazon.com/vm-import/latest/userguide/vmimport-import-snapshot.html. AWS reads the bucket by a role
that the account must have ("vmimport"). The bucket bears the wish's name; it goes when the image is there, or fails.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from providers.aws import tags
from providers.aws.cloud import Cloud
from providers.aws.waiting import wait_for
from providers.base import QUIET, ImageSpec, InvalidRequest, NotFound, Progress, ProviderError, UnfinishedImage
from providers.transfer.source import Source, opened

logger = logging.getLogger(__name__)

#: The role's policy names buckets that begin with this.
BUCKET = "kvweb-import-"
KEY = "disk"
#: Our word for the format of a file → AWS's.
FORMATS = {"raw": "RAW", "vmdk": "VMDK", "vpc": "VHD"}
ROOT = "/dev/xvda"
#: S3 takes 10,000 parts of an object and 5 GiB for one of them; one part is in memory at a time.
PART_BYTES, PARTS_BEFORE_LARGER = 16 * 1024**2, 1000
IMPORT_S, READY_S = 4 * 3600.0, 1800.0
_DONE, _LOST = frozenset({"completed"}), frozenset({"deleting", "deleted", "error"})
_UNSAFE = re.compile(r"[^a-z0-9-]")


class Import:
    """One file on its way; `run` returns the image's id or leaves nothing behind."""

    def __init__(self, cloud: Cloud, spec: ImageSpec, progress: Progress = QUIET) -> None:
        self.cloud, self.spec, self.progress = cloud, spec, progress
        #: The same wish has the same bucket, so that what a dead attempt left is used up by the next one.
        self.wish = spec.portal_uuid or uuid.uuid4().hex
        self.bucket = bucket_of(self.wish)
        self.task = self.snapshot = self.image = ""

    def run(self) -> str:
        with opened(self.spec, _Share(self.progress, 0, 60), also=frozenset(FORMATS)) as source:
            if source.header.format not in FORMATS:
                raise InvalidRequest(
                    "AWS takes disks as raw, VMDK or VHD files; convert this one with “qemu-img convert -O raw”.",
                    field="url" if self.spec.url else "path",
                )
            try:
                self._make_bucket()
                self._upload(source)
                self._import(FORMATS[source.header.format])
                self._register()
            except BaseException:
                self._undo()
                raise
        empty(self.cloud, self.bucket)
        self.progress.report(100, "The image is there.")
        return self.image

    def _make_bucket(self) -> None:
        region = self.cloud.config.region
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        if self.bucket not in {one["Name"] for one in buckets(self.cloud)}:
            self.cloud.call("s3", "create_bucket", Bucket=self.bucket, **place)

    def _upload(self, source: Source) -> None:
        """Piece by piece as it comes; memory holds one part."""
        where = {"Bucket": self.bucket, "Key": KEY}
        upload = self.cloud.call("s3", "create_multipart_upload", **where)["UploadId"]
        made: list[dict[str, Any]] = []
        try:
            for number, part in enumerate(_parts(source.pieces(_Share(self.progress, 0, 60))), start=1):
                self.progress.checkpoint()
                sent = self.cloud.call("s3", "upload_part", **where, UploadId=upload, PartNumber=number, Body=part)
                made.append({"PartNumber": number, "ETag": sent["ETag"]})
            self.cloud.call(
                "s3", "complete_multipart_upload", **where, UploadId=upload, MultipartUpload={"Parts": made}
            )
        except BaseException:
            with suppress(ProviderError):
                self.cloud.call("s3", "abort_multipart_upload", **where, UploadId=upload)
            raise

    def _import(self, kind: str) -> None:
        self.progress.report(62, "AWS reads the file.")
        role = self.cloud.config.import_role
        self.task = self.cloud.ec2(
            "import_snapshot",
            Description=self.spec.name,
            DiskContainer={"Format": kind, "UserBucket": {"S3Bucket": self.bucket, "S3Key": KEY}},
            TagSpecifications=tags.on("import-snapshot-task", {tags.UUID: self.wish}),
            **({"RoleName": role} if role else {}),
        )["ImportTaskId"]

        def look() -> str | None:
            told = self.cloud.ec2("describe_import_snapshot_tasks", ImportTaskIds=[self.task])["ImportSnapshotTasks"]
            detail = told[0]["SnapshotTaskDetail"] if told else {"Status": "deleted"}
            if detail.get("Status") not in _DONE:
                self.progress.report(62 + _percent(detail) * 25 // 100, "AWS reads the file.")
            self.snapshot = str(detail.get("SnapshotId") or "")
            if detail.get("Status") in _LOST:
                raise refused(str(detail.get("StatusMessage") or ""))
            return self.snapshot if detail.get("Status") in _DONE and self.snapshot else None

        wait_for(look, "Reading the file at AWS", timeout_s=IMPORT_S, progress=self.progress)
        self.task = ""

    def _register(self) -> None:
        self.progress.report(90, "Making the image.")
        self.progress.checkpoint()
        own = {tags.NAME: self.spec.name, tags.UUID: self.wish}
        own |= {tags.USER: self.spec.default_user} if self.spec.default_user else {}
        self.cloud.ec2("create_tags", Resources=[self.snapshot], Tags=tags.written(own))
        self.image = self.cloud.ec2(
            "register_image",
            Name=self.spec.name,
            Description=self.spec.os,
            Architecture="x86_64",
            RootDeviceName=ROOT,
            VirtualizationType="hvm",
            EnaSupport=True,
            BlockDeviceMappings=[
                {
                    "DeviceName": ROOT,
                    "Ebs": {"SnapshotId": self.snapshot, "VolumeType": "gp3", "DeleteOnTermination": True},
                }
            ],
            TagSpecifications=tags.on("image", own),
        )["ImageId"]

        def look() -> bool | None:
            told = self.cloud.ec2("describe_images", ImageIds=[self.image]).get("Images") or ()
            return True if told and told[0].get("State") == "available" else None

        wait_for(look, "Making the image", timeout_s=READY_S, progress=self.progress)

    def _undo(self) -> None:
        """Take away what was made; what that meets is noted, and the first error is the one that counts."""
        try:
            if self.image:
                self.cloud.ec2("deregister_image", ImageId=self.image)
            if self.task or self.snapshot:
                end_tasks(self.cloud, self.bucket)
        except ProviderError as exc:
            logger.warning("An unfinished image could not be taken back: %s (%s)", exc.reason, exc.detail)
        empty(self.cloud, self.bucket)


def bucket_of(wish: str) -> str:
    """A bucket's name is lower case, and 63 characters at most."""
    return f"{BUCKET}{_UNSAFE.sub('-', wish.lower())}"[:63].rstrip("-")


def buckets(cloud: Cloud) -> list[Mapping[str, Any]]:
    told = cloud.call("s3", "list_buckets").get("Buckets") or ()
    return [one for one in told if str(one["Name"]).startswith(BUCKET)]


def unfinished(cloud: Cloud) -> list[UnfinishedImage]:
    """What was on its way when its worker died: its bucket is still there."""
    return [
        UnfinishedImage(
            key=one["Name"],
            name=one["Name"],
            portal_uuid=str(one["Name"]).removeprefix(BUCKET),
            begun_at=one.get("CreationDate"),
        )
        for one in buckets(cloud)
    ]


def discard(cloud: Cloud, bucket: str) -> None:
    """The bucket of a dead attempt with its file, the task that reads it, and the snapshot that no image uses."""
    if bucket not in {one["Name"] for one in buckets(cloud)}:
        return
    end_tasks(cloud, bucket)
    empty(cloud, bucket)


def end_tasks(cloud: Cloud, bucket: str) -> None:
    """What reads from this bucket is broken off; the snapshot of what was read goes, unless an image needs it."""
    told = cloud.pages("ec2", "describe_import_snapshot_tasks", "ImportSnapshotTasks")
    for one in told:
        detail = one.get("SnapshotTaskDetail") or {}
        if (detail.get("UserBucket") or {}).get("S3Bucket") != bucket:
            continue
        with suppress(ProviderError):
            if detail.get("Status") not in _DONE | _LOST:
                cloud.ec2("cancel_import_task", ImportTaskId=one["ImportTaskId"])
            elif detail.get("SnapshotId"):
                cloud.ec2("delete_snapshot", SnapshotId=detail["SnapshotId"])


def empty(cloud: Cloud, bucket: str) -> None:
    """The bucket with what it holds; never raises, since the image itself is there or not, whatever becomes of it."""
    try:
        told = cloud.call("s3", "list_multipart_uploads", Bucket=bucket)
        for one in told.get("Uploads") or ():
            cloud.call("s3", "abort_multipart_upload", Bucket=bucket, Key=one["Key"], UploadId=one["UploadId"])
        cloud.call("s3", "delete_object", Bucket=bucket, Key=KEY)
        cloud.call("s3", "delete_bucket", Bucket=bucket)
    except NotFound:
        pass
    except ProviderError as exc:
        logger.warning("The bucket %s could not be taken away: %s (%s)", bucket, exc.reason, exc.detail)


def refused(message: str) -> ProviderError:
    """Why AWS gave up reading a file, from its sentence."""
    if "role" in message.lower() or "access" in message.lower():
        return InvalidRequest("AWS may not read the bucket: the account needs a role for imports.", message)
    return InvalidRequest("AWS could not read this file as a disk.", message, field="url")


def _percent(detail: Mapping[str, Any]) -> int:
    text = str(detail.get("Progress") or "")
    return min(100, int(text)) if text.isdigit() else 0


def _parts(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pieces gathered into parts; an empty file is one empty part."""
    kept, size, count = bytearray(), PART_BYTES, 0
    for piece in pieces:
        kept += piece
        while len(kept) >= size:
            yield bytes(kept[:size])
            del kept[:size]
            count += 1
            # Ever larger ones, so that ten thousand are enough for the largest disk.
            size = PART_BYTES * (1 + count // PARTS_BEFORE_LARGER)
    if kept or not count:
        yield bytes(kept)


class _Share(Progress):
    """A part of a longer way: 0 to 100 here are `low` to `high` there."""

    def __init__(self, whole: Progress, low: int, high: int) -> None:
        self._whole, self._low, self._high = whole, low, high

    def report(self, percent: int, sentence: str) -> None:
        self._whole.report(self._low + percent * (self._high - self._low) // 100, sentence)

    def checkpoint(self) -> None:
        self._whole.checkpoint()
