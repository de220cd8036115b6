"""Images at the local libvirt: from an address and in pieces, what is left behind, and who uses them."""

from __future__ import annotations

import hashlib
import lzma
import multiprocessing
import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from providers.base import (
    AlreadyExists,
    Cancelled,
    Conflict,
    DiskSpec,
    FetchRules,
    ImageSpec,
    InvalidRequest,
    OutOfCapacity,
)
from providers.kvm.driver import KvmDriver
from providers.kvm.testing import Backend, download
from tests.providers.kvm.conftest import MakeVm
from tests.providers.transfer.vendor import Vendor, cut, drip, vendor

pytestmark = pytest.mark.live

HERE = FetchRules(http=True, networks=("127.0.0.0/8",))


@pytest.fixture
def shop() -> Iterator[Vendor]:
    with vendor() as running:
        yield running


@pytest.fixture
def name(backend: Backend) -> str:
    return f"{backend.name}-{uuid.uuid4().hex[:6]}.img"


def qcow2(tmp_path: Path) -> bytes:
    """A small disk with something on it, as QEMU writes it."""
    raw, image = tmp_path / "disk.raw", tmp_path / "disk.qcow2"
    raw.write_bytes(os.urandom(3 << 20) + bytes(61 << 20))
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, image], check=True)
    return image.read_bytes()


def test_a_packed_disk_is_fetched_unpacked_and_is_what_it_was(
    backend: Backend, shop: Vendor, name: str, tmp_path: Path
) -> None:
    content = qcow2(tmp_path)
    packed = lzma.compress(content)
    sums = shop.offer("/SUMS", f"{hashlib.sha512(packed).hexdigest()}  disk.qcow2.xz\n".encode())
    spec = ImageSpec(
        name=name, pool=backend.name, url=shop.offer("/disk.qcow2.xz", packed), checksum_url=sums, fetch=HERE
    )
    image = backend.driver.images.add(spec)
    try:
        assert (image.format, image.size_gib) == ("qcow2", 64 / 1024)
        assert download(backend.raw, backend.raw.storageVolLookupByKey(image.external_id)) == content
        assert set(backend.pool.listVolumes()) >= {name}
        assert not [one for one in backend.pool.listVolumes() if "part" in one]
    finally:
        backend.driver.images.delete(image.external_id)


@pytest.mark.parametrize("fault", ["checksum", "cut", "cancel"])
def test_what_fails_leaves_nothing(backend: Backend, shop: Vendor, name: str, fault: str) -> None:
    content = os.urandom(4 << 20)
    url = shop.offer("/x.img", content)
    if fault == "cut":
        url = shop.behave("/cut.img", cut(content, promised=5 << 20))

    class Reporter:
        def report(self, percent: int, sentence: str) -> None:
            del percent, sentence

        def checkpoint(self) -> None:
            if fault == "cancel" and name in backend.pool.listVolumes():
                raise Cancelled

    checksum = "sha256:" + "0" * 64 if fault == "checksum" else ""
    before = set(backend.pool.listVolumes())
    spec = ImageSpec(name=name, pool=backend.name, url=url, checksum=checksum, fetch=HERE)
    with pytest.raises(Exception) as caught:
        backend.driver.images.add(spec, Reporter())
    assert (
        type(caught.value).__name__
        == {"checksum": "InvalidRequest", "cut": "Unreachable", "cancel": "Cancelled"}[fault]
    )
    assert set(backend.pool.listVolumes()) == before


def _bring_in(config: dict[str, Any], spec: dict[str, Any]) -> None:
    from providers.kvm.config import KvmConfig

    KvmDriver(KvmConfig.read(config)).images.add(ImageSpec.model_validate(spec))


