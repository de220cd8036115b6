"""Disks and media of VMs without a guest; what is done is looked up in libvirt and QEMU themselves."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from lxml import etree

from providers.base import (
    AlreadyExists,
    Cancelled,
    CloudInit,
    Conflict,
    DiskRecord,
    DiskSpec,
    InvalidRequest,
    NotFound,
    PoolSpec,
    ProviderError,
    VmRecord,
    VolumeRecord,
    VolumeSpec,
)
from providers.kvm import design, storage
from providers.kvm import disks as module
from providers.kvm.testing import Backend
from tests.providers.kvm.conftest import MakeVm
from tests.providers.kvm.test_creation import Story

pytestmark = pytest.mark.live

Names = Callable[[], set[str]]
MakeVolume = Callable[..., VolumeRecord]


@pytest.fixture
def make_volume(backend: Backend) -> Iterator[MakeVolume]:
    """Volumes of nobody, gone with the test where they are still there."""
    made: list[str] = []

    def make(**values: Any) -> VolumeRecord:
        spec = {"name": f"{backend.name}-{uuid.uuid4().hex[:6]}", "size_gib": 1, "pool": backend.name, **values}
        record = backend.driver.volumes.create(VolumeSpec.model_validate(spec))
        made.append(record.external_id)
        return record

    yield make
    for key in reversed(made):
        try:
            backend.driver.volumes.delete(key)
        except (NotFound, Conflict):
            continue


def document(backend: Backend, vm: VmRecord, *words: str) -> Any:
    """The VM's document as virsh shows it: `--inactive` for its next start."""
    command = ["virsh", "-q", "-c", "qemu:///system", "dumpxml", *words, vm.external_id]
    return etree.fromstring(subprocess.run(command, check=True, capture_output=True).stdout)


def targets(backend: Backend, vm: VmRecord, *words: str) -> set[str]:
    return set(document(backend, vm, *words).xpath("devices/disk/target/@dev"))


def in_qemu(vm: VmRecord) -> dict[str, Any]:
    """Block devices as QEMU itself tells them, by the file that is open."""
    command = ["virsh", "-q", "-c", "qemu:///system", "qemu-monitor-command", vm.external_id, "--pretty"]
    answer = subprocess.run([*command, '{"execute":"query-block"}'], check=True, capture_output=True, text=True).stdout
    return {row["inserted"]["image"]["filename"]: row for row in json.loads(answer)["return"] if "inserted" in row}


def disk(vm: VmRecord, target: str) -> DiskRecord:
    return next(each for each in vm.disks or () if each.external_id == target)


def size_of(path: str) -> int:
    command = ["qemu-img", "info", "-U", "--output=json", path]
    return int(json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["virtual-size"])


# -- plugging in -------------------------------------------------------------------------------------------------------


def test_a_running_vm_has_new_disks_now_and_at_its_next_start(
    backend: Backend, make_vm: MakeVm, volumes: Names
) -> None:
    vm, made = make_vm(start=True), []
    for bus, target in (("virtio", "vdb"), ("scsi", "sda")):
        after = backend.driver.disks.attach(vm.external_id, DiskSpec(size_gib=1, bus=bus, cache="none"))
        added = disk(after, target)
        made.append(added.volume)
        assert (added.bus, added.cache, added.size_gib, added.format) == (bus, "none", 1.0, "qcow2")
        assert in_qemu(vm)[added.volume]["inserted"]["cache"]["direct"] is True
        kept = document(backend, vm, "--inactive")
        assert kept.xpath(f"devices/disk[target/@dev='{target}']/driver/@cache") == ["none"]
    assert targets(backend, vm) == targets(backend, vm, "--inactive") == {"vda", "vdb", "sda"}
    models = document(backend, vm, "--inactive").xpath("devices/controller[@type='scsi']/@model")
    assert set(models) == {"virtio-scsi"}
    backend.driver.machines.delete(vm.external_id)
    assert not {Path(volume).name for volume in made} & volumes()


def test_slots_are_kept_free_and_when_all_are_taken_that_is_said(backend: Backend, make_vm: MakeVm) -> None:
    with mock.patch.object(design, "SPARE_PORTS", 1):
        vm = make_vm(start=True)
    refused = None
    for _ in range(8):
        try:
            backend.driver.disks.attach(vm.external_id, DiskSpec(size_gib=1, bus="virtio"))
        except Conflict as exc:
            refused = exc
            break
    assert refused is not None
    assert "slot" in refused.reason
    # The one that found no slot left neither a volume nor a line in the VM's own list.
    own = document(backend, vm).xpath("metadata//*[local-name()='volume']/text()")
    assert sorted(own) == sorted(each.volume for each in backend.driver.machines.get(vm.external_id).disks or ())
    assert len(own) >= 2


