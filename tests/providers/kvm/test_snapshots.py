"""Snapshots of both sorts in one tree: going back to them, deleting them, and what else they must not break."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from providers.base import (
    AlreadyExists,
    Conflict,
    DiskSpec,
    InvalidRequest,
    NicSpec,
    PowerState,
    ProviderError,
    VmRecord,
)
from providers.kvm.layers import Layers, layer_target
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.storage import wait_for
from providers.kvm.testing import URI, Backend, first_disk, mark_disk, read_mark
from providers.kvm.tidying import Tidying
from tests.providers.kvm.conftest import MakeVm

pytestmark = pytest.mark.live

Names = Callable[[], set[str]]


def now(backend: Backend, vm: VmRecord) -> VmRecord:
    return backend.driver.machines.get(vm.external_id)


def write(backend: Backend, vm: VmRecord, text: str) -> None:
    mark_disk(backend.driver, now(backend, vm), text)


def content(backend: Backend, vm: VmRecord) -> str:
    return read_mark(backend.driver, vm)


def tree(backend: Backend, vm: VmRecord) -> dict[str, str | None]:
    return {each.name: each.parent for each in backend.driver.snapshots.list(vm.external_id)}


def snap(backend: Backend, vm: VmRecord, name: str, *, external: bool = False) -> None:
    backend.driver.snapshots.create(vm.external_id, name, external=external)


def layers(names: set[str]) -> set[str]:
    return {name for name in names if layer_target(name)}


@pytest.mark.parametrize("format_", ["qcow2", "raw"])
def test_an_external_snapshot_is_gone_back_to_and_merged(
    backend: Backend, make_vm: MakeVm, volumes: Names, format_: str
) -> None:
    before = volumes()
    vm = make_vm(disks=(DiskSpec(size_gib=1, format=format_, pool=backend.name),))
    own = volumes() - before
    write(backend, vm, "then")
    made = backend.driver.snapshots.create(vm.external_id, "then", description="<of> & old", external=True)
    assert (made.is_external, made.has_memory, made.is_current) == (True, False, True)
    assert made.description == "<of> & old"
    assert made.size_bytes
    write(backend, vm, "later")
    assert content(backend, vm) == "later"
    backend.driver.snapshots.revert(vm.external_id, "then")
    assert content(backend, vm) == "then"
    assert len(layers(volumes())) == 1, "The layer that was left is removed."
    write(backend, vm, "anew")
    backend.driver.snapshots.delete(vm.external_id, "then")
    after = now(backend, vm)
    assert content(backend, vm) == "anew"
    assert (after.snapshots, after.power) == ((), PowerState.STOPPED)
    assert volumes() - before == own, "All is one file again."
    assert first_disk(after).format == format_


def test_a_running_vm_keeps_its_disks_and_merges_while_it_runs(
    backend: Backend, make_vm: MakeVm, volumes: Names
) -> None:
    before = volumes()
    vm = make_vm(start=True)
    own = volumes() - before
    made = backend.driver.snapshots.create(vm.external_id, "disks")
    assert (made.is_external, made.power) == (True, PowerState.STOPPED)
    snap(backend, vm, "more", external=True)
    backend.driver.snapshots.delete(vm.external_id, "disks")
    backend.driver.snapshots.delete(vm.external_id, "more")
    assert now(backend, vm).power is PowerState.RUNNING
    assert volumes() - before == own


def test_memory_comes_back_paused_as_it_was(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm(start=True)
    backend.driver.power.pause(vm.external_id)
    made = backend.driver.snapshots.create(vm.external_id, "frozen", memory=True)
    assert (made.has_memory, made.is_external, made.power) == (True, False, PowerState.PAUSED)
    assert (made.size_bytes or 0) > 10_000, "The memory that was written."
    backend.driver.power.stop(vm.external_id, force=True)
    assert backend.driver.snapshots.revert(vm.external_id, "frozen").power is PowerState.PAUSED


def test_branches_live_on_when_what_they_share_is_deleted(backend: Backend, make_vm: MakeVm, volumes: Names) -> None:
    before = volumes()
    vm = make_vm()
    own = volumes() - before
    snapshots = backend.driver.snapshots
    for name in ("root", "left"):
        write(backend, vm, name)
        snap(backend, vm, name, external=True)
    snapshots.revert(vm.external_id, "root")
    write(backend, vm, "right")
    snap(backend, vm, "right", external=True)
    assert tree(backend, vm) == {"root": None, "left": "root", "right": "root"}
    snapshots.delete(vm.external_id, "root")
    assert tree(backend, vm) == {"left": None, "right": None}
    snapshots.revert(vm.external_id, "left")
    assert content(backend, vm) == "left"
    snapshots.revert(vm.external_id, "right")
    assert content(backend, vm) == "right"
    snapshots.delete(vm.external_id, "left")
    assert content(backend, vm) == "right"
    snapshots.revert(vm.external_id, "right")
    assert content(backend, vm) == "right"
    snapshots.delete(vm.external_id, "right")
    assert content(backend, vm) == "right"
    assert volumes() - before == own


def test_a_middle_one_is_merged_and_the_others_stay_true(backend: Backend, make_vm: MakeVm, volumes: Names) -> None:
    vm = make_vm()
    for name in ("first", "second", "third"):
        write(backend, vm, name)
        snap(backend, vm, name, external=True)
    write(backend, vm, "now")
    count = len(volumes())
    backend.driver.snapshots.delete(vm.external_id, "second")
    assert len(volumes()) == count - 1
    assert content(backend, vm) == "now"
    for name in ("third", "first"):
        backend.driver.snapshots.revert(vm.external_id, name)
        assert content(backend, vm) == name


def test_snapshots_inside_a_disk_are_kept_from_changing_below_a_layer(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm()
    write(backend, vm, "inside")
    snap(backend, vm, "inside")
    write(backend, vm, "outside")
    snap(backend, vm, "outside", external=True)
    snapshots = backend.driver.snapshots
    with pytest.raises(Conflict, match="delete the external snapshots"):
        snapshots.revert(vm.external_id, "inside")
    with pytest.raises(Conflict, match="delete those first"):
        snapshots.delete(vm.external_id, "inside")
    assert tree(backend, vm) == {"inside": None, "outside": "inside"}
    assert content(backend, vm) == "outside"
    snapshots.delete(vm.external_id, "outside")
    snapshots.revert(vm.external_id, "inside")
    assert content(backend, vm) == "inside"


def test_one_inside_a_layer_is_found_again_after_the_layer_was_left(
    backend: Backend, make_vm: MakeVm, volumes: Names
) -> None:
    before = volumes()
    vm = make_vm()
    own = volumes() - before
    write(backend, vm, "base")
    snap(backend, vm, "base", external=True)
    write(backend, vm, "inside")
    snap(backend, vm, "inside")
    snapshots = backend.driver.snapshots
    snapshots.revert(vm.external_id, "base")
    assert content(backend, vm) == "base"
    snapshots.revert(vm.external_id, "inside")
    assert content(backend, vm) == "inside"
    snapshots.delete(vm.external_id, "base")
    snapshots.revert(vm.external_id, "inside")
    assert content(backend, vm) == "inside", "It lives inside the layer, so that stays."
    snapshots.revert(vm.external_id, "inside")
    snapshots.delete(vm.external_id, "inside")
    snap(backend, vm, "last", external=True)
    snapshots.delete(vm.external_id, "last")
    assert content(backend, vm) == "inside"
    assert volumes() - before == own


def test_a_name_is_free_text(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm()
    names = ["a&b<c>\"'", '-c "$(x)" \\', "Müller’s 3rd – 50 %"]
    for name in names:
        snap(backend, vm, name)
        with pytest.raises(AlreadyExists):
            snap(backend, vm, name)
        backend.driver.snapshots.revert(vm.external_id, name)
    assert [each.name for each in now(backend, vm).snapshots or ()] == names
    for name in names:
        backend.driver.snapshots.delete(vm.external_id, name)
    snap(backend, vm, names[0], external=True)
    backend.driver.snapshots.revert(vm.external_id, names[0])
    backend.driver.snapshots.delete(vm.external_id, names[0])
    assert tree(backend, vm) == {}


def test_a_name_that_no_file_can_have_is_refused(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm()
    for name in ("", " x", "a/b", ".hidden", "a\nb", "x" * 300):
        with pytest.raises(InvalidRequest) as caught:
            snap(backend, vm, name)
        assert caught.value.field == "name"


def test_what_cannot_be_kept_inside_says_what_to_do(backend: Backend, make_vm: MakeVm) -> None:
    raw = make_vm(disks=(DiskSpec(size_gib=1, format="raw", pool=backend.name),))
    with pytest.raises(Conflict, match=r"vda is raw.*external"):
        snap(backend, raw, "inside")
    uefi = make_vm(firmware="uefi")
    with pytest.raises(Conflict, match=r"UEFI.*external"):
        snap(backend, uefi, "inside")
    snap(backend, uefi, "layer", external=True)
    backend.driver.snapshots.revert(uefi.external_id, "layer")
    backend.driver.snapshots.delete(uefi.external_id, "layer")
    bare = make_vm(disks=())
    for external in (False, True):
        with pytest.raises(Conflict, match="no disk"):
            snap(backend, bare, "nothing", external=external)


def test_names_notes_and_cards_of_a_renamed_vm_survive_going_back(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm(description="before", metadata={"team": "a"})
    driver = backend.driver
    snap(backend, vm, "inside")
    driver.reshape.rename(vm.external_id, f"{vm.name}-renamed")
    driver.reshape.set_description(vm.external_id, "after")
    driver.reshape.set_metadata(vm.external_id, "team", "b")
    driver.snapshots.revert(vm.external_id, "inside")
    snap(backend, vm, "layer", external=True)
    driver.reshape.rename(vm.external_id, f"{vm.name}-again")
    driver.snapshots.revert(vm.external_id, "layer")
    after = now(backend, vm)
    assert (after.name, after.description, after.metadata) == (f"{vm.name}-again", "after", {"team": "b"})
    assert after.portal_uuid == vm.portal_uuid
    assert [nic.mac for nic in after.nics or ()] == [nic.mac for nic in vm.nics or ()]


def test_deleting_the_vm_needs_a_word_and_takes_every_layer(backend: Backend, make_vm: MakeVm, volumes: Names) -> None:
    before = volumes()
    vm = make_vm()
    for name, external in (("one", True), ("two", False), ("three", True)):
        snap(backend, vm, name, external=external)
    backend.driver.snapshots.revert(vm.external_id, "one")
    with pytest.raises(Conflict, match="snapshots"):
        backend.driver.machines.delete(vm.external_id)
    backend.driver.machines.delete(vm.external_id, with_snapshots=True)
    assert volumes() == before


def test_a_stranger_vms_disk_stays_with_the_layer_that_holds_its_present(
    backend: Backend, make_vm: MakeVm, volumes: Names
) -> None:
    """A VM made elsewhere is deleted without its disks, and what was written since is in the layer."""
    vm = make_vm()
    domain = backend.raw.lookupByUUIDString(vm.external_id)
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, None, "kvweb", "urn:kvweb:vm:1", 2)
    snap(backend, vm, "layer", external=True)
    held = first_disk(now(backend, vm)).volume
    backend.driver.machines.delete(vm.external_id, with_snapshots=True)
    assert Path(held).name in volumes()
    assert Path(first_disk(vm).volume).name in volumes()
    for path in (held, first_disk(vm).volume):
        backend.raw.storageVolLookupByPath(path).delete(0)


def test_a_disk_grows_with_snapshots_of_both_sorts(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm()
    write(backend, vm, "small")
    snap(backend, vm, "inside")
    grown = backend.driver.disks.grow(vm.external_id, "vda", 1)
    assert first_disk(grown).size_gib == 1
    snap(backend, vm, "outside", external=True)
    backend.driver.disks.grow(vm.external_id, "vda", 2)
    after = backend.driver.snapshots.revert(vm.external_id, "outside")
    assert first_disk(after).size_gib == 1
    backend.driver.snapshots.delete(vm.external_id, "outside")
    after = backend.driver.snapshots.revert(vm.external_id, "inside")
    assert first_disk(after).size_gib < 1
    assert content(backend, vm) == "small"


def test_a_disk_of_the_old_format_that_cannot_grow_says_so(backend: Backend, make_vm: MakeVm) -> None:
    document = f"<volume><name>{backend.name}-old.qcow2</name><capacity unit='M'>8</capacity>"
    volume = backend.pool.createXML(f"{document}<target><format type='qcow2'/></target></volume>", 0)
    vm = make_vm(disks=(DiskSpec(volume=volume.key()),))
    snap(backend, vm, "inside")
    with pytest.raises(Conflict, match="cannot grow with snapshots"):
        backend.driver.disks.grow(vm.external_id, "vda", 1)
    backend.driver.machines.delete(vm.external_id, with_snapshots=True)
    volume.delete(0)


def test_a_volume_that_a_snapshot_leads_to_is_not_deleted(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm(disks=(DiskSpec(image=backend.image), DiskSpec(size_gib=1)))
    snap(backend, vm, "both")
    gone = backend.driver.disks.detach(vm.external_id, "vdb")
    assert [disk.external_id for disk in gone.disks or ()] == ["vda"]
    path = (vm.disks or ())[1].volume
    with pytest.raises(Conflict, match="snapshot"):
        backend.driver.volumes.delete(path)
    after = backend.driver.snapshots.revert(vm.external_id, "both")
    assert [disk.external_id for disk in after.disks or ()] == ["vda", "vdb"]
    backend.driver.machines.delete(vm.external_id, with_snapshots=True)
    assert not Path(path).exists(), "It is the VM's own disk again."


# -- dying in the middle ------------------------------------------------------------------------------------------


def test_a_snapshot_that_fails_leaves_nothing(backend: Backend, make_vm: MakeVm, volumes: Names) -> None:
    vm = make_vm()
    names = volumes()
    with (
        mock.patch("providers.kvm.snapshots.snapshot_document", return_value="<domainsnapshot><disks><disk/></disks>"),
        pytest.raises(ProviderError),
    ):
        snap(backend, vm, "layer", external=True)
    assert volumes() == names
    assert tree(backend, vm) == {}


def test_layers_of_a_worker_that_died_go_with_the_next_step_or_with_the_vm(
    backend: Backend, make_vm: MakeVm, volumes: Names
) -> None:
    before = volumes()
    vm = make_vm()
    names = volumes()
    domain = backend.raw.lookupByUUIDString(vm.external_id)
    with mock.patch.object(Layers, "remove"), mock.patch("providers.kvm.snapshots.snapshot_document") as document:
        document.side_effect = KeyboardInterrupt
        with pytest.raises(KeyboardInterrupt):
            snap(backend, vm, "layer", external=True)
    assert len(volumes() - names) == 1, "It died with its layer made."
    Tidying(backend.driver.connection, backend.config).drop(domain)
    assert volumes() == names
    with mock.patch.object(Layers, "remove"), mock.patch("providers.kvm.snapshots.snapshot_document") as document:
        document.side_effect = KeyboardInterrupt
        with pytest.raises(KeyboardInterrupt):
            snap(backend, vm, "layer", external=True)
    backend.driver.machines.delete(vm.external_id)
    assert volumes() == before


def test_a_merge_that_died_is_made_up_for_by_the_next_deletion(
    backend: Backend, make_vm: MakeVm, volumes: Names
) -> None:
    before = volumes()
    vm = make_vm()
    own = volumes() - before
    for name in ("one", "two"):
        write(backend, vm, name)
        snap(backend, vm, name, external=True)
    write(backend, vm, "now")
    with mock.patch("providers.kvm.tidying._finished", side_effect=LibvirtError("the line is dead")):
        backend.driver.snapshots.delete(vm.external_id, "one")
    assert tree(backend, vm) == {"two": None}
    assert len(layers(volumes())) == 2, "Its room is not given back yet."
    assert now(backend, vm).power is PowerState.STOPPED
    backend.driver.snapshots.revert(vm.external_id, "two")
    assert content(backend, vm) == "two"
    backend.driver.snapshots.delete(vm.external_id, "two")
    assert content(backend, vm) == "two"
    assert volumes() - before == own


def test_a_worker_that_is_killed_while_it_merges_leaves_the_vm_off_and_whole(
    backend: Backend, make_vm: MakeVm, volumes: Names
) -> None:
    before = volumes()
    vm = make_vm()
    own = volumes() - before
    write(backend, vm, "then")
    snap(backend, vm, "then", external=True)
    write(backend, vm, "now")
    program = f"""
