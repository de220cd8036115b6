"""What guests tell of their file systems: asked only while somebody looks, and shown to whoever sees the machine."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from django.test import Client

from kvweb.accounts.models import User
from providers.base import Conflict, GuestFileSystem, GuestRecord, Unreachable
from providers.models import Provider
from providers.pool import driver_for
from tests.vms.conftest import MakeMachine
from vms import file_systems, looking
from vms.file_systems_reader import AFTER_SILENCE_S, FRESH_S, Reader
from vms.models import GuestReading, VirtualMachine

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]
GIB = 1024**3


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> set[UUID]:
    """Who was looked at, in place of Redis."""
    seen: set[UUID] = set()
    monkeypatch.setattr(looking, "look", lambda what, vms: seen.update(vm.uuid for vm in vms))
    return seen


@pytest.fixture
def vm(machine: MakeMachine) -> VirtualMachine:
    return machine("web-1", start=True)


def asked(vm: VirtualMachine) -> Reader:
    """A reader that has just asked the machine's guest."""
    reader = Reader(vm.provider)
    with driver_for(vm.provider) as driver:
        reader.take(driver, vm)
    return reader


def part(vm: VirtualMachine, client: Client) -> str:
    return client.get(f"/vms/{vm.uuid}/file-systems").content.decode()


def test_the_page_asks_and_shows_what_was_told(
    vm: VirtualMachine, bob: User, client_of: ClientOf, looked: set[UUID]
) -> None:
    page = client_of(bob).get(f"/vms/{vm.uuid}/disks").content.decode()
    assert "Asking the guest" in page
    assert looked == {vm.uuid}
    asked(vm)
    told = part(vm, client_of(bob))
    (root,) = [each for each in GuestReading.objects.get(vm=vm).file_systems or [] if each["mount_point"] == "/"]
    assert root["disks"] == ["vda"]
    assert "ext4 on vda" in told
    assert f"{round(100 * root['used_bytes'] / root['total_bytes'])} %" in told
    assert "Asking the guest" not in told
    assert "web-1" in told


def test_only_what_is_nearly_full_is_marked(vm: VirtualMachine, alice: User, client_of: ClientOf) -> None:
    shares = {"/half": 50, "/ninety": 90, "/full": 91}
    found = [
        GuestFileSystem(mount_point=place, type="ext4", total_bytes=100 * GIB, used_bytes=share * GIB)
        for place, share in shares.items()
    ]
    found += [
        GuestFileSystem(mount_point="/media/<cd>", type="iso9660", total_bytes=GIB, used_bytes=GIB),
        GuestFileSystem(mount_point="/snap/core", type="squashfs", total_bytes=GIB, used_bytes=GIB),
        GuestFileSystem(mount_point="/odd"),
    ]
    file_systems.keep(vm, GuestRecord(file_systems=tuple(found)))
    shown = {row.mount_point: row.is_full for row in file_systems.context_of(vm)["file_systems"]}
    assert shown == {"/half": False, "/ninety": False, "/full": True, "/media/<cd>": False, "/odd": False}
    told = part(vm, client_of(alice))
    assert "/media/&lt;cd&gt;" in told
    assert "size not told" in told


def test_strangers_see_nothing_and_have_nobody_asked(
    vm: VirtualMachine, charlie: User, client_of: ClientOf, looked: set[UUID]
) -> None:
    assert client_of(charlie).get(f"/vms/{vm.uuid}/file-systems").status_code == 404
    assert looked == set()


def test_a_machine_that_is_off_is_not_asked_and_shows_what_was_told_last(
    machine: MakeMachine, vm: VirtualMachine, alice: User, client_of: ClientOf, looked: set[UUID]
) -> None:
    off = machine("off")
    assert "The machine does not run. Its guest tells" in part(off, client_of(alice))
    asked(vm)
    VirtualMachine.objects.filter(pk=vm.pk).update(power="stopped")
    assert "This is what its guest told last" in part(vm, client_of(alice))
    assert looked == set()
    assert Reader(vm.provider).next_of({vm.uuid: FRESH_S, off.uuid: FRESH_S}) is None


def test_a_silent_guest_says_so_and_is_asked_less_often(
    vm: VirtualMachine, alice: User, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(vm.provider)
    with driver_for(vm.provider) as driver:

        def refuse(external_id: str) -> GuestRecord:
            raise Conflict("No guest agent answers in this machine.")

        reader.take(driver, vm)
        monkeypatch.setattr(driver.machines, "guest", refuse)
        reader.take(driver, vm)
    told = part(vm, client_of(alice))
    assert "No guest agent answers in this machine. This is what it told last." in told
    assert "ext4 on vda" in told
    assert reader.next_of({vm.uuid: FRESH_S}) is None
    assert AFTER_SILENCE_S > FRESH_S


def test_those_who_wait_for_longest_are_asked_first(machine: MakeMachine, vm: VirtualMachine) -> None:
    other = machine("other", start=True)
    reader = asked(vm)
    wanted = {vm.uuid: FRESH_S, other.uuid: FRESH_S, uuid4(): FRESH_S}
    chosen = reader.next_of(wanted)
    assert chosen is not None
    assert chosen.uuid == other.uuid
    reader.leave_alone(vm.uuid, -1)
    reader.leave_alone(other.uuid, -2)
    assert reader.next_of(wanted) == other
    reader.leave_alone(other.uuid, FRESH_S)
    assert reader.next_of(wanted) == vm


def test_a_dead_line_is_the_providers_trouble_and_not_the_guests(
    vm: VirtualMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with driver_for(vm.provider) as driver:

        def fail(external_id: str) -> GuestRecord:
            raise Unreachable("The hypervisor does not answer.")

        monkeypatch.setattr(driver.machines, "guest", fail)
        with pytest.raises(Unreachable):
            Reader(vm.provider).take(driver, vm)
    assert not GuestReading.objects.exists()


def test_a_provider_that_asks_no_guests_shows_nothing(
    vm: VirtualMachine, alice: User, client_of: ClientOf, looked: set[UUID]
) -> None:
    provider = Provider.objects.get(pk=vm.provider_id)
    provider.capabilities = {**provider.capabilities, "machines": {**provider.capabilities["machines"], "guest": False}}
    provider.save()
    assert "File systems" not in client_of(alice).get(f"/vms/{vm.uuid}/disks").content.decode()
    assert looked == set()
