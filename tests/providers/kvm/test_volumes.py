"""Volumes are copied, written and read byte for byte, thin or in full; and never torn from or under somebody."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from providers.base import (
    AlreadyExists,
    Cancelled,
    Conflict,
    DiskSpec,
    InvalidRequest,
    NotFound,
    OutOfCapacity,
    PoolSpec,
    VolumeSpec,
)
from providers.kvm.testing import Backend
from tests.providers.kvm.conftest import MakeVm
from tests.providers.kvm.test_creation import Story, header
from tests.providers.kvm.test_disks import MakeVolume, Names, make_volume, size_of

__all__ = ["make_volume"]

pytestmark = pytest.mark.live

MIB = 1024 * 1024


def qemu_img(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["qemu-img", *words], capture_output=True, text=True)


def giver(content: bytes, *, at_most: int = 100_000) -> Callable[[int], bytes]:
    """Gives the content in pieces that are smaller than what is asked for."""
    left = [content]

    def read(most: int) -> bytes:
        piece, left[0] = left[0][: min(most, at_most)], left[0][min(most, at_most) :]
        return piece

    return read


@pytest.mark.parametrize(("format_", "thin"), [("qcow2", True), ("qcow2", False), ("raw", True), ("raw", False)])
def test_a_volume_is_thin_or_takes_all_its_room_at_once(make_volume: MakeVolume, format_: str, thin: bool) -> None:
    volume = make_volume(format=format_, thin=thin)
    assert size_of(volume.path) == 1 << 30
    assert (Path(volume.path).stat().st_blocks * 512 >= 1 << 30) is (not thin)
    info = qemu_img("info", "-U", volume.path).stdout
    assert f"file format: {format_}" in info
    assert (volume.format, volume.size_gib) == (format_, 1.0)


def test_a_copy_of_an_overlay_stands_alone(backend: Backend, make_volume: MakeVolume, volumes: Names) -> None:
    base = make_volume(format="raw")
    content = os.urandom(3 * MIB)
    backend.driver.volumes.upload(base.external_id, giver(content), length=len(content))
    over = make_volume(image=base.external_id, size_gib=2)
    assert over.backing == base.path
    story = Story()
    copy = backend.driver.volumes.clone(over.external_id, f"{backend.name}-copy a&b<c>\"'", progress=story)
    try:
        assert (copy.name, copy.backing, copy.size_gib, copy.format) == (
            f"{backend.name}-copy a&b<c>\"'",
            "",
            2.0,
            "qcow2",
        )
        assert "backing file" not in qemu_img("info", copy.path).stdout
        assert qemu_img("compare", over.path, copy.path).returncode == 0
        assert story.percents[-1] == 100
        with pytest.raises(AlreadyExists):
            backend.driver.volumes.clone(over.external_id, copy.name)
        with pytest.raises(InvalidRequest):
            backend.driver.volumes.clone(over.external_id, "a/b")
    finally:
        backend.driver.volumes.delete(copy.external_id)
    assert copy.name not in volumes()


def test_a_copy_goes_to_another_pool(backend: Backend, make_volume: MakeVolume) -> None:
    volume = make_volume(format="raw")
    backend.driver.volumes.upload(volume.external_id, giver(b"something"), length=9)
    pool = backend.driver.pools.create(PoolSpec(name=f"{backend.name}-to", path=str(backend.folder / "to")))
    try:
        copy = backend.driver.volumes.clone(volume.external_id, f"{backend.name}-over there", pool=pool.external_id)
        assert (copy.pool, Path(copy.path).parent) == (pool.external_id, backend.folder / "to")
        assert qemu_img("compare", "-f", "raw", volume.path, copy.path).returncode == 0
        with pytest.raises(NotFound):
            backend.driver.volumes.clone(volume.external_id, "x", pool="kvweb-test-nowhere")
    finally:
        backend.driver.pools.delete(pool.external_id, with_volumes=True)


def test_what_a_running_vm_writes_to_is_neither_copied_nor_read_nor_written(
    backend: Backend, make_vm: MakeVm, volumes: Names
) -> None:
    vm = make_vm(start=True)
    assert vm.disks is not None
    key, before = vm.disks[0].volume, volumes()
    with pytest.raises(Conflict, match="stop it"):
        backend.driver.volumes.clone(key, f"{backend.name}-torn")
    with pytest.raises(Conflict, match="stop it"):
        backend.driver.volumes.download(key, lambda piece: None)
    backend.driver.power.stop(vm.external_id, force=True)
    assert backend.driver.volumes.download(key, lambda piece: None) > 0
    # Also stopped nobody writes under it, nor under what it builds on.
    for used in (key, backend.image):
        with pytest.raises(Conflict):
            backend.driver.volumes.upload(used, giver(b"x"), length=1)
    assert volumes() == before


def test_an_image_with_files_outside_the_pools_is_not_copied(backend: Backend, volumes: Names) -> None:
    path = backend.folder / "pool" / f"{backend.name}-evil.qcow2"
    path.write_bytes(header(backing=b"/etc/hostname"))
    backend.pool.refresh(0)
    before = volumes()
    with pytest.raises(InvalidRequest, match="outside"):
        backend.driver.volumes.clone(str(path), f"{backend.name}-got it")
    assert volumes() == before
    path.unlink()
    backend.pool.refresh(0)


def test_bytes_are_written_and_read_anywhere_in_pieces(backend: Backend, make_volume: MakeVolume) -> None:
    volume, content, story = make_volume(format="raw"), os.urandom(2 * MIB + 17), Story()
    record = backend.driver.volumes.upload(
        volume.external_id, giver(content), offset=MIB + 3, length=len(content), progress=story
    )
    assert record.size_gib == 1.0
    assert story.percents == sorted(story.percents)
    assert story.percents[-1] == 100
    with Path(volume.path).open("rb") as file:
        file.seek(MIB + 3)
        assert file.read(len(content)) == content
    pieces: list[bytes] = []
    got = backend.driver.volumes.download(volume.external_id, pieces.append, offset=MIB, length=len(content))
    assert got == len(content)
    assert b"".join(pieces) == bytes(3) + content[:-3]
    # In constant memory: no piece is larger than a message.
    assert max(map(len, pieces)) <= 256 * 1024
    whole = backend.driver.volumes.download(volume.external_id, lambda piece: None)
    assert whole == 1 << 30


def test_a_qcow2_volume_takes_a_qcow2_file(backend: Backend, make_volume: MakeVolume, tmp_path: Path) -> None:
    volume, path = make_volume(), tmp_path / "disk.qcow2"
    assert qemu_img("create", "-f", "qcow2", str(path), "3G").returncode == 0
    content = path.read_bytes()
    record = backend.driver.volumes.upload(volume.external_id, giver(content), length=len(content))
    assert (record.format, record.size_gib) == ("qcow2", 3.0)
    assert size_of(volume.path) == 3 << 30


@pytest.mark.parametrize(
    ("content", "values", "field"),
    [
        (b"short", {"length": 10}, "length"),
        (bytes(MIB), {"length": 2 * MIB}, "length"),
        (b"x", {"length": 1, "offset": 1 << 30}, "length"),
        (b"x", {"length": 1, "offset": -1}, "length"),
        (header(backing=b"/etc/shadow"), {"length": 1000}, ""),
        (header(flags=4), {"length": 1000}, ""),
    ],
)
def test_what_cannot_be_written_is_refused(
    backend: Backend, make_volume: MakeVolume, content: bytes, values: dict[str, Any], field: str
) -> None:
    volume = make_volume(format="raw")
    with pytest.raises(InvalidRequest) as caught:
        backend.driver.volumes.upload(volume.external_id, giver(content), **values)
    assert caught.value.field == field
    # The line of the stream is free again.
    backend.driver.volumes.upload(volume.external_id, giver(b"fine"), length=4)
    assert Path(volume.path).read_bytes()[:4] == b"fine"


def test_a_transfer_can_be_stopped(backend: Backend, make_volume: MakeVolume) -> None:
    volume = make_volume(format="raw")
    with pytest.raises(Cancelled):
        backend.driver.volumes.upload(
            volume.external_id, giver(bytes(4 * MIB)), length=4 * MIB, progress=Story(stop_at=3)
        )
    with pytest.raises(Cancelled):
        backend.driver.volumes.download(volume.external_id, lambda piece: None, progress=Story(stop_at=3))
    assert backend.driver.volumes.get(volume.external_id).size_gib == 1.0


def test_more_than_the_pool_holds_is_refused_early(backend: Backend, make_volume: MakeVolume) -> None:
    with pytest.raises(OutOfCapacity):
        make_volume(size_gib=60_000, format="raw", thin=False)
    volume = make_volume(size_gib=60_000)
    with pytest.raises(OutOfCapacity):
        backend.driver.volumes.upload(volume.external_id, giver(b""), length=50_000 << 30)


def test_a_pool_that_is_too_small_for_a_copy_is_said_so(backend: Backend, make_volume: MakeVolume) -> None:
    """What counts is all that an overlay reads, not what it holds itself."""
    mount = backend.folder / "tiny"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(mount)], capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    pool = backend.driver.pools.create(PoolSpec(name=f"{backend.name}-tiny", path=str(mount)))
    try:
        base = make_volume(format="raw")
        backend.driver.volumes.upload(base.external_id, giver(os.urandom(12 * MIB), at_most=MIB), length=12 * MIB)
        over = make_volume(image=base.external_id)
        with pytest.raises(OutOfCapacity):
            backend.driver.volumes.clone(over.external_id, "copy", pool=pool.external_id)
        assert list(mount.iterdir()) == []
    finally:
        backend.driver.pools.delete(pool.external_id, with_volumes=True)
        subprocess.run(["umount", str(mount)], check=True)


def test_a_volume_in_use_is_not_deleted(backend: Backend, make_vm: MakeVm, make_volume: MakeVolume) -> None:
    volume = make_volume()
    vm = make_vm(disks=(DiskSpec(volume=volume.external_id),))
    with pytest.raises(Conflict):
        backend.driver.volumes.delete(volume.external_id)
    backend.driver.disks.detach(vm.external_id, "vda")
    over = backend.driver.volumes.create(
        VolumeSpec(name=f"{backend.name}-above", size_gib=1, pool=backend.name, image=volume.external_id)
    )
    with pytest.raises(Conflict):
        backend.driver.volumes.delete(volume.external_id)
    backend.driver.volumes.delete(over.external_id)
    backend.driver.volumes.delete(volume.external_id)
    with pytest.raises(NotFound):
        backend.driver.volumes.delete(volume.external_id)
