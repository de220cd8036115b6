"""A disk goes to another pool, and a medium comes out also by force; from the dialog to the provider and back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from kvweb.accounts.models import User
from kvweb.audit.models import AuditEntry
from kvweb.jobs.models import JobState
from storage.models import Image, Pool
from tests.vms.conftest import MakeMachine, Press, at_provider, fault

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]


def test_a_disk_moves_while_its_machine_is_off(machine: MakeMachine, press: Press, alice: User) -> None:
    vm = machine()
    pool = Pool.objects.get(provider=vm.provider, name="fast")
    done = press(alice, vm, "move-disk", disk="vda", pool=str(pool.uuid))
    assert done.response.status_code == 204, done.text
    assert done.job.state == JobState.SUCCEEDED
    assert done.job.title == "Move disk vda to “fast” of “web-1”"
    assert (vm.disks or [])[0]["pool"] == pool.external_id
    assert (at_provider(vm).disks or ())[0].pool == pool.external_id
    assert AuditEntry.objects.get(verb="vm.move_disk").subject == vm.subject


def test_a_running_machine_keeps_its_disks_where_they_are(machine: MakeMachine, press: Press, alice: User) -> None:
    vm = machine(start=True)
    pool = Pool.objects.get(provider=vm.provider, name="fast")
    refused = press(alice, vm, "move-disk", disk="vda", pool=str(pool.uuid))
    assert refused.response.status_code == 409
    assert not refused.jobs


@pytest.mark.parametrize(
    ("disk", "pool", "words"),
    [
        ("vda", "", "Choose a pool"),
        ("vda", "nonsense", "not there any more"),
        ("vda", "default", "not there any more"),
        ("vdz", "fast", "not there any more"),
    ],
)
def test_where_a_disk_cannot_go_is_said_in_the_dialog(
    machine: MakeMachine, press: Press, alice: User, disk: str, pool: str, words: str
) -> None:
    vm = machine()
    found = Pool.objects.filter(provider=vm.provider, name=pool).first()
    refused = press(alice, vm, "move-disk", disk=disk, pool=str(found.uuid) if found else pool)
    assert refused.response.status_code == 422
    assert words in refused.text
    assert not refused.jobs


def test_a_pool_that_is_too_small_is_not_chosen(machine: MakeMachine, press: Press, alice: User) -> None:
    vm = machine()
    pool = Pool.objects.get(provider=vm.provider, name="fast")
    Pool.objects.filter(pk=pool.pk).update(capacity_gib=0.5)
    refused = press(alice, vm, "move-disk", disk="vda", pool=str(pool.uuid))
    assert "smaller than the disk" in refused.text


def test_a_move_that_fails_says_why_beside_the_machine(machine: MakeMachine, press: Press, alice: User) -> None:
    vm = machine()
    pool = Pool.objects.get(provider=vm.provider, name="fast")
    fault(vm.provider, "disks.move", "out_of_capacity")
    done = press(alice, vm, "move-disk", disk="vda", pool=str(pool.uuid))
    assert done.job.state == JobState.FAILED
    assert (at_provider(vm).disks or ())[0].pool != pool.external_id
    assert "no room" in vm.problem


@pytest.mark.parametrize("force", ["", "on"])
def test_a_medium_is_pulled_out_by_force_when_that_is_said(
    machine: MakeMachine, press: Press, bob: User, client_of: ClientOf, force: str
) -> None:
    vm = machine(start=True)
    image = Image.objects.get(provider=vm.provider, is_iso=True)
    press(bob, vm, "insert-iso", image=str(image.uuid))
    assert "when the guest holds it" in client_of(bob).get(f"/vms/{vm.uuid}/ask/eject-iso").content.decode()
    done = press(bob, vm, "eject-iso", force=force)
    assert done.job.params["force"] is bool(force)
    assert not [disk for disk in at_provider(vm).disks or () if disk.device == "cdrom" and disk.volume]


def test_an_operator_and_a_stranger_move_nothing(
    machine: MakeMachine, bob: User, charlie: User, client_of: ClientOf
) -> None:
    vm = machine()
    pool = Pool.objects.get(provider=vm.provider, name="fast")
    assert "move-disk" not in client_of(bob).get(f"/vms/{vm.uuid}/disks").content.decode()
    for person in (bob, charlie):
        client_of(person).post(f"/vms/{vm.uuid}/do/move-disk", {"disk": "vda", "pool": str(pool.uuid)})
        assert (at_provider(vm).disks or ())[0].pool != pool.external_id
    assert client_of(charlie).get(f"/vms/{vm.uuid}/ask/move-disk?disk=vda").status_code == 404
