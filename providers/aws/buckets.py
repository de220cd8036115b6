"""Buckets at S3, of all regions of the account; new ones are made in the provider's own."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from providers.aws.cloud import Part
from providers.aws.errors import vendor_calls
from providers.base import AlreadyExists, Buckets, InvalidRequest

_NAME = re.compile(r"(?=.{3,63}\Z)[a-z0-9][a-z0-9.-]*[a-z0-9]")


class AwsBuckets(Part, Buckets):
    def list(self) -> Sequence[str]:
        return [one["Name"] for one in self.cloud.call("s3", "list_buckets").get("Buckets") or ()]

    def create(self, bucket: str, *, public: bool = False) -> None:
        """With `public`, anybody may read what is in it, once the account allows that at all."""
        if not _NAME.fullmatch(bucket):
            reason = "A bucket has 3 to 63 small letters, digits, hyphens and dots in its name."
            raise InvalidRequest(reason, field="bucket")
        if bucket in self.list():
            raise AlreadyExists(f"There is a bucket “{bucket}” already.", field="bucket")
        region = self.cloud.config.region
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self.cloud.call("s3", "create_bucket", Bucket=bucket, **place)
        if public:
            try:
                self.cloud.call("s3", "delete_public_access_block", Bucket=bucket)
                self.cloud.call("s3", "put_bucket_policy", Bucket=bucket, Policy=_open_to_all(bucket))
            except BaseException:
                self.cloud.call("s3", "delete_bucket", Bucket=bucket)
                raise

    def delete(self, bucket: str) -> None:
        self.cloud.call("s3", "delete_bucket", Bucket=bucket)

    def list_files(self, bucket: str) -> Sequence[str]:
        return [one["Key"] for one in self.cloud.pages("s3", "list_objects_v2", "Contents", Bucket=bucket)]

    def upload(self, bucket: str, path: Path, *, public: bool = False) -> str:
        """In parts when it is large; the same name again replaces the object."""
        extra = {"ACL": "public-read"} if public else {}
        if not path.is_file():
            raise InvalidRequest("The file cannot be read.", field="path")
        self.cloud.calls += 1
        with vendor_calls():
            self.cloud.client("s3").upload_file(str(path), bucket, path.name, ExtraArgs=extra)
        return path.name

    def download(self, bucket: str, key: str, folder: Path) -> Path:
        # Only the last part of a key becomes a file name: a key is a stranger's text.
        name = Path(key).name
        if name in ("", ".", ".."):
            raise InvalidRequest("This key cannot be the name of a file.", field="key")
        self.cloud.calls += 1
        with vendor_calls():
            self.cloud.client("s3").download_file(bucket, key, str(folder / name))
        return folder / name

    def delete_file(self, bucket: str, key: str) -> None:
        # S3 itself says nothing when there was none.
        self.cloud.call("s3", "head_object", Bucket=bucket, Key=key)
        self.cloud.call("s3", "delete_object", Bucket=bucket, Key=key)

    def public_url(self, bucket: str, key: str) -> str:
        if self.cloud.config.endpoint_url:
            return f"{self.cloud.config.endpoint_url.rstrip('/')}/{bucket}/{quote(key)}"
        return f"https://{bucket}.s3.{self.cloud.config.region}.amazonaws.com/{quote(key)}"


def _open_to_all(bucket: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
