"""Buckets: containers of Swift. https://docs.openstack.org/api-ref/object-store/"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from providers.base import AlreadyExists, Buckets, Conflict, InvalidRequest, NotFound, NotSupported
from providers.openstack.errors import vendor_calls
from providers.openstack.part import Part
from providers.openstack.service import PAGE, Json, Service

_MOST_NAME = 256
#: Swift's own limit for what comes in one piece (max_file_size): 5 GiB.
_MOST_BYTES = 5 * 1024**3
_PIECE = 1024 * 1024
_READERS = "X-Container-Read"
#: Everybody may read objects.
_EVERYBODY = ".r:*"


class OpenStackBuckets(Part, Buckets):
    def list(self) -> Sequence[str]:
        with vendor_calls():
            return [each["name"] for each in self._rows("/")]

    def create(self, bucket: str, *, public: bool = False) -> None:
        if not bucket or "/" in bucket or not bucket.isprintable() or len(quote(bucket)) > _MOST_NAME:
            raise InvalidRequest("A bucket needs a printable name without slash, of at most 256 bytes.", field="bucket")
        with vendor_calls():
            # A second PUT would change the first one's container and answer that all is well.
            if self._head(bucket) is not None:
                raise AlreadyExists(f"There is a bucket “{bucket}” already.", field="bucket")
            self.swift.raw("PUT", _path(bucket), headers={_READERS: _EVERYBODY} if public else {})

    def delete(self, bucket: str) -> None:
        with vendor_calls():
            self._require(bucket)
            try:
                self.swift.delete(_path(bucket))
            except Exception as exc:
                if getattr(exc, "status_code", 0) == 409:
                    raise Conflict(f"The bucket “{bucket}” is not empty.", str(exc)) from exc
                raise

    def list_files(self, bucket: str) -> Sequence[str]:
        with vendor_calls():
            self._require(bucket)
            return [each["name"] for each in self._rows(_path(bucket)) if "name" in each]

    def upload(self, bucket: str, path: Path, *, public: bool = False) -> str:
        """The same name again replaces the object."""
        if not path.is_file():
            raise InvalidRequest("The file cannot be read.", field="path")
        if path.stat().st_size > _MOST_BYTES:
            raise InvalidRequest("Swift takes files up to 5 GiB in one piece.", field="path")
        with vendor_calls():
            if public and not _is_public(self._require(bucket)):
                raise NotSupported("Objects have no rights of their own in Swift; make a public bucket for them.")
            with path.open("rb") as file:
                # An empty one has no piece to be sent, and needs its length all the same.
                data: Any = file if path.stat().st_size else b""
                self.swift.raw("PUT", _path(bucket, path.name), data=data)
            return path.name

    def download(self, bucket: str, key: str, folder: Path) -> Path:
        # Only the last part of a key becomes a file name: a key is a stranger's text.
        name = Path(key).name
        if name in ("", ".", ".."):
            raise InvalidRequest("This key cannot be the name of a file.", field="key")
        target = folder / name
        with vendor_calls():
            response = self.swift.raw("GET", _path(bucket, key), stream=True)
            try:
                with response, target.open("wb") as file:
                    for piece in response.iter_content(_PIECE):
                        file.write(piece)
            except BaseException:
                with suppress(OSError):
                    target.unlink()
                raise
        return target

    def delete_file(self, bucket: str, key: str) -> None:
        with vendor_calls():
            self.swift.delete(_path(bucket, key))

    def public_url(self, bucket: str, key: str) -> str:
        """Raises Conflict for an object of a bucket that is not public."""
        with vendor_calls():
            if not _is_public(self._require(bucket)):
                raise Conflict("This object is not public.")
            self.swift.raw("HEAD", _path(bucket, key))
            return f"{str(self.swift.adapter.get_endpoint()).rstrip('/')}{_path(bucket, key)}"

    # -- parts ------------------------------------------------------------------------------------------------------

    @property
    def swift(self) -> Service:
        if self.cloud.object_store is None:
            raise NotSupported("This cloud has no object storage.")
        return self.cloud.object_store

    def _head(self, bucket: str) -> Any:
        """The container's headers; None when there is none."""
        try:
            return self.swift.raw("HEAD", _path(bucket)).headers
        except Exception as exc:
            if getattr(exc, "status_code", 0) == 404:
                return None
            raise

    def _require(self, bucket: str) -> Any:
        headers = self._head(bucket)
        if headers is None:
            raise NotFound(f"There is no bucket “{bucket}”.")
        return headers

    def _rows(self, path: str) -> Sequence[Json]:
        """A whole list: Swift tells the next page by the last name of this one."""
        found: list[Json] = []
        wish: Json = {"format": "json", "limit": PAGE}
        while True:
            response = self.swift.raw("GET", path, params=wish)
            rows = response.json() if response.content else []
            found += rows
            if not rows:
                return found
            wish["marker"] = rows[-1].get("name", "")


def _path(bucket: str, key: str = "") -> str:
    return f"/{quote(bucket, safe='')}" + (f"/{quote(key)}" if key else "")


def _is_public(headers: Any) -> bool:
    return _EVERYBODY in str(headers.get(_READERS) or "").split(",")
