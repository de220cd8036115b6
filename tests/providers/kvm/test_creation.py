"""A create succeeds as a whole or leaves nothing; a delete takes what is the VM's own and nothing else."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest

from providers.base import (
    AlreadyExists,
    Cancelled,
    CloudInit,
    Conflict,
    DiskSpec,
    InvalidRequest,
    NicSpec,
    NotFound,
    OutOfCapacity,
    PoolSpec,
    PowerState,
    ProviderError,
    VmSpec,
    VolumeSpec,
)
from providers.kvm import storage
from providers.kvm.creation import mark_of, owner_mark
from providers.kvm.design import domain_uuid
from providers.kvm.testing import Backend, user_data
from tests.providers.kvm.conftest import MakeVm

pytestmark = pytest.mark.live

Wish = Callable[..., VmSpec]
Names = Callable[[], set[str]]

WITH_SEED = {"cloud_init": CloudInit()}


class Story:
    """Progress that is written down, and that is asked to stop at one of its checkpoints."""

    def __init__(self, stop_at: int = -1) -> None:
        self.sentences: list[str] = []
        self.percents: list[int] = []
        self.checkpoints = 0
        self._stop_at = stop_at

    def report(self, percent: int, sentence: str) -> None:
        self.percents.append(percent)
        if sentence not in self.sentences:
            self.sentences.append(sentence)

    def checkpoint(self) -> None:
        self.checkpoints += 1
        if self.checkpoints == self._stop_at:
            raise Cancelled


def test_the_person_waiting_is_told_what_happens(backend: Backend, wish: Wish) -> None:
    story = Story()
    vm = backend.driver.machines.create(wish(start=True, **WITH_SEED), story)
    backend.driver.machines.delete(vm.external_id)
    assert story.sentences == ["Copying the image", "Writing the seed", "Defining the machine", "Starting", "Done"]
    assert story.percents == sorted(story.percents)


def test_stopping_at_any_point_leaves_nothing(backend: Backend, wish: Wish, volumes: Names) -> None:
    before = volumes()
    whole = Story()
    vm = backend.driver.machines.create(wish(start=True, **WITH_SEED), whole)
    backend.driver.machines.delete(vm.external_id)
    for stop_at in range(1, whole.checkpoints + 1):
        spec = wish(start=True, **WITH_SEED)
        with pytest.raises(Cancelled):
            backend.driver.machines.create(spec, Story(stop_at))
        assert volumes() == before
        with pytest.raises(NotFound):
            backend.driver.machines.find(spec.name)


def test_a_vm_that_cannot_start_is_undone(backend: Backend, make_vm: MakeVm, wish: Wish, volumes: Names) -> None:
    # QEMU locks a disk that it writes to, so a second VM that would read it is defined but does not start.
    first = make_vm(start=True)
    assert first.disks is not None
    locked = DiskSpec(volume=first.disks[0].volume, read_only=True)
    before = volumes()
    spec = wish(disks=(locked, DiskSpec(size_gib=1)), start=True, **WITH_SEED)
    with pytest.raises(ProviderError):
        backend.driver.machines.create(spec)
    assert volumes() == before
    with pytest.raises(NotFound):
        backend.driver.machines.find(spec.name)


def test_a_second_create_finds_the_first(backend: Backend, make_vm: MakeVm, wish: Wish, volumes: Names) -> None:
    spec = wish(portal_uuid="not a uuid at all")
    first = backend.driver.machines.create(spec)
    before = volumes()
    try:
        assert backend.driver.machines.create(spec).external_id == first.external_id
        assert volumes() == before
        with pytest.raises(AlreadyExists) as caught:
            make_vm(name=spec.name)
        assert caught.value.field == "name"
        assert volumes() == before
    finally:
        backend.driver.machines.delete(first.external_id)


def left_by_a_dead_worker(backend: Backend, spec: VmSpec) -> set[str]:
    """Volumes as a worker leaves them that was killed before it defined the VM."""
    mark = mark_of(domain_uuid(spec.portal_uuid))
    names = {f"{spec.name}-{mark}-0.qcow2", f"{spec.name}-{mark}-seed.iso"}
    for name in names:
        storage.upload(backend.raw, backend.pool, name=name, content=b"half")
    return names


def test_what_a_dead_worker_left_is_used_by_the_next_try(backend: Backend, wish: Wish, volumes: Names) -> None:
    spec = wish(**WITH_SEED)
    left = left_by_a_dead_worker(backend, spec)
    vm = backend.driver.machines.create(spec)
    assert left <= volumes()
    assert user_data(backend.driver, vm).startswith("#cloud-config")
    backend.driver.machines.delete(vm.external_id)
    assert not left & volumes()


def test_what_a_dead_worker_left_can_be_discarded(
    backend: Backend, make_vm: MakeVm, wish: Wish, volumes: Names
) -> None:
    spec = wish()
    vm = make_vm()
    before = volumes()
    left = left_by_a_dead_worker(backend, spec)
    assert volumes() == before | left
    assert backend.driver.machines.discard(spec.portal_uuid)
    assert volumes() == before
    assert not backend.driver.machines.discard(spec.portal_uuid)
    # A VM that lives keeps what is its own, whoever asks.
    assert not backend.driver.machines.discard(vm.portal_uuid)
    assert not backend.driver.machines.discard("")
    assert volumes() == before


def test_disks_bear_their_vms_mark_and_nothing_else_does(make_vm: MakeVm) -> None:
    vm = make_vm(**WITH_SEED)
    for disk in vm.disks or ():
        assert owner_mark(Path(disk.volume).name) == vm.external_id.replace("-", "")[:12]
    for name in ("debian-12.qcow2", "vm-0.qcow2", "x-seed.iso", "a-0123456789ab-0.img"):
        assert owner_mark(name) == ""


@pytest.mark.parametrize(
    ("values", "kind", "field"),
    [
        ({"disks": (DiskSpec(image="/nowhere/x.qcow2"),)}, NotFound, "disks.0.image"),
        ({"disks": (DiskSpec(size_gib=1, pool="kvweb-test-nowhere"),)}, NotFound, "pool"),
        ({"disks": (DiskSpec(size_gib=1), DiskSpec())}, InvalidRequest, "disks.1.size_gib"),
        ({"disks": (DiskSpec(volume="/nowhere/x.qcow2"),)}, NotFound, "disks.0.volume"),
        ({"nics": (NicSpec(network="kvweb-test-nowhere"),)}, NotFound, "nics.0.network"),
        ({"iso": "/nowhere/x.iso"}, NotFound, "iso"),
        ({"memory_mib": 16 * 1024 * 1024}, InvalidRequest, "memory_mib"),
        ({"vcpus": 1024}, InvalidRequest, "vcpus"),
        ({"name": "a/b"}, InvalidRequest, "name"),
        ({"options": {"machine": "mainframe"}}, InvalidRequest, "options.machine"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    backend: Backend, wish: Wish, volumes: Names, values: dict[str, object], kind: type[ProviderError], field: str
) -> None:
    before = volumes()
    with pytest.raises(kind) as caught:
        backend.driver.machines.create(wish(**values))
    assert caught.value.field == field
    assert volumes() == before


@pytest.fixture
def crafted(backend: Backend) -> Iterator[Callable[[str, bytes], str]]:
    """A file in the pool with this content, as an attacker would bring it; its key."""
    made: list[Path] = []

    def make(name: str, content: bytes) -> str:
        path = backend.folder / "pool" / name
        path.write_bytes(content)
        made.append(path)
        backend.pool.refresh(0)
        return str(backend.pool.storageVolLookupByName(name).key())

    yield make
    for path in made:
        path.unlink()
    backend.pool.refresh(0)


def header(*, backing: bytes = b"", flags: int = 0) -> bytes:
    at = 512 if backing else 0
    head = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 3, at, len(backing), 16, 1 << 26, 0, 1, 3 << 16, 1 << 16, 1, 0, 0)
    head += struct.pack(">QQQII", flags, 0, 0, 4, 104)
    table = struct.pack(">Q", 2 << 16).ljust(1 << 16, b"\0")
    return (head.ljust(512, b"\0") + backing).ljust(1 << 16, b"\0") + table + bytes(2 << 16)


def test_an_image_may_not_build_on_the_hosts_own_files(
    backend: Backend, wish: Wish, volumes: Names, crafted: Callable[[str, bytes], str]
) -> None:
    key = crafted("kvweb-test-evil.qcow2", header(backing=b"/etc/hostname"))
    before = volumes()
    with pytest.raises(InvalidRequest) as caught:
        backend.driver.machines.create(wish(disks=(DiskSpec(image=key),)))
    assert "outside" in caught.value.reason
    assert key not in {image.external_id for image in backend.driver.images.list()}
    with pytest.raises(InvalidRequest):
        backend.driver.machines.create(wish(disks=(DiskSpec(volume=key),)))
    assert volumes() == before


def test_an_image_may_not_keep_its_data_elsewhere(
    backend: Backend, wish: Wish, crafted: Callable[[str, bytes], str]
) -> None:
    key = crafted("kvweb-test-data.qcow2", header(flags=4))
    with pytest.raises(InvalidRequest) as caught:
        backend.driver.machines.create(wish(disks=(DiskSpec(image=key),)))
    assert "another file" in caught.value.reason


def test_sizes_are_those_of_the_wish_and_never_below_the_image(
    backend: Backend, make_vm: MakeVm, crafted: Callable[[str, bytes], str]
) -> None:
    path = backend.folder / "big.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), "3G"], check=True)
    key = crafted("kvweb-test-big.qcow2", path.read_bytes())
    with pytest.raises(InvalidRequest) as caught:
        make_vm(disks=(DiskSpec(image=key, size_gib=2),))
    assert caught.value.field == "disks.0.size_gib"
    assert "3 GiB" in caught.value.reason
    vm = make_vm(
        disks=(
            DiskSpec(image=key),
            DiskSpec(image=key, size_gib=5),
            DiskSpec(image=key, size_gib=4, thin=False),
            DiskSpec(image=key, size_gib=4, format="raw"),
            DiskSpec(size_gib=2, format="raw"),
        )
    )
    assert [disk.size_gib for disk in vm.disks or ()] == [3.0, 5.0, 4.0, 4.0, 2.0]
    backings = [backend.driver.volumes.get(disk.volume).backing for disk in vm.disks or ()]
    assert backings == [key, key, "", "", ""]


def test_a_full_pool_is_said_so_and_left_as_it_was(backend: Backend, wish: Wish) -> None:
    mount = backend.folder / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(mount)], capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    pool = backend.driver.pools.create(PoolSpec(name=f"{backend.name}-small", path=str(mount)))
    image = backend.folder / "pool" / "kvweb-test-fill.raw"
    image.write_bytes(os.urandom(12 * 1024 * 1024))
    backend.pool.refresh(0)
    try:
        wishes = (
            DiskSpec(image=str(image), pool=pool.external_id, thin=False),
            DiskSpec(size_gib=1, pool=pool.external_id, thin=False, format="raw"),
        )
        for disk in wishes:
            # What can be foreseen is refused early; what cannot, when the host says so.
            with pytest.raises(OutOfCapacity):
                backend.driver.machines.create(wish(disks=(disk,)))
            with mock.patch.object(storage, "_demand_room"), pytest.raises(OutOfCapacity):
                backend.driver.machines.create(wish(disks=(disk,)))
            assert list(mount.iterdir()) == []
    finally:
        backend.driver.pools.delete(pool.external_id)
        subprocess.run(["umount", str(mount)], check=True)
        image.unlink()
        backend.pool.refresh(0)


# -- deleting ----------------------------------------------------------------------------------------------------------


def test_a_delete_takes_its_own_disks_and_leaves_all_others(backend: Backend, make_vm: MakeVm, volumes: Names) -> None:
    before = volumes()
    foreign = backend.driver.volumes.create(VolumeSpec(name=f"{backend.name}-mine", size_gib=1, pool=backend.name))
    vm = make_vm(
        disks=(DiskSpec(image=backend.image), DiskSpec(volume=foreign.external_id), DiskSpec(size_gib=1)),
        iso=backend.iso,
        start=True,
        **WITH_SEED,
    )
    assert len(volumes() - before) == 4
    backend.driver.machines.delete(vm.external_id)
    assert volumes() - before == {foreign.name}
    backend.driver.volumes.delete(foreign.external_id)
    assert volumes() == before


def test_a_disk_that_others_build_on_stays(backend: Backend, make_vm: MakeVm, volumes: Names) -> None:
    before = volumes()
    below = make_vm(disks=(DiskSpec(size_gib=1), DiskSpec(size_gib=1, shareable=True)))
    assert below.disks is not None
    base, plain = (disk.volume for disk in below.disks)
    # An overlay that no VM has yet, and a VM that has the second disk plugged in too.
    overlay = backend.driver.volumes.create(
        VolumeSpec(name=f"{backend.name}-over", size_gib=1, pool=backend.name, image=base)
    )
    other = make_vm(disks=(DiskSpec(volume=plain, shareable=True),))
    backend.driver.machines.delete(below.external_id)
    assert {Path(base).name, Path(plain).name, overlay.name} <= volumes()
    backend.driver.machines.delete(other.external_id)
    for key in (overlay.external_id, base, plain):
        backend.driver.volumes.delete(key)
    assert volumes() == before


def test_disks_can_be_kept(backend: Backend, make_vm: MakeVm, volumes: Names) -> None:
    vm = make_vm(start=True)
    backend.driver.machines.delete(vm.external_id, keep_disks=True)
    kept = [disk.volume for disk in vm.disks or ()]
    assert {Path(volume).name for volume in kept} <= volumes()
    for volume in kept:
        backend.driver.volumes.delete(volume)


def test_snapshots_keep_a_vm_until_they_may_go_too(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm()
    domain = backend.raw.lookupByUUIDString(vm.external_id)
    domain.snapshotCreateXML("<domainsnapshot><name>one</name></domainsnapshot>", 0)
    with pytest.raises(Conflict):
        backend.driver.machines.delete(vm.external_id)
    backend.driver.machines.delete(vm.external_id, with_snapshots=True)
    with pytest.raises(NotFound):
        backend.driver.machines.get(vm.external_id)


def test_a_vm_with_uefi_and_one_that_was_saved_go_without_a_rest(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm(firmware="uefi", start=True)
    nvram = Path("/var/lib/libvirt/qemu/nvram") / f"{vm.name}_VARS.fd"
    assert nvram.exists()
    domain = backend.raw.lookupByUUIDString(vm.external_id)
    domain.managedSave(0)
    assert backend.driver.machines.get(vm.external_id).power is PowerState.SUSPENDED
    backend.driver.machines.delete(vm.external_id)
    assert not nvram.exists()
    assert not (Path("/var/lib/libvirt/qemu/save") / f"{vm.name}.save").exists()
