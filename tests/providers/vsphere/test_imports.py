"""Bringing in disks: what is sent arrives as it is and becomes a template; whatever goes wrong, nothing stays."""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
import uuid
from pathlib import Path
from typing import Any

import pytest

from providers.base import (
    AlreadyExists,
    DiskSpec,
    ImageSpec,
    InvalidRequest,
    NotFound,
    OutOfCapacity,
    ProviderError,
    VmSpec,
)
from providers.vsphere.appliances import Disk, _descriptor
from providers.vsphere.driver import VsphereDriver
from providers.vsphere.stub import file_path
from providers.vsphere.testing import Backend
from tools.peers.vsphere.door import Door

GIB = 1024**3
Json = dict[str, Any]


def streamed(gib: int = 2, *, flags: int = 0x30001, compression: int = 1) -> bytes:
    """A disk whose header says that it is stream-optimized; nobody here looks further."""
    head = struct.pack("<4sIIQQQQIQQQB4sH", b"KDMV", 3, flags, gib * GIB // 512, 128, 1, 20, 512, 0, 21, 128, 0,
                       b"\n \r\n", compression)  # fmt: skip
    return head.ljust(512, b"\0") + b"grains" * 20_000


def archive(disk: bytes, *, manifest: str = "", order: tuple[str, ...] = ("ovf", "mf", "vmdk")) -> bytes:
    descriptor = _descriptor(Disk("disk.vmdk", len(disk), iter(())), 2 * GIB).encode()
    digest = manifest or hashlib.sha256(disk).hexdigest()
    contents = {"ovf": descriptor, "mf": f"SHA256(disk.vmdk)= {digest}\n".encode(), "vmdk": disk}
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.USTAR_FORMAT) as made:
        for each in order:
            info = tarfile.TarInfo(f"disk.{each}")
            info.size = len(contents[each])
            made.addfile(info, io.BytesIO(contents[each]))
    return whole.getvalue()


@pytest.fixture
def wish(vcenter: Backend, tmp_path: Path) -> Any:
    def make(content: bytes, **changes: Any) -> ImageSpec:
        file = tmp_path / "image"
        file.write_bytes(content)
        told = {"name": f"kvweb-test-{uuid.uuid4().hex[:8]}", "pool": vcenter.pool, "path": str(file)}
        return ImageSpec.model_validate(told | changes)

    return make


def everything(driver: VsphereDriver) -> set[str]:
    names = {vm.name for vm in driver.machines.list()} | {image.name for image in driver.images.list()}
    return names | {one.name for one in driver.images.unfinished()} | {each.path for each in driver.volumes.list()}


def downloaded(driver: VsphereDriver, path: str) -> bytes:
    store, _, rest = path.partition("] ")
    line, headers = driver.connection.stub.file_line()
    where = file_path(rest, datacenter=driver.connection.datacenter_name, datastore=store[1:])
    line.request("GET", where, headers=headers)
    content = line.getresponse().read()
    line.close()
    return content


@pytest.mark.parametrize("form", ["ova", "vmdk"])
def test_what_is_brought_in_becomes_a_template_to_make_vms_of(
    driver: VsphereDriver, wish: Any, vcenter: Backend, form: str
) -> None:
    disk, before = streamed(), everything(driver)
    spec = wish(archive(disk) if form == "ova" else disk, portal_uuid=str(uuid.uuid4()))
    image = driver.images.add(spec)
    assert (image.name, image.format, image.size_gib, image.pool) == (spec.name, "vmdk", 2, vcenter.pool)
    sent = hashlib.sha256(downloaded(driver, image.path)).hexdigest()
    assert sent == hashlib.sha256(disk).hexdigest()
    assert driver.images.unfinished() == []
    # The same job again finds what it made; somebody else's wish for the name does not.
    assert driver.images.add(spec).external_id == image.external_id
    with pytest.raises(AlreadyExists):
        driver.images.add(wish(disk, name=spec.name))
    name = f"{spec.name}-vm"
    disks = (DiskSpec(image=image.external_id, size_gib=3),)
    vm = driver.machines.create(VmSpec(name=name, memory_mib=64, disks=disks, start=False))
    assert [each.size_gib for each in vm.disks or ()] == [3]
    driver.machines.delete(vm.external_id)
    driver.images.delete(image.external_id)
    assert everything(driver) == before


WRONG: list[tuple[str, Any, str]] = [
    ("another manifest", lambda: archive(streamed(), manifest="0" * 64), "manifest"),
    ("a manifest behind", lambda: archive(streamed(), manifest="0" * 64, order=("ovf", "vmdk", "mf")), "manifest"),
    ("no descriptor", lambda: archive(streamed(), order=("vmdk",)), "descriptor"),
    ("no disk", lambda: archive(streamed(), order=("ovf", "mf")), "lacks"),
    ("a broken archive", lambda: archive(streamed())[:60_000], "damaged"),
    ("another sort of disk", lambda: streamed(flags=1, compression=0), "stream-optimized"),
    ("a raw disk", lambda: bytes(50_000), "stream-optimized"),
]


@pytest.mark.parametrize(("content", "words"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG])
def test_what_cannot_be_taken_is_refused_and_nothing_stays(
    driver: VsphereDriver, wish: Any, content: Any, words: str
) -> None:
    before = everything(driver)
    with pytest.raises(InvalidRequest, match=words):
        driver.images.add(wish(content()))
    assert everything(driver) == before


@pytest.mark.parametrize(
    ("step", "how"),
    [
        ("CreateImportSpec", {"fault": "NoDiskSpace"}),
        ("ImportVApp", {"fault": "NoDiskSpace"}),
        ("ImportVApp", {"cut": "after"}),
        ("POST", {"status": 507}),
        ("POST", {"cut": "before"}),
        ("HttpNfcLeaseComplete", {"cut": "after"}),
        ("ReconfigVM_Task", {"fault": "NoDiskSpace"}),
        ("MarkAsTemplate", {"fault": "NoPermission"}),
    ],
)
def test_a_step_that_fails_leaves_nothing(driver: VsphereDriver, wish: Any, door: Door, step: str, how: Json) -> None:
    before = everything(driver)
    with door.failing(step, times=1, **how), pytest.raises(ProviderError) as caught:
        driver.images.add(wish(archive(streamed())))
    if "status" in how:
        assert isinstance(caught.value, OutOfCapacity)
    assert everything(driver) == before


def test_what_a_dead_worker_left_is_no_vm_and_is_found_and_taken_away(
    driver: VsphereDriver, wish: Any, door: Door
) -> None:
    before, spec = everything(driver), wish(streamed(), portal_uuid=str(uuid.uuid4()))
    with (
        door.failing("POST", status=500),
        door.failing("HttpNfcLeaseAbort", status=503),
        door.failing("FindByUuid", status=503, after=1),
        pytest.raises(ProviderError),
    ):
        driver.images.add(spec)
    (left,) = driver.images.unfinished()
    assert (left.name, left.portal_uuid) == (spec.name, spec.portal_uuid)
    assert spec.name not in {vm.name for vm in driver.machines.list()}
    for _ in range(2):
        driver.images.discard(left.key)
    with pytest.raises(NotFound):
        driver.machines.get(left.key)
    assert everything(driver) == before
