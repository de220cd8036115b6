"""Buckets of a simulated cloud; the bytes lie in its file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from providers.base import AlreadyExists, Buckets, Conflict, InvalidRequest, NotFound
from providers.fake.cloud import Part
from providers.fake.state import Bucket
from providers.fake.store import Transaction

#: What one object may weigh: the whole cloud is one small file.
MOST_BYTES = 16 * 1024**2


class FakeBuckets(Part, Buckets):
    def list(self) -> Sequence[str]:
        with self.cloud.reading("buckets.list") as tx:
            return [bucket.name for bucket in tx.all(Bucket)]

    def create(self, bucket: str, *, public: bool = False) -> None:
        if not bucket or "/" in bucket or not bucket.isprintable():
            raise InvalidRequest("A bucket needs a printable name without slash.", field="bucket")
        with self.cloud.writing("buckets.create") as tx:
            if tx.named(Bucket, bucket) is not None:
                raise AlreadyExists(f"There is a bucket “{bucket}” already.", field="bucket")
            tx.put(Bucket(id=bucket, name=bucket, public=public))

    def delete(self, bucket: str) -> None:
        with self.cloud.writing("buckets.delete") as tx:
            found = tx.get(Bucket, bucket)
            if self._keys(tx, bucket):
                raise Conflict(f"The bucket “{bucket}” is not empty.")
            tx.drop(found)

    def list_files(self, bucket: str) -> Sequence[str]:
        with self.cloud.reading("buckets.list_files") as tx:
            tx.get(Bucket, bucket)
            return self._keys(tx, bucket)

    def upload(self, bucket: str, path: Path, *, public: bool = False) -> str:
        """The same name again replaces the object."""
        try:
            data = path.read_bytes()
        except OSError as exc:
            raise InvalidRequest("The file cannot be read.", detail=str(exc), field="path") from exc
        if len(data) > MOST_BYTES:
            raise InvalidRequest("The simulated cloud takes objects up to 16 MiB.", field="path")
        with self.cloud.writing("buckets.upload") as tx:
            found = tx.get(Bucket, bucket)
            found.public_keys = [key for key in found.public_keys if key != path.name]
            if public:
                found.public_keys.append(path.name)
            tx.put(found)
            tx.db.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", (bucket, path.name, data))
            return path.name

    def download(self, bucket: str, key: str, folder: Path) -> Path:
        with self.cloud.reading("buckets.download") as tx:
            self._require(tx, bucket, key)
            (data,) = tx.db.execute("SELECT data FROM objects WHERE bucket = ? AND key = ?", (bucket, key)).fetchone()
        # Only the last part of a key becomes a file name: a key is a stranger's text.
        target = folder / Path(key).name
        target.write_bytes(data)
        return target

    def delete_file(self, bucket: str, key: str) -> None:
        with self.cloud.writing("buckets.delete_file") as tx:
            self._require(tx, bucket, key)
            tx.db.execute("DELETE FROM objects WHERE bucket = ? AND key = ?", (bucket, key))

    def public_url(self, bucket: str, key: str) -> str:
        """Raises Conflict for an object that is not public."""
        with self.cloud.reading("buckets.public_url") as tx:
            found = self._require(tx, bucket, key)
            if not found.public and key not in found.public_keys:
                raise Conflict("This object is not public.")
            return f"https://objects.fake.invalid/{quote(bucket)}/{quote(key)}"

    @staticmethod
    def _keys(tx: Transaction, bucket: str) -> Sequence[str]:
        rows = tx.db.execute("SELECT key FROM objects WHERE bucket = ? ORDER BY key", (bucket,))
        return [str(key) for (key,) in rows]

    def _require(self, tx: Transaction, bucket: str, key: str) -> Bucket:
        found = tx.get(Bucket, bucket)
        if key not in self._keys(tx, bucket):
            raise NotFound(f"There is no “{key}” in the bucket “{bucket}”.")
        return found
