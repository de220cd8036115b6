"""Buckets: heading 1.8 of the contract."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from providers.base import NotFound, NotSupported, ProviderError, Transient
from providers.kcontract.core import Core, Result, changes, refuse_extras


class Buckets(Core):
    """Files in an object store."""

    @changes
    def create_bucket(self, bucket: str, public: bool = False) -> Result | None:
        self.facet(self.driver.buckets, "buckets").create(bucket, public=public)
        return None

    @changes
    def delete_bucket(self, bucket: str) -> Result | None:
        """A failure while files are in it."""
        self.facet(self.driver.buckets, "buckets").delete(bucket)
        return None

    def list_buckets(self) -> list[str]:
        return sorted(self.driver.buckets.list()) if self.driver.buckets is not None else []

    def list_bucketfiles(self, bucket: str) -> list[str]:
        """Keys; empty for a bucket that is not there."""
        if self.driver.buckets is None:
            return []
        try:
            return sorted(self.driver.buckets.list_files(bucket))
        except NotFound:
            return []

    @changes
    def upload_to_bucket(
        self,
        bucket: str,
        path: str,
        overrides: Mapping[str, Any] | None = None,
        temp_url: bool = False,
        public: bool = False,
    ) -> Result | None:
        """The answer tells the `key`, and the `url` of a public file. Addresses that expire cannot be honoured."""
        refuse_extras("upload_to_bucket", dict(overrides or {}), ())
        if temp_url:
            raise NotSupported("An address that expires cannot be made.", field="temp_url")
        buckets = self.facet(self.driver.buckets, "buckets")
        key = buckets.upload(bucket, Path(path), public=public)
        return {"key": key, "url": buckets.public_url(bucket, key)} if public else {"key": key}

    def download_from_bucket(self, bucket: str, path: str) -> str | None:
        """Name of a local file with the content, in a fresh folder; None when there is no such file."""
        if self.driver.buckets is None:
            return None
        folder = Path(tempfile.mkdtemp(prefix="kvweb-bucket-"))
        try:
            return str(self.driver.buckets.download(bucket, path, folder))
        except NotFound:
            folder.rmdir()
            return None

    @changes
    def delete_from_bucket(self, bucket: str, path: str) -> Result | None:
        self.facet(self.driver.buckets, "buckets").delete_file(bucket, path)
        return None

    def public_bucketfile_url(self, bucket: str, path: str) -> str | None:
        """Its public address; None for a file that is not there or not public."""
        if self.driver.buckets is None:
            return None
        try:
            return self.driver.buckets.public_url(bucket, path)
        except Transient:
            raise
        except ProviderError:
            return None