def test_what_a_killed_worker_left_is_no_image_and_is_begun_anew(backend: Backend, shop: Vendor, name: str) -> None:
    content = os.urandom(1 << 20)
    url = shop.behave("/x.img", drip(content, every_s=0.01))
    spec = ImageSpec(name=name, pool=backend.name, url=url, fetch=HERE, portal_uuid=str(uuid.uuid4()))
    context = multiprocessing.get_context("spawn")
    worker = context.Process(target=_bring_in, args=(backend.config.model_dump(), spec.model_dump()))
    worker.start()
    deadline = time.monotonic() + 60
    while name not in backend.pool.listVolumes():
        assert time.monotonic() < deadline, "The worker never began."
        time.sleep(0.05)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    images = backend.driver.images
    assert name not in {image.name for image in images.list()}
    assert name not in {volume.name for volume in backend.driver.volumes.list(backend.name)}
    assert [one.portal_uuid for one in images.unfinished() if one.name == name] == [spec.portal_uuid]
    with pytest.raises(AlreadyExists):
        images.add(spec.model_copy(update={"portal_uuid": "another", "url": shop.offer("/y.img", content)}))
    image = images.add(spec.model_copy(update={"url": f"{shop.url}/y.img"}))
    try:
        assert download(backend.raw, backend.raw.storageVolLookupByKey(image.external_id)) == content
    finally:
        images.delete(image.external_id)


def test_pieces_are_written_where_they_belong_while_the_pool_is_looked_at(backend: Backend, name: str) -> None:
    """Listing refreshes the pool, which must not disturb what is being written."""
    content = os.urandom(6 << 20)
    images = backend.driver.images
    spec = ImageSpec(name=name, pool=backend.name)
    key = images.begin(spec, len(content))
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            images.list()

    looker = threading.Thread(target=look)
    looker.start()
    try:
        for offset in range(0, len(content), 1 << 20):
            images.write(key, offset, iter([content[offset : offset + (1 << 20)]]))
        checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
        image = images.finish(key, spec.model_copy(update={"checksum": checksum}))
    finally:
        is_over.set()
        looker.join()
    images.delete(image.external_id)


def test_a_name_that_is_there_is_not_touched(backend: Backend) -> None:
    """Beginning, failing and discarding under the name of an image that exists must leave that image alone."""
    taken = backend.raw.storageVolLookupByKey(backend.image).name()
    spec = ImageSpec(name=taken, pool=backend.name, portal_uuid="mine")
    with pytest.raises(AlreadyExists):
        backend.driver.images.begin(spec, 10)
    backend.driver.images.discard(f"{backend.name}/{taken}")
    assert backend.image in {image.external_id for image in backend.driver.images.list()}


def test_an_image_that_cannot_fit_is_refused_before_it_comes(backend: Backend, name: str) -> None:
    with pytest.raises(OutOfCapacity):
        backend.driver.images.begin(ImageSpec(name=name, pool=backend.name), 1 << 50)
    assert name not in backend.pool.listVolumes()


def test_an_upload_that_names_the_hosts_files_is_never_an_image(backend: Backend, name: str, tmp_path: Path) -> None:
    overlay = tmp_path / "evil.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw", overlay, "1M"], check=True
    )
    images = backend.driver.images
    spec = ImageSpec(name=name, pool=backend.name)
    key = images.begin(spec, 1 << 20)
    images.write(key, 0, iter([overlay.read_bytes()]))
    with pytest.raises(InvalidRequest):
        images.finish(key, spec)
    assert name not in {image.name for image in images.list()}
    images.discard(key)
    assert name not in backend.pool.listVolumes()


def test_an_image_tells_which_machines_use_it(backend: Backend, make_vm: MakeVm) -> None:
    on_disk = make_vm(disks=(DiskSpec(image=backend.image),))
    in_drive = make_vm(iso=backend.iso)
    copied = make_vm(disks=(DiskSpec(image=backend.image, thin=False),))
    users = {image.external_id: set(image.used_by) for image in backend.driver.images.list()}
    assert on_disk.external_id in users[backend.image]
    assert copied.external_id not in users[backend.image]
    assert in_drive.external_id in users[backend.iso]
    with pytest.raises(Conflict):
        backend.driver.images.delete(backend.image)
