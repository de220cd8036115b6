"""Pools, volumes and images: what is in use stays, and what is brought in is looked at first."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from providers.base import (
    AlreadyExists,
    Cancelled,
    Conflict,
    DiskSpec,
    ImageSpec,
    InvalidRequest,
    PoolSpec,
    VolumeSpec,
)
from providers.kvm.testing import Backend, download
from tests.providers.kvm.conftest import MakeVm
from tests.providers.kvm.test_creation import Story, header

pytestmark = pytest.mark.live


def test_an_image_arrives_byte_for_byte_and_without_its_holes(backend: Backend) -> None:
    content = backend.image_file.read_bytes()
    spec = ImageSpec(
        name=f"{backend.name}-in",
        path=str(backend.image_file),
        pool=backend.name,
        checksum=f"sha256:{hashlib.sha256(content).hexdigest()}",
    )
    story = Story()
    image = backend.driver.images.add(spec, story)
    try:
        assert story.percents[-1] == 100
        assert download(backend.raw, backend.raw.storageVolLookupByKey(image.external_id)) == content
        # 64 KiB and three bytes lie at the ends of four empty mebibytes.
        assert image.stored_bytes < 2 * 1024 * 1024 < len(content)
        assert Path(image.path).stat().st_mode & 0o777 == 0o444
        with pytest.raises(AlreadyExists) as caught:
            backend.driver.images.add(spec)
        assert caught.value.field == "name"
    finally:
        backend.driver.images.delete(image.external_id)


@pytest.mark.parametrize(
    ("content", "values", "field"),
    [
        (b"", {}, "path"),
        (b"\0disk", {"checksum": "sha256:" + "0" * 64}, "checksum"),
        (b"\0disk", {"checksum": "crc:1"}, "checksum"),
        (b"\0disk", {"is_iso": True}, "path"),
        (b"\x1f\x8bzipped", {}, "path"),
        (header(backing=b"/etc/shadow"), {}, "path"),
        (header(flags=4), {}, "path"),
        (b"\0disk", {"name": "a/b"}, "name"),
    ],
)
def test_what_is_no_image_is_refused_before_anything_is_made(
    backend: Backend, tmp_path: Path, content: bytes, values: dict[str, object], field: str
) -> None:
    path = tmp_path / "image"
    path.write_bytes(content)
    before = set(backend.pool.listVolumes())
    with pytest.raises(InvalidRequest) as caught:
        backend.driver.images.add(
            ImageSpec.model_validate({"name": f"{backend.name}-no", "path": str(path), "pool": backend.name, **values})
        )
    assert caught.value.field == field
    assert set(backend.pool.listVolumes()) == before


def test_an_upload_that_is_stopped_leaves_nothing(backend: Backend) -> None:
    before = set(backend.pool.listVolumes())
    with pytest.raises(Cancelled):
        backend.driver.images.add(
            ImageSpec(name=f"{backend.name}-stop", path=str(backend.image_file), pool=backend.name), Story(stop_at=1)
        )
    assert set(backend.pool.listVolumes()) == before


def test_an_image_that_was_copied_into_the_folder_is_found(backend: Backend) -> None:
    path = backend.folder / "pool" / f"{backend.name}-copied.img"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "1G"], check=True)
    path.chmod(0o644)
    found = {image.path: image for image in backend.driver.images.list()}
    assert found[str(path)].format == "qcow2"
    assert found[str(path)].size_gib == 1.0
    backend.driver.images.delete(found[str(path)].external_id)
    assert not path.exists()


def test_disks_and_spare_volumes_are_no_images(backend: Backend, make_vm: MakeVm) -> None:
    spare = backend.driver.volumes.create(VolumeSpec(name=f"{backend.name}-spare", size_gib=1, pool=backend.name))
    vm = make_vm(iso=backend.iso)
    keys = {image.external_id for image in backend.driver.images.list()}
    assert {backend.image, backend.iso} <= keys
    assert not keys & {spare.external_id, *(disk.volume for disk in vm.disks or () if disk.device == "disk")}
    backend.driver.volumes.delete(spare.external_id)


def test_a_disk_grows_under_its_running_vm(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm(start=True)
    assert vm.disks is not None
    volume = vm.disks[0].volume
    assert backend.driver.volumes.get(volume).used_by == (vm.external_id,)
    assert backend.driver.volumes.grow(volume, 2).size_gib == 2.0
    seen = backend.driver.machines.get(vm.external_id).disks or ()
    assert seen[0].size_gib == 2.0
    with pytest.raises(InvalidRequest):
        backend.driver.volumes.grow(volume, 1)
    # What others build on must stay as it is.
    with pytest.raises(Conflict):
        backend.driver.volumes.grow(backend.image, 2)


def test_a_disk_has_its_size_also_while_its_vm_cannot_answer(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm(start=True)
    domain = backend.raw.lookupByUUIDString(vm.external_id)
    pid = int(Path(f"/run/libvirt/qemu/{vm.name}.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    # Waits for the monitor, and keeps everybody else from it.
    asking = threading.Thread(target=domain.blockInfo, args=("vda",))
    asking.start()
    try:
        time.sleep(0.3)
        assert asking.is_alive()
        seen = backend.driver.machines.get(vm.external_id).disks or ()
        assert [disk.size_gib for disk in seen] == [disk.size_gib for disk in vm.disks or ()] == [0.0625]
    finally:
        os.kill(pid, signal.SIGCONT)
        asking.join(30)


@pytest.mark.parametrize("path", ["", "relative", "/", "/var", "/var/../etc", "/etc/libvirt", "/proc/self", "/dev/shm"])
def test_a_pool_is_a_folder_for_disks(backend: Backend, path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        backend.driver.pools.create(PoolSpec(name=f"{backend.name}-bad", path=path))
    assert caught.value.field == "path"


def test_a_pool_cannot_have_anothers_name_or_folder(backend: Backend) -> None:
    for spec in (
        PoolSpec(name=backend.name, path=str(backend.folder / "other")),
        PoolSpec(name=f"{backend.name}-twin", path=str(backend.folder / "pool") + "/"),
    ):
        with pytest.raises(AlreadyExists):
            backend.driver.pools.create(spec)


def test_a_pool_that_a_vm_uses_stays(backend: Backend, make_vm: MakeVm) -> None:
    pool = backend.driver.pools.create(PoolSpec(name=f"{backend.name}-used", path=str(backend.folder / "used")))
    vm = make_vm(disks=(DiskSpec(size_gib=1, pool=pool.external_id),))
    assert vm.disks is not None
    assert vm.disks[0].pool == pool.external_id
    with pytest.raises(Conflict):
        backend.driver.pools.delete(pool.external_id, with_volumes=True)
    backend.driver.machines.delete(vm.external_id)
    backend.driver.pools.delete(pool.external_id)
    make_vm()