import os, signal
from unittest import mock
from providers.kvm.config import KvmConfig
from providers.kvm.driver import KvmDriver
driver = KvmDriver(KvmConfig(uri={URI!r}, pool={backend.name!r}))
with mock.patch("providers.kvm.tidying._finished", lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)):
    driver.snapshots.delete({vm.external_id!r}, "then")
"""
    worker = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[3], check=False)
    assert worker.returncode == -signal.SIGKILL
    assert wait_for(lambda: now(backend, vm).power is PowerState.STOPPED, 20), "libvirt ends what it had started."
    assert content(backend, vm) == "now"
    snap(backend, vm, "next", external=True)
    backend.driver.snapshots.delete(vm.external_id, "next")
    assert content(backend, vm) == "now"
    assert volumes() - before == own


def test_going_back_again_after_dying_before_the_end(backend: Backend, make_vm: MakeVm, volumes: Names) -> None:
    vm = make_vm(nics=(NicSpec(network=backend.network),))
    write(backend, vm, "then")
    snap(backend, vm, "then", external=True)
    write(backend, vm, "later")
    with mock.patch.object(Tidying, "drop", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        backend.driver.snapshots.revert(vm.external_id, "then")
    backend.driver.snapshots.revert(vm.external_id, "then")
    assert content(backend, vm) == "then"
    assert len(layers(volumes())) == 1


def test_a_guest_cannot_name_a_file_of_the_host_as_what_its_raw_disk_builds_on(
    backend: Backend, make_vm: MakeVm
) -> None:
    vm = make_vm(disks=(DiskSpec(size_gib=1, format="raw", pool=backend.name),))
    path = Path(first_disk(vm).volume)
    header = Path(backend.image).read_bytes()[:512]
    with path.open("r+b") as file:
        file.write(header)
    backend.pool.refresh(0)
    snap(backend, vm, "layer", external=True)
    layer = backend.raw.storageVolLookupByPath(first_disk(now(backend, vm)).volume)
    assert "<format type='raw'/>" in layer.XMLDesc(0).split("<backingStore>")[1]
