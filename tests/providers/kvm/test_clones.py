"""Clones share nothing that either of two VMs could change, and an export stands alone."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
import yaml

from providers.base import (
    AlreadyExists,
    Cancelled,
    CloudInit,
    Conflict,
    DiskSpec,
    NicSpec,
    PowerState,
    ProviderError,
    VmRecord,
)
from providers.guest.seed import read_seed
from providers.kvm.layers import layer_target
from providers.kvm.testing import Backend, download, first_disk, mark_disk, read_mark
from providers.testing.checks import Recorder
from tests.providers.kvm.conftest import MakeVm

pytestmark = pytest.mark.live

Names = Callable[[], set[str]]
Clone = Callable[..., VmRecord]

NVRAM = Path("/var/lib/libvirt/qemu/nvram")


@pytest.fixture
def clone(backend: Backend) -> Iterator[Clone]:
    """Clones a VM; the clones are deleted with the test, before what they were made of."""
    made: list[str] = []

    def make(vm: VmRecord, **values: object) -> VmRecord:
        name = f"{backend.name}-{uuid.uuid4().hex[:6]}"
        arguments = {"portal_uuid": str(uuid.uuid4()), **values}
        record = backend.driver.clones.clone(vm.external_id, name, **arguments)  # type: ignore[arg-type]
        made.append(record.external_id)
        return record

    yield make
    here = {record.external_id for record in backend.driver.machines.list()}
    for external_id in made:
        if external_id in here:
            backend.driver.machines.delete(external_id, with_snapshots=True)


def write(backend: Backend, vm: VmRecord, text: str) -> None:
    mark_disk(backend.driver, backend.driver.machines.get(vm.external_id), text)


def content(backend: Backend, vm: VmRecord) -> str:
    return read_mark(backend.driver, vm)


def depth(path: str) -> int:
    """How many files a disk consists of."""
    command = ["qemu-img", "info", "-U", "--backing-chain", path]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return sum(line.startswith("file format:") for line in told.splitlines())


def test_linked_clones_and_their_original_change_apart(
    backend: Backend, make_vm: MakeVm, clone: Clone, volumes: Names
) -> None:
    vm = make_vm()
    write(backend, vm, "common")
    first = clone(vm)
    second = clone(vm)
    assert len([name for name in volumes() if layer_target(name)]) == 1, "The original's layer is still empty."
    assert depth(first_disk(first).volume) == depth(first_disk(second).volume) == 3
    for each, text in ((vm, "original"), (first, "first")):
        write(backend, each, text)
    assert [content(backend, each) for each in (vm, first, second)] == ["original", "first", "common"]
    third = clone(vm)
    assert content(backend, third) == "original"
    backend.driver.power.start(vm.external_id)
    assert content(backend, first) == "first"


@pytest.mark.parametrize("original_first", [True, False])
def test_the_last_of_them_takes_what_they_share(
    backend: Backend, make_vm: MakeVm, clone: Clone, volumes: Names, original_first: bool
) -> None:
    before = volumes()
    vm = make_vm(nics=())
    write(backend, vm, "common")
    other = clone(vm)
    grandchild = clone(other)
    order = [vm, other, grandchild] if original_first else [grandchild, other, vm]
    for number, each in enumerate(order):
        backend.driver.machines.delete(each.external_id)
        for rest in order[number + 1 :]:
            assert content(backend, rest) == "common"
    assert volumes() == before


@pytest.mark.parametrize("format_", ["qcow2", "raw"])
def test_a_full_clone_stands_alone(
    backend: Backend, make_vm: MakeVm, clone: Clone, volumes: Names, format_: str
) -> None:
    before = volumes()
    vm = make_vm(
        disks=(DiskSpec(size_gib=1, format=format_, pool=backend.name),), description="a & b", metadata={"k": "v"}
    )
    write(backend, vm, "below")
    backend.driver.snapshots.create(vm.external_id, "layer", external=True)
    write(backend, vm, "above")
    story = Recorder()
    made = clone(vm, full=True, progress=story)
    assert (made.description, made.metadata, made.snapshots) == ("a & b", {"k": "v"}, ())
    assert made.autostart is False
    assert depth(first_disk(made).volume) == 1
    assert "Copying the disks" in story.sentences
    backend.driver.machines.delete(vm.external_id, with_snapshots=True)
    assert content(backend, made) == "above"
    backend.driver.machines.delete(made.external_id)
    assert volumes() == before


def test_who_a_clone_is(backend: Backend, make_vm: MakeVm, clone: Clone) -> None:
    wish = CloudInit(hostname="old-name", domain="example.test", commands=("echo hello",))
    nics = (
        NicSpec(network=backend.network, address="192.0.2.7/24", gateway="192.0.2.1"),
        NicSpec(network=backend.network),
    )
    vm = make_vm(cloud_init=wish, nics=nics)
    made = clone(vm)
    assert made.external_id == made.portal_uuid != vm.external_id
    old, new = ([nic.mac for nic in each.nics or ()] for each in (vm, made))
    assert len({*old, *new}) == 4
    seed = next(disk.volume for disk in made.disks or () if disk.read_only)
    texts = read_seed(download(backend.raw, backend.raw.storageVolLookupByPath(seed)))
    assert texts is not None
    assert yaml.safe_load(texts.meta_data) == {"instance-id": made.portal_uuid, "local-hostname": made.name}
    user = yaml.safe_load(texts.user_data)
    assert (user["hostname"], user["fqdn"]) == (made.name, f"{made.name}.example.test")
    assert user["runcmd"] == ["echo hello"]
    cards = yaml.safe_load(texts.network_config)["ethernets"]
    assert [card["match"]["macaddress"] for card in cards.values()] == new
    assert "192.0.2.7" not in texts.network_config
    document = backend.raw.lookupByUUIDString(made.external_id).XMLDesc(0)
    assert vm.name not in document.split("</metadata>")[1].replace(first_disk(vm).volume, "")
    assert vm.external_id not in document.split("<devices>")[0]


def test_asking_twice_makes_one(backend: Backend, make_vm: MakeVm, clone: Clone) -> None:
    vm = make_vm()
    portal_uuid = str(uuid.uuid4())
    first = clone(vm, portal_uuid=portal_uuid)
    again = backend.driver.clones.clone(vm.external_id, "another-name", start=True, portal_uuid=portal_uuid)
    assert (again.external_id, again.name, again.power) == (first.external_id, first.name, PowerState.RUNNING)


def test_uefi_variables_go_along(backend: Backend, make_vm: MakeVm, clone: Clone) -> None:
    vm = make_vm(firmware="uefi", memory_mib=64, start=True)
    backend.driver.power.stop(vm.external_id, force=True)
    variables = NVRAM / f"{vm.name}_VARS.fd"
    changed = variables.read_bytes()[:-8] + b"changed!"
    variables.write_bytes(changed)
    made = clone(vm, full=True)
    its = NVRAM / f"{made.name}_VARS.fd"
    assert its.read_bytes() == changed
    backend.driver.power.start(made.external_id)
    renamed = backend.driver.reshape.rename(vm.external_id, f"{vm.name}-renamed")
    moved = NVRAM / f"{renamed.name}_VARS.fd"
    assert moved.read_bytes() == changed
    assert not variables.exists(), "A new VM of the old name would find it."
    for each, path in ((made, its), (renamed, moved)):
        backend.driver.machines.delete(each.external_id)
        assert not path.exists()


def test_what_cannot_be_cloned_says_why(backend: Backend, make_vm: MakeVm, clone: Clone) -> None:
    vm = make_vm(start=True)
    for full in (True, False):
        with pytest.raises(Conflict, match="Stop the VM first"):
            clone(vm, full=full)
    with pytest.raises(Conflict, match="Stop the VM first"):
        backend.driver.clones.export(vm.external_id, f"{backend.name}-image")
    backend.driver.power.stop(vm.external_id, force=True)
    backend.driver.snapshots.create(vm.external_id, "inside")
    with pytest.raises(Conflict, match="full clone"):
        clone(vm)
    assert clone(vm, full=True).snapshots == ()


def test_a_disk_that_vms_share_on_purpose_is_shared_with_the_clone(
    backend: Backend, make_vm: MakeVm, clone: Clone
) -> None:
    shared = backend.pool.createXML(
        f"<volume><name>{backend.name}-shared.raw</name><capacity>1048576</capacity></volume>", 0
    )
    try:
        vm = make_vm(disks=(DiskSpec(image=backend.image), DiskSpec(volume=shared.key(), shareable=True)))
        made = clone(vm)
        assert [disk.volume for disk in made.disks or ()][1] == shared.path()
        for each in (made, vm):
            backend.driver.machines.delete(each.external_id)
    finally:
        shared.delete(0)


# -- failing and dying --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("full", [True, False])
def test_a_clone_that_fails_leaves_nothing(
    backend: Backend, make_vm: MakeVm, clone: Clone, volumes: Names, full: bool
) -> None:
    vm = make_vm(cloud_init=CloudInit())
    names, disk = volumes(), first_disk(vm).volume
    with (
        mock.patch("providers.kvm.cloning.of_copy", return_value="<domain type='none'/>"),
        pytest.raises(ProviderError),
    ):
        clone(vm, full=full)
    assert volumes() == names
    assert first_disk(backend.driver.machines.get(vm.external_id)).volume == disk
    with pytest.raises(Cancelled):
        clone(vm, full=full, progress=Recorder(stop_at=2))
    assert volumes() == names


def test_a_clone_that_died_is_discarded_and_its_original_unharmed(
    backend: Backend, make_vm: MakeVm, clone: Clone, volumes: Names
) -> None:
    before = volumes()
    vm = make_vm(cloud_init=CloudInit())
    write(backend, vm, "common")
    portal_uuid = str(uuid.uuid4())
    with (
        mock.patch("providers.kvm.cloning.of_copy", side_effect=KeyboardInterrupt),
        mock.patch("providers.kvm.cloning.ExitStack.__exit__", return_value=None),
        pytest.raises(KeyboardInterrupt),
    ):
        clone(vm, portal_uuid=portal_uuid)
    assert backend.driver.machines.discard(portal_uuid) is True
    assert backend.driver.machines.discard(portal_uuid) is False
    assert content(backend, vm) == "common"
    made = clone(vm, portal_uuid=portal_uuid)
    assert content(backend, made) == "common"
    assert depth(first_disk(made).volume) == 3, "The layer that the dead run put over the original is empty yet."
    for each in (made, vm):
        backend.driver.machines.delete(each.external_id)
    assert volumes() == before


# -- exports ------------------------------------------------------------------------------------------------------


def test_an_export_holds_all_and_stands_alone(backend: Backend, make_vm: MakeVm) -> None:
    vm = make_vm()
    write(backend, vm, "exported")
    name = f"{backend.name} export.qcow2"
    image = backend.driver.clones.export(vm.external_id, name)
    try:
        assert (image.name, image.format, image.pool) == (name, "qcow2", backend.name)
        assert depth(image.path) == 1
        with pytest.raises(AlreadyExists):
            backend.driver.clones.export(vm.external_id, name)
        made = make_vm(disks=(DiskSpec(image=image.external_id),))
        assert content(backend, made) == "exported"
        backend.driver.machines.delete(made.external_id)
    finally:
        backend.driver.images.delete(image.external_id)


def test_a_guest_cannot_have_a_file_of_the_host_copied(
    backend: Backend, make_vm: MakeVm, volumes: Names, tmp_path: Path
) -> None:
    vm = make_vm(disks=(DiskSpec(size_gib=1, format="raw", pool=backend.name),))
    disk = first_disk(vm).volume
    trap = tmp_path / "trap.qcow2"
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", backend.image, "-F", "qcow2", str(trap), "1M"]
    subprocess.run(command, check=True)
    with Path(disk).open("r+b") as file:
        file.write(trap.read_bytes())
    names = volumes()
    backend.pool.refresh(0)
    name, driver = f"{backend.name}-trap", backend.driver
    takes: list[Callable[[], object]] = [
        lambda: driver.clones.export(vm.external_id, name),
        lambda: driver.clones.clone(vm.external_id, name, full=True),
        lambda: driver.volumes.clone(disk, name),
    ]
    for take in takes:
        with pytest.raises(Conflict, match="looks like qcow2"):
            take()
    assert volumes() == names
