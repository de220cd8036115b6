"""Image files on their way to AWS: through a bucket that goes again, and nothing stays of what fails."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from providers.aws import imports
from providers.aws.driver import AwsDriver
from providers.aws.testing import Peer
from providers.base import DiskSpec, ImageSpec, InvalidRequest, NotSupported, ProviderError
from providers.testing import Harness

CONTENT = bytes(range(256)) * 64


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("aws-images") / "disk.raw"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def patient(driver: AwsDriver, peer: Peer) -> Iterator[AwsDriver]:
    yield driver
    peer.tell("beyond", {"import_error": "", "import_s": 0})
    for one in driver.images.unfinished():
        driver.images.discard(one.key)


def left(driver: AwsDriver) -> tuple[list[str], list[str], list[str]]:
    """Buckets for imports, snapshots and images of the account."""
    snapshots = driver.cloud.pages("ec2", "describe_snapshots", "Snapshots", OwnerIds=["self"])
    own = driver.cloud.pages("ec2", "describe_images", "Images", Owners=["self"])
    return (
        [one.key for one in driver.images.unfinished()],
        [one["SnapshotId"] for one in snapshots],
        [one["ImageId"] for one in own],
    )


class Told:
    """Remembers how far it was, and stops where it was told to."""

    def __init__(self, stop_at: int = 101) -> None:
        self.percents: list[int] = []
        self._stop_at = stop_at

    def report(self, percent: int, sentence: str) -> None:
        assert sentence
        self.percents.append(percent)

    def checkpoint(self) -> None:
        if self.percents and self.percents[-1] >= self._stop_at:
            raise KeyboardInterrupt


def test_a_file_becomes_an_image_that_vms_are_made_of(patient: AwsDriver, peer: Peer, disk: Path, aws: Harness) -> None:
    peer.tell("beyond", {"import_s": 1.0})
    before, told = left(patient), Told()
    digest = hashlib.sha256(CONTENT).hexdigest()
    spec = ImageSpec(name="kvweb-test-import", path=str(disk), checksum=f"sha256:{digest}", default_user="admin")
    image = patient.images.add(spec, told)
    try:
        assert (image.name, image.default_user) == ("kvweb-test-import", "admin")
        assert told.percents == sorted(told.percents)
        assert told.percents[-1] == 100
        assert left(patient)[0] == []
        vm = patient.machines.create(aws.vm_spec("kvweb-test-of-it", disks=(DiskSpec(image=image.external_id),)))
        patient.machines.delete(vm.external_id)
    finally:
        patient.images.delete(image.external_id)
    assert left(patient) == before


def test_a_large_file_goes_in_parts(
    patient: AwsDriver, peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The smallest parts that S3 takes.
    monkeypatch.setattr(imports, "PART_BYTES", 5 * 1024**2)
    (tmp_path / "disk.raw").write_bytes(b"\xa5" * (5 * 1024**2 + 1000))
    before = peer.tell("calls")["s3:PUT"]
    image = patient.images.add(ImageSpec(name="kvweb-test-large", path=str(tmp_path / "disk.raw")))
    patient.images.delete(image.external_id)
    assert peer.tell("calls")["s3:PUT"] - before == 3, "The bucket and two parts."


def test_the_same_wish_makes_one_image(patient: AwsDriver, disk: Path) -> None:
    spec = ImageSpec(name="kvweb-test-twice", path=str(disk), portal_uuid="7D2F-once")
    first = patient.images.add(spec)
    try:
        assert patient.images.add(spec) == first
    finally:
        patient.images.delete(first.external_id)


#: The call that fails, in the order in which they come.
STEPS = [
    "s3:PUT",
    "s3:POST",
    "ec2:ImportSnapshot",
    "ec2:DescribeImportSnapshotTasks",
    "ec2:CreateTags",
    "ec2:RegisterImage",
]


@pytest.mark.parametrize("step", STEPS)
def test_an_import_that_fails_half_way_leaves_nothing(patient: AwsDriver, peer: Peer, disk: Path, step: str) -> None:
    before = left(patient)
    fault = {"match": step, "code": "InternalError", "status": 500, "times": 1}
    with peer.failing(fault), pytest.raises(ProviderError):
        patient.images.add(ImageSpec(name="kvweb-test-broken", path=str(disk)))
    assert left(patient) == before


@pytest.mark.parametrize("percent", [2, 62, 90])
def test_one_that_is_broken_off_leaves_nothing(patient: AwsDriver, disk: Path, percent: int) -> None:
    before = left(patient)
    with pytest.raises(KeyboardInterrupt):
        patient.images.add(ImageSpec(name="kvweb-test-stopped", path=str(disk)), Told(stop_at=percent))
    assert left(patient) == before


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("ClientError: Disk validation failed [We do not have access to the given resource]", "needs a role"),
        ("ClientError: Unsupported kernel", "could not read this file"),
    ],
)
def test_what_aws_says_of_a_file_is_told(patient: AwsDriver, peer: Peer, disk: Path, sentence: str, words: str) -> None:
    peer.tell("beyond", {"import_error": sentence})
    before = left(patient)
    with pytest.raises(InvalidRequest, match=words) as refused:
        patient.images.add(ImageSpec(name="kvweb-test-refused", path=str(disk)))
    assert sentence in refused.value.detail
    assert left(patient) == before


def test_what_a_killed_worker_left_is_found_and_taken_away(
    patient: AwsDriver, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = left(patient)

    def killed(self: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(imports.Import, "_register", killed)
    monkeypatch.setattr(imports.Import, "_undo", lambda self: None)
    with pytest.raises(SystemExit):
        patient.images.add(ImageSpec(name="kvweb-test-killed", path=str(disk), portal_uuid="killed"))
    (found,) = patient.images.unfinished()
    assert found.portal_uuid == "killed"
    for _ in range(2):
        patient.images.discard(found.key)
    assert left(patient) == before


def test_what_aws_cannot_take_is_refused_before_anything_is_made(patient: AwsDriver, tmp_path: Path) -> None:
    overlay = tmp_path / "disk.qcow2"
    overlay.write_bytes((b"QFI\xfb" + (3).to_bytes(4, "big")).ljust(512, b"\0") + bytes(4096))
    before = left(patient)
    with pytest.raises(InvalidRequest, match="raw"):
        patient.images.add(ImageSpec(name="kvweb-test-qcow2", path=str(overlay)))
    with pytest.raises(NotSupported):
        patient.images.add(ImageSpec(name="kvweb-test-iso", path=str(overlay), is_iso=True))
    with pytest.raises(InvalidRequest, match="characters"):
        patient.images.add(ImageSpec(name="ab", path=str(overlay)))
    assert left(patient) == before


def test_parts_grow_so_that_the_largest_disk_has_enough_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "PART_BYTES", 4)
    monkeypatch.setattr(imports, "PARTS_BEFORE_LARGER", 2)
    parts = list(imports._parts(iter([b"x" * 7, b"y" * 30])))
    assert b"".join(parts) == b"x" * 7 + b"y" * 30
    assert [len(part) for part in parts] == [4, 4, 8, 8, 12, 1]
    assert list(imports._parts(iter([]))) == [b""]
