"""A VM moves between two hypervisors: two private libvirts on this machine that know nothing of each other."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from providers.base import (
    AlreadyExists,
    Cancelled,
    CloudInit,
    Conflict,
    DiskSpec,
    InvalidRequest,
    NotFound,
    PowerState,
    ProviderError,
    VmRecord,
    VmSpec,
)
from providers.fake.config import FakeConfig
from providers.fake.driver import FakeDriver
from providers.kvm.driver import KvmDriver
from providers.kvm.testing import first_disk, mark_disk, read_mark
from providers.kvm.xml.storage import pool_document
from providers.testing.checks import Recorder
from tests.providers.kvm.hosts import Host
from tests.providers.kvm.remote_host import Authority
from tools.trial.waiting import until

pytestmark = pytest.mark.live

MakeVm = Callable[..., VmRecord]


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    authority = Authority()
    with closing(Host(authority)) as one, closing(Host(authority)) as other:
        yield one, other


@pytest.fixture
def here(hosts: tuple[Host, Host]) -> Iterator[Host]:
    yield hosts[0]
    for host in hosts:
        host.clear()


@pytest.fixture
def there(hosts: tuple[Host, Host]) -> Host:
    return hosts[1]


@pytest.fixture
def make_vm(here: Host) -> MakeVm:
    def make(**values: Any) -> VmRecord:
        spec = {
            "name": f"kvweb-test-{uuid.uuid4().hex[:6]}",
            "portal_uuid": str(uuid.uuid4()),
            "memory_mib": 32,
            "disks": (DiskSpec(size_gib=1),),
            "nics": (),
            "start": False,
            "cloud_init": CloudInit(),
            **values,
        }
        return here.driver.machines.create(VmSpec.model_validate(spec))

    return make


def test_a_running_vm_moves_with_its_disks_and_goes_on_running(here: Host, there: Host, make_vm: MakeVm) -> None:
    vm = make_vm(description="a & b", metadata={"k": "v"}, autostart=True)
    mark_disk(here.driver, vm, "travels")
    here.driver.power.start(vm.external_id)
    story = Recorder()
    moved = here.driver.migration.migrate(vm.external_id, there.driver, copy_storage=True, progress=story)
    assert (moved.external_id, moved.name, moved.power) == (vm.external_id, vm.name, PowerState.RUNNING)
    assert (moved.description, moved.metadata, moved.portal_uuid) == ("a & b", {"k": "v"}, vm.portal_uuid)
    assert moved.autostart is True
    assert story.percents[-1] == 100
    assert {Path(disk.volume).parent for disk in moved.disks or ()} == {there.images}
    assert (here.vms(), here.files()) == (set(), set())
    with pytest.raises(NotFound):
        here.driver.machines.get(vm.external_id)
    there.driver.power.stop(vm.external_id, force=True)
    assert read_mark(there.driver, moved) == "travels"
    there.driver.power.start(vm.external_id)
    there.driver.machines.delete(vm.external_id)
    assert there.files() == set()


def test_where_it_is_wanted_a_running_vm_moves_encrypted_or_not_at_all(
    here: Host, there: Host, make_vm: MakeVm
) -> None:
    """The target shows a certificate that nobody here trusts, and a line without encryption would not notice."""
    vm = make_vm(start=True)
    with closing(KvmDriver(there.driver.config.model_copy(update={"migration_tls": True}))) as strict:
        there.trust(Authority())
        try:
            with pytest.raises(Conflict, match="no encrypted line"):
                here.driver.migration.migrate(vm.external_id, strict, copy_storage=True)
            assert here.driver.machines.get(vm.external_id).power is PowerState.RUNNING
            assert (there.vms(), there.files()) == (set(), set())
        finally:
            there.trust(here.authority)
        moved = here.driver.migration.migrate(vm.external_id, strict, copy_storage=True)
    assert moved.power is PowerState.RUNNING
    assert here.vms() == set()


@pytest.mark.parametrize("format_", ["qcow2", "raw"])
def test_a_stopped_vm_moves_with_its_disks(here: Host, there: Host, make_vm: MakeVm, format_: str) -> None:
    vm = make_vm(disks=(DiskSpec(size_gib=1, format=format_),))
    mark_disk(here.driver, vm, "travels")
    moved = here.driver.migration.migrate(vm.external_id, there.driver, copy_storage=True)
    assert (moved.external_id, moved.power) == (vm.external_id, PowerState.STOPPED)
    assert read_mark(there.driver, moved) == "travels"
    assert moved.metadata == {}
    assert first_disk(moved).format == format_
    taken = Path(first_disk(moved).volume).stat().st_blocks * 512
    assert taken < 64 * 1024 * 1024, "Holes stay holes."
    assert (here.vms(), here.files()) == (set(), set())
    back = there.driver.migration.migrate(vm.external_id, here.driver, copy_storage=True)
    assert read_mark(here.driver, back) == "travels"
    assert (there.vms(), there.files()) == (set(), set())


def test_a_disk_that_builds_on_another_arrives_in_one_piece(here: Host, there: Host, make_vm: MakeVm) -> None:
    vm = make_vm()
    mark_disk(here.driver, vm, "base")
    clone = here.driver.clones.clone(vm.external_id, "kvweb-test-clone", portal_uuid=str(uuid.uuid4()))
    moved = here.driver.migration.migrate(clone.external_id, there.driver, copy_storage=True)
    assert read_mark(there.driver, moved) == "base"
    assert there.raw.storageVolLookupByPath(first_disk(moved).volume).XMLDesc(0).count("<backingStore>") == 0
    assert here.vms() == {vm.name}
    assert read_mark(here.driver, vm) == "base"
    here.driver.machines.delete(vm.external_id)
    assert here.files() == set()


@pytest.mark.parametrize("start", [False, True])
def test_storage_that_both_see_is_left_where_it_is(here: Host, there: Host, make_vm: MakeVm, start: bool) -> None:
    vm = make_vm()
    with pytest.raises(Conflict, match="does not see the disk vda"):
        here.driver.migration.migrate(vm.external_id, there.driver)
    if start:
        here.driver.power.start(vm.external_id)
    files = here.files()
    shared = there.raw.storagePoolCreateXML(pool_document(name="shared", type_="dir", path=str(here.images)), 0)
    try:
        moved = here.driver.migration.migrate(vm.external_id, there.driver)
        assert moved.power is (PowerState.RUNNING if start else PowerState.STOPPED)
        assert (here.vms(), here.files()) == (set(), files)
        assert first_disk(moved).volume == first_disk(vm).volume
        there.driver.machines.delete(vm.external_id)
        assert here.files() == set()
    finally:
        shared.destroy()


def test_what_cannot_move_says_why_and_stays(here: Host, there: Host, make_vm: MakeVm) -> None:
    vm = make_vm()
    migrate = here.driver.migration.migrate
    with FakeDriver(FakeConfig()) as fake, pytest.raises(InvalidRequest, match="same kind"):
        migrate(vm.external_id, fake)
    with pytest.raises(InvalidRequest, match="there already"):
        migrate(vm.external_id, here.driver)
    here.driver.snapshots.create(vm.external_id, "one")
    with pytest.raises(Conflict, match="snapshots"):
        migrate(vm.external_id, there.driver, copy_storage=True)
    here.driver.snapshots.delete(vm.external_id, "one")
    here.driver.power.start(vm.external_id)
    with pytest.raises(Conflict, match="Stop the VM first"):
        migrate(vm.external_id, there.driver, live=False, copy_storage=True)
    here.driver.power.stop(vm.external_id, force=True)
    there.driver.machines.create(VmSpec(name=vm.name, memory_mib=32, start=False))
    with pytest.raises(AlreadyExists):
        migrate(vm.external_id, there.driver, copy_storage=True)
    with pytest.raises(NotFound):
        migrate(str(uuid.uuid4()), there.driver)
    assert here.vms() == {vm.name}
    assert there.files() == set()


@pytest.mark.parametrize("start", [False, True])
def test_a_move_that_fails_or_is_cancelled_leaves_nothing_there(
    here: Host, there: Host, make_vm: MakeVm, start: bool
) -> None:
    vm = make_vm(start=start)
    power = PowerState.RUNNING if start else PowerState.STOPPED
    migrate = here.driver.migration.migrate
    with mock.patch("providers.kvm.trip.of_moved", return_value="<domain/>"), pytest.raises(ProviderError):
        migrate(vm.external_id, there.driver, copy_storage=True)
    for stop_at in (1, 2, 3):
        with pytest.raises(Cancelled):
            migrate(vm.external_id, there.driver, copy_storage=True, progress=Recorder(stop_at=stop_at))
        assert (there.vms(), there.files()) == (set(), set())
    assert here.driver.machines.get(vm.external_id).power is power


class Impatient(Recorder):
    """Asks to stop as soon as the memory or the disks of a running VM are on their way."""

    def checkpoint(self) -> None:
        if "Moving the running machine" in self.sentences:
            raise Cancelled


def test_a_live_move_is_broken_off_in_the_middle(here: Host, there: Host, make_vm: MakeVm) -> None:
    vm = make_vm()
    command = ["qemu-io", "-c", "write -P 7 0 256M", first_disk(vm).volume]
    subprocess.run(command, check=True, capture_output=True)
    here.driver.power.start(vm.external_id)
    here.raw.lookupByUUIDString(vm.external_id).migrateSetMaxSpeed(1)
    with pytest.raises(Cancelled):
        here.driver.migration.migrate(vm.external_id, there.driver, copy_storage=True, progress=Impatient())
    assert (there.vms(), there.files()) == (set(), set())
    assert here.driver.machines.get(vm.external_id).power is PowerState.RUNNING


@contextmanager
def with_peer(host: Host, uri: str) -> Iterator[KvmDriver]:
    """A host that tells others how to reach it."""
    with closing(KvmDriver(host.driver.config.model_copy(update={"peer_uri": uri}))) as driver:
        yield driver


def test_where_the_hosts_do_not_reach_each_other_the_portal_leads(
    here: Host, there: Host, make_vm: MakeVm, caplog: pytest.LogCaptureFixture
) -> None:
    vm = make_vm(start=True)
    with with_peer(there, "qemu+unix:///session?socket=/nowhere") as target:
        moved = here.driver.migration.migrate(vm.external_id, target, copy_storage=True)
    assert moved.power is PowerState.RUNNING
    assert "so the portal leads" in caplog.text
    assert (here.vms(), here.files(), there.vms()) == (set(), set(), {vm.name})


#: A worker of its own, which can be killed: libvirt's connections do not survive a fork.
WORKER = """
import sys
from providers.kvm.config import KvmConfig
from providers.kvm.driver import KvmDriver
here, there = (KvmDriver(KvmConfig.model_validate_json(one)) for one in sys.argv[2:])
here.migration.migrate(sys.argv[1], there, copy_storage=True)
"""


def test_a_move_from_host_to_host_goes_on_without_the_worker(here: Host, there: Host, make_vm: MakeVm) -> None:
    vm = make_vm(autostart=True)
    command = ["qemu-io", "-c", "write -P 7 0 48M", first_disk(vm).volume]
    subprocess.run(command, check=True, capture_output=True)
    mark_disk(here.driver, vm, "travels")
    here.driver.power.start(vm.external_id)
    here.raw.lookupByUUIDString(vm.external_id).migrateSetMaxSpeed(200)
    migration = here.driver.migration
    with with_peer(there, there.libvirt.uri) as target:
        settings = [driver.config.model_dump_json() for driver in (here.driver, target)]
        worker = subprocess.Popen([sys.executable, "-c", WORKER, vm.external_id, *settings])
        try:
            until(lambda: migration.is_under_way(vm.external_id), timeout_s=60, said="The move")
        finally:
            worker.kill()
            worker.wait(timeout=20)
        assert migration.is_under_way(vm.external_id), "It was over before the worker was killed."
        assert migration.discard(vm.external_id, target) is False, "What is arriving is not left over."
        until(lambda: not migration.is_under_way(vm.external_id), timeout_s=120, said="The end of the move")
        assert (here.vms(), there.vms()) == (set(), {vm.name})
        assert there.driver.machines.get(vm.external_id).power is PowerState.RUNNING
        assert migration.discard(vm.external_id, target) is True
        assert here.files() == set()
        assert there.driver.machines.get(vm.external_id).autostart is True
    there.driver.power.stop(vm.external_id, force=True)
    assert read_mark(there.driver, there.driver.machines.get(vm.external_id)) == "travels"


def test_a_move_that_died_is_finished_by_the_next_run(here: Host, there: Host, make_vm: MakeVm) -> None:
    vm = make_vm(autostart=True)
    mark_disk(here.driver, vm, "travels")
    migrate = here.driver.migration.migrate
    with (
        mock.patch("providers.kvm.trip.leave", side_effect=KeyboardInterrupt),
        mock.patch("providers.kvm.trip.attempt"),
        pytest.raises(KeyboardInterrupt),
    ):
        migrate(vm.external_id, there.driver, copy_storage=True)
    assert here.vms() == there.vms() == {vm.name}, "It died with the VM complete at both ends."
    moved = migrate(vm.external_id, there.driver, copy_storage=True)
    assert (here.vms(), here.files()) == (set(), set())
    assert (moved.metadata, moved.autostart, read_mark(there.driver, moved)) == ({}, True, "travels")
    again = migrate(vm.external_id, there.driver, copy_storage=True)
    assert again.external_id == vm.external_id


@pytest.mark.parametrize("moment", ["leave", "settle"])
def test_a_move_over_shared_storage_that_died_keeps_the_disks(
    here: Host, there: Host, make_vm: MakeVm, moment: str
) -> None:
    vm = make_vm(autostart=True)
    mark_disk(here.driver, vm, "shared")
    shared = there.raw.storagePoolCreateXML(pool_document(name="shared", type_="dir", path=str(here.images)), 0)
    migrate = here.driver.migration.migrate
    name = "providers.kvm.trip.leave" if moment == "leave" else "providers.kvm.ends.There.settle"
    try:
        with (
            mock.patch(name, side_effect=KeyboardInterrupt),
            mock.patch("providers.kvm.trip.attempt", lambda step: step() if moment == "settle" else None),
            pytest.raises(KeyboardInterrupt),
        ):
            migrate(vm.external_id, there.driver)
        moved = migrate(vm.external_id, there.driver)
        assert here.vms() == set()
        assert (moved.autostart, read_mark(there.driver, moved)) == (True, "shared")
        there.driver.machines.delete(vm.external_id)
        assert here.files() == set()
    finally:
        shared.destroy()


def test_copying_to_the_same_storage_is_refused_and_harms_nothing(here: Host, there: Host, make_vm: MakeVm) -> None:
    vm = make_vm()
    mark_disk(here.driver, vm, "only one")
    there.pool.destroy()
    shared = there.raw.storagePoolCreateXML(pool_document(name="disks", type_="dir", path=str(here.images)), 0)
    try:
        for start in (False, True):
            if start:
                here.driver.power.start(vm.external_id)
            with pytest.raises(Conflict, match="same storage"):
                here.driver.migration.migrate(vm.external_id, there.driver, copy_storage=True)
            assert here.driver.migration.discard(vm.external_id, there.driver) is False
        here.driver.power.stop(vm.external_id, force=True)
        assert read_mark(here.driver, vm) == "only one"
    finally:
        shared.destroy()
        there.open_pool()


def test_what_a_dead_move_left_there_is_discarded(here: Host, there: Host, make_vm: MakeVm) -> None:
    vm = make_vm()
    with (
        mock.patch("providers.kvm.trip.of_moved", side_effect=KeyboardInterrupt),
        mock.patch("providers.kvm.trip.ExitStack.__exit__", return_value=None),
        pytest.raises(KeyboardInterrupt),
    ):
        here.driver.migration.migrate(vm.external_id, there.driver, copy_storage=True)
    assert len(there.files()) == 2, "The disk and the seed."
    assert here.driver.migration.discard(vm.external_id, there.driver) is True
    assert here.driver.migration.discard(vm.external_id, there.driver) is False
    assert there.files() == set()
    assert here.driver.machines.get(vm.external_id).name == vm.name


def test_one_that_is_complete_at_both_ends_stays_where_it_was(here: Host, there: Host, make_vm: MakeVm) -> None:
    vm = make_vm()
    mark_disk(here.driver, vm, "here")
    with (
        mock.patch("providers.kvm.trip.leave", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        here.driver.migration.migrate(vm.external_id, there.driver, copy_storage=True)
    assert here.vms() == there.vms() == {vm.name}
    assert here.driver.migration.discard(vm.external_id, there.driver) is True
    assert (there.vms(), there.files()) == (set(), set())
    assert read_mark(here.driver, vm) == "here"
