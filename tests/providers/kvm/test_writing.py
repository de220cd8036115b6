"""A volume's content goes straight into its file where that can be had, and over libvirt's stream everywhere else."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from providers.base import ImageSpec
from providers.kvm import storage, writing
from providers.kvm.testing import Backend, download
from providers.kvm.xml.storage import volume_document

pytestmark = pytest.mark.live

MIB = 1 << 20
FIRST, LAST = os.urandom(MIB), os.urandom(MIB + 17)


@pytest.fixture
def volume(backend: Backend) -> Iterator[Any]:
    document = volume_document(name=f"{backend.name}-writing.img", capacity=1, format_="raw", mode="0644")
    made = backend.pool.createXML(document, 0)
    try:
        yield made
    finally:
        storage.remove(made)


def is_direct(backend: Backend, volume: Any) -> bool:
    with writing.sink(backend.driver.connection, backend.pool, volume, offset=0) as target:
        return isinstance(target, writing._File)


@pytest.mark.parametrize("way", ["file", "stream"])
def test_content_with_holes_arrives_as_it_is_whatever_lay_there(
    backend: Backend, volume: Any, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "stream":
        monkeypatch.setattr(writing, "_HERE", frozenset())
    assert is_direct(backend, volume) == (way == "file")
    connection = backend.driver.connection
    with writing.sink(connection, backend.pool, volume, offset=0) as target:
        # A chunk that was broken off, and is sent again with other content.
        target.write(os.urandom(3 * MIB))
    with writing.sink(connection, backend.pool, volume, offset=0) as target:
        target.write(FIRST)
        target.skip(2 * MIB)
    with writing.sink(connection, backend.pool, volume, offset=3 * MIB) as target:
        target.write(LAST)
        target.skip(5)
    storage.refreshed(backend.pool)
    assert download(backend.raw, volume) == FIRST + bytes(2 * MIB) + LAST + bytes(5)


@pytest.mark.parametrize("trick", ["link", "another file", "second name"])
def test_a_file_that_is_not_what_libvirt_sees_is_never_written(
    backend: Backend, volume: Any, tmp_path: Path, trick: str
) -> None:
    path, other = Path(volume.path()), tmp_path / "other"
    other.write_bytes(b"mine")
    if trick == "second name":
        os.link(path, path.with_suffix(".link"))
    elif trick == "link":
        path.unlink()
        path.symlink_to(other)
    try:
        seen = storage.seen(volume)
        if trick == "another file":
            path.unlink()
            path.write_bytes(b"mine")
            assert not writing._is_what_libvirt_sees(path.stat(), seen)
        else:
            assert writing._opened(backend.driver.connection, backend.pool, volume) is None
        assert other.read_bytes() == b"mine"
    finally:
        path.with_suffix(".link").unlink(missing_ok=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_portal_that_is_not_root_owns_the_image_until_it_is_finished(backend: Backend) -> None:
    """libvirt makes the file for the portal's user, who needs no more than the way to it."""
    images, name = backend.driver.images, f"{backend.name}-own.img"
    folder, nobody = backend.folder / "pool", 65534
    ways = [each for each in (folder, *folder.parents) if not each.stat().st_mode & stat.S_IXOTH]
    before = {each: each.stat().st_mode for each in ways}
    for each in ways:
        each.chmod(before[each] | stat.S_IXOTH)
    try:
        os.seteuid(nobody)
        try:
            key = images.begin(ImageSpec(name=name, pool=backend.name, path="/dev/null"), MIB)
            volume = backend.pool.storageVolLookupByName(name)
            assert is_direct(backend, volume)
            images.write(key, 0, iter([FIRST]))
            record = images.finish(key, ImageSpec(name=name, pool=backend.name, path="/dev/null"))
        finally:
            os.seteuid(0)
        found = Path(record.path).stat()
        assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o444, nobody)
        assert download(backend.raw, volume) == FIRST
        images.delete(record.external_id)
    finally:
        for each, mode in before.items():
            each.chmod(mode)