def test_a_stopped_vm_takes_a_disk_on_any_bus_and_starts_with_all(backend: Backend, make_vm: MakeVm) -> None:
    vm, made = make_vm(), dict[str, str]()
    for bus, target in (("virtio", "vdb"), ("scsi", "sda"), ("sata", "sdb")):
        after = backend.driver.disks.attach(vm.external_id, DiskSpec(size_gib=1, bus=bus, format="raw"))
        made[target] = disk(after, target).volume
    backend.driver.power.start(vm.external_id)
    for volume in made.values():
        assert in_qemu(vm)[volume]["inserted"]["image"]["format"] == "raw"
    # Of these only SATA goes neither in nor out while it runs, and nothing happened when it was tried.
    with pytest.raises(Conflict) as caught:
        backend.driver.disks.attach(vm.external_id, DiskSpec(size_gib=1, bus="sata"))
    assert caught.value.field == "bus"
    with pytest.raises(Conflict):
        backend.driver.disks.detach(vm.external_id, "sdb")
    assert targets(backend, vm) == targets(backend, vm, "--inactive") == {"vda", *made}


def test_a_disk_follows_the_bus_that_its_vm_uses(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm(disks=(DiskSpec(size_gib=1, bus="scsi"),))
    after = backend.driver.disks.attach(vm.external_id, DiskSpec(size_gib=1))
    assert disk(after, "sdb").bus == "scsi"


def test_an_existing_volume_stays_when_its_vm_goes(
    backend: Backend, make_vm: MakeVm, make_volume: MakeVolume, volumes: Names
) -> None:
    volume, vm = make_volume(), make_vm(start=True)
    backend.driver.disks.attach(vm.external_id, DiskSpec(volume=volume.external_id, read_only=True))
    assert in_qemu(vm)[volume.path]["inserted"]["ro"] is True
    assert disk(backend.driver.machines.get(vm.external_id), "vdb").read_only
    backend.driver.machines.delete(vm.external_id)
    assert volume.name in volumes()


def test_two_running_vms_share_a_raw_disk_that_both_share(
    backend: Backend, make_vm: MakeVm, make_volume: MakeVolume, volumes: Names
) -> None:
    volume = make_volume(format="raw")
    shared = DiskSpec(volume=volume.external_id, shareable=True)
    one, two, third = make_vm(start=True), make_vm(start=True), make_vm()
    for vm in (one, two):
        assert disk(backend.driver.disks.attach(vm.external_id, shared), "vdb").shareable
        assert volume.path in in_qemu(vm)
    assert set(backend.driver.volumes.get(volume.external_id).used_by) == {one.external_id, two.external_id}
    with pytest.raises(Conflict) as caught:
        backend.driver.disks.attach(third.external_id, DiskSpec(volume=volume.external_id))
    assert caught.value.field == "volume"
    # Grown through one, both know.
    backend.driver.disks.grow(two.external_id, "vdb", 2)
    assert size_of(volume.path) == 2 << 30
    assert {in_qemu(vm)[volume.path]["inserted"]["image"]["virtual-size"] for vm in (one, two)} == {2 << 30}
    with pytest.raises(Conflict, match="Another VM"):
        backend.driver.disks.detach(one.external_id, "vdb", delete=True)
    assert "vdb" in targets(backend, one)
    backend.driver.machines.delete(one.external_id)
    backend.driver.machines.delete(two.external_id)
    assert volume.name in volumes()


@pytest.mark.parametrize(
    ("asked", "kind", "field"),
    [
        (lambda key, vm: DiskSpec(volume=key, shareable=True), InvalidRequest, "shareable"),
        (lambda key, vm: DiskSpec(size_gib=1, shareable=True, format="qcow2"), InvalidRequest, "format"),
        (lambda key, vm: DiskSpec(size_gib=1, format="vmdk"), InvalidRequest, "format"),
        (lambda key, vm: DiskSpec(size_gib=1, bus="floppy"), InvalidRequest, "bus"),
        (lambda key, vm: DiskSpec(size_gib=1, bus="ide"), InvalidRequest, "bus"),
        (lambda key, vm: DiskSpec(size_gib=1, cache="magic"), InvalidRequest, "cache"),
        (lambda key, vm: DiskSpec(), InvalidRequest, "size_gib"),
        (lambda key, vm: DiskSpec(size_gib=1, pool="kvweb-test-nowhere"), NotFound, "pool"),
        (lambda key, vm: DiskSpec(volume="/nowhere/x"), NotFound, "volume"),
        (lambda key, vm: DiskSpec(volume=vm.disks[0].volume), AlreadyExists, "volume"),
        (lambda key, vm: DiskSpec(size_gib=1, name="a/b"), InvalidRequest, "name"),
    ],
)
def test_what_cannot_be_plugged_in_is_refused_by_name(
    backend: Backend,
    make_vm: MakeVm,
    make_volume: MakeVolume,
    volumes: Names,
    asked: Callable[[str, VmRecord], DiskSpec],
    kind: type[ProviderError],
    field: str,
) -> None:
    vm, volume = make_vm(), make_volume()
    before = volumes()
    with pytest.raises(kind) as caught:
        backend.driver.disks.attach(vm.external_id, asked(volume.external_id, vm))
    assert caught.value.field == field
    assert volumes() == before
    assert targets(backend, vm) == {"vda"}


def test_what_others_build_on_is_not_given_to_a_writer(
    backend: Backend, make_vm: MakeVm, make_volume: MakeVolume
) -> None:
    base = make_volume()
    make_volume(image=base.external_id)
    vm = make_vm()
    with pytest.raises(Conflict, match="build"):
        backend.driver.disks.attach(vm.external_id, DiskSpec(volume=base.external_id))
    backend.driver.disks.attach(vm.external_id, DiskSpec(volume=base.external_id, read_only=True))


def test_an_attach_that_fails_or_is_stopped_leaves_nothing(backend: Backend, make_vm: MakeVm, volumes: Names) -> None:
    vm = make_vm(start=True)
    own = "metadata//*[local-name()='volume']/text()"
    before, owned = volumes(), document(backend, vm, "--inactive").xpath(own)
    with pytest.raises(Cancelled):
        backend.driver.disks.attach(vm.external_id, DiskSpec(size_gib=1), Story(stop_at=1))
    refusing = mock.patch.object(module, "_plug", side_effect=Conflict("No."))
    with refusing, pytest.raises(Conflict):
        backend.driver.disks.attach(vm.external_id, DiskSpec(size_gib=1))
    assert volumes() == before
    assert document(backend, vm, "--inactive").xpath(own) == document(backend, vm).xpath(own) == owned


# -- unplugging --------------------------------------------------------------------------------------------------------


def test_a_guest_that_does_not_let_go_keeps_its_disk(backend: Backend, make_vm: MakeVm) -> None:
    # There is no guest at all, so nobody answers the request.
    vm = make_vm(start=True)
    backend.driver.disks.attach(vm.external_id, DiskSpec(size_gib=1))
    with mock.patch.object(module, "LET_GO_S", 0.5), pytest.raises(Conflict, match="let go"):
        backend.driver.disks.detach(vm.external_id, "vdb", delete=True)
    assert targets(backend, vm) == targets(backend, vm, "--inactive") == {"vda", "vdb"}
    volume = disk(backend.driver.machines.get(vm.external_id), "vdb").volume
    assert Path(volume).exists()
    # Stopped it is done.
    backend.driver.power.stop(vm.external_id, force=True)
    backend.driver.disks.detach(vm.external_id, "vdb", delete=True)
    assert not Path(volume).exists()


def test_a_scsi_disk_leaves_a_running_vm_at_once(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm(start=True)
    added = disk(backend.driver.disks.attach(vm.external_id, DiskSpec(size_gib=1, bus="scsi")), "sda")
    after = backend.driver.disks.detach(vm.external_id, "sda", delete=True)
    assert [each.external_id for each in after.disks or ()] == ["vda"]
    assert targets(backend, vm, "--inactive") == {"vda"}
    assert added.volume not in in_qemu(vm)
    assert not Path(added.volume).exists()


def test_a_disk_that_was_kept_outlives_its_vm(backend: Backend, make_vm: MakeVm, volumes: Names) -> None:
    vm = make_vm()
    kept = disk(backend.driver.disks.attach(vm.external_id, DiskSpec(size_gib=1)), "vdb").volume
    backend.driver.disks.detach(vm.external_id, "vdb")
    # A clearing-up after this VM's creation finds nothing: it lives.
    assert not backend.driver.machines.discard(vm.portal_uuid)
    # The next disk has a name of its own, and the kept one can come back.
    new = disk(backend.driver.disks.attach(vm.external_id, DiskSpec(size_gib=1)), "vdb").volume
    assert new != kept
    backend.driver.disks.attach(vm.external_id, DiskSpec(volume=kept))
    backend.driver.machines.delete(vm.external_id)
    assert Path(kept).name in volumes()
    assert Path(new).name not in volumes()
    backend.driver.volumes.delete(kept)


def test_an_existing_disk_is_kept_unless_it_is_to_go(
    backend: Backend, make_vm: MakeVm, make_volume: MakeVolume
) -> None:
    vm, volume = make_vm(), make_volume()
    backend.driver.disks.attach(vm.external_id, DiskSpec(volume=volume.external_id))
    backend.driver.disks.detach(vm.external_id, "vdb")
    assert Path(volume.path).exists()
    backend.driver.disks.attach(vm.external_id, DiskSpec(volume=volume.external_id))
    backend.driver.disks.detach(vm.external_id, "vdb", delete=True)
    assert not Path(volume.path).exists()


def test_a_disk_that_others_build_on_is_unplugged_and_never_deleted(
    backend: Backend, make_vm: MakeVm, make_volume: MakeVolume
) -> None:
    vm = make_vm()
    base = disk(backend.driver.disks.attach(vm.external_id, DiskSpec(size_gib=1)), "vdb").volume
    over = make_volume(image=base)
    with pytest.raises(Conflict, match="build"):
        backend.driver.disks.detach(vm.external_id, "vdb", delete=True)
    with pytest.raises(Conflict, match="build"):
        backend.driver.disks.grow(vm.external_id, "vdb", 2)
    assert targets(backend, vm) == {"vda", "vdb"}
    backend.driver.disks.detach(vm.external_id, "vdb")
    backend.driver.volumes.delete(over.external_id)
    backend.driver.volumes.delete(base)


# -- growing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [True, False])
def test_a_disk_grows_in_every_format(backend: Backend, make_vm: MakeVm, start: bool) -> None:
    kinds: list[dict[str, Any]] = [{}, {"format": "raw"}, {"format": "raw", "thin": False}, {"thin": False}]
    vm = make_vm(disks=tuple(DiskSpec(size_gib=1, **kind) for kind in kinds), start=start)
    for each, kind in zip(vm.disks or (), kinds, strict=True):
        path = each.volume
        assert (Path(path).stat().st_blocks * 512 >= 1 << 30) is (not kind.get("thin", True))
        assert disk(backend.driver.disks.grow(vm.external_id, each.external_id, 2), each.external_id).size_gib == 2.0
        assert size_of(path) == 2 << 30
        if start:
            assert in_qemu(vm)[path]["inserted"]["image"]["virtual-size"] == 2 << 30
        with pytest.raises(InvalidRequest) as caught:
            backend.driver.disks.grow(vm.external_id, each.external_id, 1)
        assert caught.value.field == "size_gib"
    with pytest.raises(NotFound):
        backend.driver.disks.grow(vm.external_id, "vdz", 9)


# -- media -------------------------------------------------------------------------------------------------------------


def test_a_medium_is_changed_while_the_vm_runs(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm(iso=backend.iso, start=True)
    assert backend.iso in in_qemu(vm)
    backend.driver.disks.set_iso(vm.external_id, None)
    assert backend.iso not in in_qemu(vm)
    assert document(backend, vm, "--inactive").xpath("devices/disk[@device='cdrom']/source") == []
    after = backend.driver.disks.set_iso(vm.external_id, backend.iso)
    assert disk(after, "sda").volume == backend.iso
    assert in_qemu(vm)[backend.iso]["inserted"]["ro"] is True
    assert document(backend, vm, "--inactive").xpath("devices/disk[@device='cdrom']/source/@file") == [backend.iso]
    with pytest.raises(InvalidRequest) as caught:
        backend.driver.disks.set_iso(vm.external_id, backend.image)
    assert caught.value.field == "iso"


def test_a_vm_without_a_drive_gets_one(backend: Backend, make_vm: MakeVm) -> None:
    running, stopped = make_vm(start=True), make_vm()
    assert backend.driver.disks.set_iso(running.external_id, None).disks == running.disks
    for vm, bus in ((running, "scsi"), (stopped, "sata")):
        drive = disk(backend.driver.disks.set_iso(vm.external_id, backend.iso), "sda")
        assert (drive.volume, drive.bus, drive.device) == (backend.iso, bus, "cdrom")
        assert targets(backend, vm, "--inactive") == {"vda", "sda"}
    assert backend.iso in in_qemu(running)
    backend.driver.disks.detach(running.external_id, "sda", delete=True)
    assert targets(backend, running) == targets(backend, running, "--inactive") == {"vda"}
    backend.driver.power.start(stopped.external_id)
    assert backend.iso in in_qemu(stopped)
    assert Path(backend.iso).exists()


def test_the_seed_is_no_drive_for_other_media(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm(cloud_init=CloudInit())
    seed = disk(vm, "sda").volume
    after = backend.driver.disks.set_iso(vm.external_id, backend.iso)
    assert (disk(after, "sda").volume, disk(after, "sdb").volume) == (seed, backend.iso)
    # The drive of an image goes without the image, the seed's own with the seed.
    backend.driver.disks.detach(vm.external_id, "sdb", delete=True)
    assert Path(backend.iso).exists()
    backend.driver.disks.detach(vm.external_id, "sda", delete=True)
    assert not Path(seed).exists()


# -- made beside the portal ------------------------------------------------------------------------------------------


def test_a_disk_of_the_next_start_is_nobody_elses(backend: Backend, make_vm: MakeVm, make_volume: MakeVolume) -> None:
    vm, other, volume = make_vm(start=True), make_vm(), make_volume(format="raw")
    command = ["virsh", "-q", "-c", "qemu:///system", "attach-disk", vm.external_id, volume.path, "vdb", "--config"]
    subprocess.run(command, check=True, capture_output=True)
    backend.driver.machines.get(vm.external_id)
    assert targets(backend, vm) == {"vda"}
    assert backend.driver.volumes.get(volume.external_id).used_by == (vm.external_id,)
    with pytest.raises(Conflict):
        backend.driver.volumes.delete(volume.external_id)
    with pytest.raises(Conflict):
        backend.driver.disks.attach(other.external_id, DiskSpec(volume=volume.external_id))
    # It can be taken out again without a word to the guest.
    backend.driver.disks.detach(vm.external_id, "vdb")
    assert targets(backend, vm, "--inactive") == {"vda"}


def test_a_disk_named_by_its_pool_is_known_by_its_place(
    backend: Backend, make_vm: MakeVm, make_volume: MakeVolume
) -> None:
    vm, volume = make_vm(), make_volume()
    element = f"""<disk type="volume" device="disk"><driver name="qemu" type="qcow2"/>
      <source pool="{backend.name}" volume="{volume.name}"/><target dev="vdb" bus="virtio"/></disk>"""
    backend.raw.lookupByUUIDString(vm.external_id).attachDeviceFlags(element, 2)
    seen = disk(backend.driver.machines.get(vm.external_id), "vdb")
    assert (seen.volume, seen.pool, seen.size_gib) == (volume.path, backend.name, 1.0)
    assert backend.driver.volumes.get(volume.external_id).used_by == (vm.external_id,)
    with pytest.raises(Conflict):
        backend.driver.volumes.delete(volume.external_id)
    assert disk(backend.driver.disks.grow(vm.external_id, "vdb", 2), "vdb").size_gib == 2.0
    backend.driver.disks.detach(vm.external_id, "vdb", delete=True)
    assert not Path(volume.path).exists()


def test_what_a_stopped_vm_was_given_without_an_event_is_not_taken_from_it(
    backend: Backend, make_vm: MakeVm, make_volume: MakeVolume, volumes: Names
) -> None:
    vm, giver, volume = make_vm(), make_vm(disks=(DiskSpec(size_gib=1, shareable=True),)), make_volume(format="raw")
    own = disk(giver, "vda").volume
    backend.driver.machines.list()
    for path, target in ((volume.path, "vdb"), (own, "vdc")):
        command = ["virsh", "-q", "-c", "qemu:///system", "attach-disk", vm.external_id, path, target, "--config"]
        subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(Conflict):
        backend.driver.volumes.delete(volume.external_id)
    with pytest.raises(Conflict):
        backend.driver.disks.detach(giver.external_id, "vda", delete=True)
    backend.driver.machines.delete(giver.external_id)
    assert {Path(own).name, volume.name} <= volumes()
    backend.driver.machines.delete(vm.external_id)
    backend.driver.volumes.delete(own)


def test_a_layer_that_somebody_made_by_hand_keeps_what_is_below_it(backend: Backend, make_volume: MakeVolume) -> None:
    volume, layer = make_volume(), backend.folder / "pool" / f"{backend.name}-by-hand.qcow2"
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", volume.path, str(layer)]
    subprocess.run(command, check=True)
    with pytest.raises(Conflict):
        backend.driver.volumes.delete(volume.external_id)
    backend.driver.volumes.delete(str(layer))


# -- moving ------------------------------------------------------------------------------------------------------------


def test_a_disk_moves_with_its_content_and_everything_around_it_stays(
    backend: Backend, make_vm: MakeVm, volumes: Names
) -> None:
    pool = backend.driver.pools.create(PoolSpec(name=f"{backend.name}-new", path=str(backend.folder / "new home")))
    try:
        vm = make_vm(disks=(DiskSpec(image=backend.image, size_gib=1, cache="none"), DiskSpec(size_gib=1)))
        old = disk(vm, "vda").volume
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 64k", old], check=True, capture_output=True)
        kept = backend.folder / "as it was.raw"
        subprocess.run(["qemu-img", "convert", "-O", "raw", old, str(kept)], check=True)
        before = document(backend, vm)
        story = Story()
        moved = disk(backend.driver.disks.move(vm.external_id, "vda", pool.external_id, story), "vda")
        assert (moved.pool, Path(moved.volume).parent, moved.boot, moved.cache) == (
            pool.external_id,
            backend.folder / "new home",
            True,
            "none",
        )
        assert story.percents[-1] == 100
        # It stands alone, reads the same, and the old one is gone.
        info = subprocess.run(["qemu-img", "info", moved.volume], check=True, capture_output=True, text=True).stdout
        assert "backing" not in info
        compared = subprocess.run(["qemu-img", "compare", moved.volume, str(kept)], capture_output=True, text=True)
        assert compared.returncode == 0, compared.stdout
        assert Path(old).name not in volumes()
        after = document(backend, vm)
        owned = "metadata//*[local-name()='volume']/text()"
        assert [moved.volume if each == old else each for each in sorted(before.xpath(owned))] == sorted(
            after.xpath(owned), key=lambda each: old if each == moved.volume else each
        )
        for each in (before, after):
            each.find("devices/disk/source").set("file", "")
            each.remove(each.find("metadata"))
        assert etree.tostring(after, method="c14n") == etree.tostring(before, method="c14n")
        backend.driver.power.start(vm.external_id)
        assert moved.volume in in_qemu(vm)
        backend.driver.machines.delete(vm.external_id)
        assert list((backend.folder / "new home").iterdir()) == []
    finally:
        backend.driver.pools.delete(pool.external_id, with_volumes=True)


def test_a_move_that_cannot_be_leaves_all_as_it_was(
    backend: Backend, make_vm: MakeVm, make_volume: MakeVolume, volumes: Names
) -> None:
    pool = backend.driver.pools.create(PoolSpec(name=f"{backend.name}-no", path=str(backend.folder / "no")))
    try:
        vm, shared = make_vm(), make_volume(format="raw")
        for each in (vm, make_vm()):
            backend.driver.disks.attach(each.external_id, DiskSpec(volume=shared.external_id, shareable=True))
        over = make_volume(image=disk(vm, "vda").volume)
        owned = "metadata//*[local-name()='volume']/text()"
        before, told = volumes(), document(backend, vm)
        for target in ("vda", "vdb"):
            with pytest.raises(Conflict):
                backend.driver.disks.move(vm.external_id, target, pool.external_id)
        backend.driver.volumes.delete(over.external_id)
        refusing = mock.patch.object(storage, "source_of", side_effect=Conflict("No."))
        with refusing, pytest.raises(Conflict):
            backend.driver.disks.move(vm.external_id, "vda", pool.external_id)
        assert volumes() == before - {over.name}
        after = document(backend, vm)
        assert after.xpath(owned) == told.xpath(owned)
        assert etree.tostring(after.find("devices")) == etree.tostring(told.find("devices"))
        assert list((backend.folder / "no").iterdir()) == []
    finally:
        backend.driver.pools.delete(pool.external_id)
