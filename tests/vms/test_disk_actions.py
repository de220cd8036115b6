"""Disks of a machine, from the dialog to the provider and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from kvweb.accounts.models import User
from kvweb.audit.models import AuditEntry
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job, JobState
from providers.base import Capabilities, DiskFeatures
from providers.models import Provider
from providers.pool import driver_for
from storage import volume_inventory
from storage.models import Image, Pool, Volume
from tests.vms.conftest import MakeMachine, Press, at_provider, fault

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]


def disks_of(vm: Any) -> dict[str, float]:
    return {disk.external_id: disk.size_gib for disk in at_provider(vm).disks or () if disk.device == "disk"}


def volumes_at(provider: Provider) -> int:
    with driver_for(provider) as driver:
        assert driver.volumes is not None
        return len(driver.volumes.list())


def read_volumes(provider: Provider) -> None:
    with driver_for(provider) as driver:
        assert driver.volumes is not None
        volume_inventory.apply(provider, driver.volumes.list(), is_complete=True)


def test_a_new_disk_is_attached_where_it_was_wanted(machine: MakeMachine, press: Press, alice: User) -> None:
    vm = machine()
    pool = Pool.objects.get(provider=vm.provider, name="fast")
    done = press(alice, vm, "attach-disk", source="new", size_gib="7", pool=str(pool.uuid), bus="scsi")
    assert done.response.status_code == 204, done.text
    assert done.job.state == JobState.SUCCEEDED
    disk = (vm.disks or [])[-1]
    assert (disk["size_gib"], disk["bus"], disk["pool"]) == (7, "scsi", pool.external_id)
    assert vm.disk_gib == sum(disks_of(vm).values())
    assert AuditEntry.objects.get(verb="vm.attach_disk").subject == vm.subject


def test_a_detached_disk_can_be_attached_again(
    machine: MakeMachine, press: Press, alice: User, stocked: Provider
) -> None:
    vm = machine()
    press(alice, vm, "attach-disk", size_gib="3")
    before = volumes_at(stocked)
    done = press(alice, vm, "detach-disk", disk="vdb", volume="keep")
    assert done.job.title == "Detach disk vdb of “web-1”"
    assert list(disks_of(vm)) == ["vda"]
    assert volumes_at(stocked) == before


def test_a_raw_disk_is_shared_with_another_machine(
    machine: MakeMachine, press: Press, alice: User, stocked: Provider, client_of: ClientOf
) -> None:
    one, two = machine(), machine(name="web-2")
    press(alice, one, "attach-disk", size_gib="3", shareable="on")
    read_volumes(stocked)
    volume = Volume.objects.get(external_id=(one.disks or [])[-1]["volume"])
    assert (volume.format, volume.is_used) == ("raw", True)
    dialog = client_of(alice).get(f"/vms/{two.uuid}/ask/attach-disk").content.decode()
    assert f"{volume} (3 GiB, raw, shared)" in dialog
    done = press(alice, two, "attach-disk", source="existing", volume=str(volume.uuid))
    assert done.job.state == JobState.SUCCEEDED, done.job.reason
    assert [(disk["volume"], disk["shareable"]) for disk in (two.disks or [])[-1:]] == [(volume.external_id, True)]
    # The machine's own, and what is not shared, are nobody else's.
    assert str(volume.uuid) not in client_of(alice).get(f"/vms/{one.uuid}/ask/attach-disk").content.decode()
    press(alice, one, "attach-disk", size_gib="4")
    read_volumes(stocked)
    alone = Volume.objects.get(external_id=(one.disks or [])[-1]["volume"])
    assert str(alone.uuid) not in client_of(alice).get(f"/vms/{two.uuid}/ask/attach-disk").content.decode()


def test_only_raw_disks_are_shared(machine: MakeMachine, press: Press, alice: User) -> None:
    answer = press(alice, machine(), "attach-disk", size_gib="3", format="qcow2", shareable="on")
    assert "Only raw disks can be shared" in answer.text
    assert not answer.jobs


def test_a_disk_and_its_volume_are_deleted_when_the_name_is_typed(
    machine: MakeMachine, press: Press, alice: User, stocked: Provider
) -> None:
    vm = machine()
    press(alice, vm, "attach-disk", size_gib="3")
    before = volumes_at(stocked)
    refused = press(alice, vm, "detach-disk", disk="vdb", volume="delete", typed="web")
    assert refused.response.status_code == 422
    assert "exactly to confirm" in refused.text
    assert not refused.jobs
    press(alice, vm, "detach-disk", disk="vdb", volume="delete", typed="web-1")
    assert volumes_at(stocked) == before - 1


def test_a_disk_grows_and_never_shrinks(machine: MakeMachine, press: Press, alice: User) -> None:
    vm = machine()
    size = disks_of(vm)["vda"]
    refused = press(alice, vm, "grow-disk", disk="vda", size_gib="1")
    assert refused.response.status_code == 422
    assert "It must be more than" in refused.text
    press(alice, vm, "grow-disk", disk="vda", size_gib=str(int(size) + 5))
    assert disks_of(vm)["vda"] == int(size) + 5
    assert (vm.disks or [])[0]["size_gib"] == int(size) + 5


def test_an_image_is_inserted_and_ejected(machine: MakeMachine, press: Press, bob: User, client_of: ClientOf) -> None:
    vm = machine(start=True)
    image = Image.objects.get(provider=vm.provider, is_iso=True)
    press(bob, vm, "insert-iso", image=str(image.uuid))
    assert image.name in client_of(bob).get(f"/vms/{vm.uuid}/disks").content.decode()
    press(bob, vm, "eject-iso")
    assert "empty" in client_of(bob).get(f"/vms/{vm.uuid}/disks").content.decode()
    assert press(bob, vm, "eject-iso").response.status_code == 409


@pytest.mark.parametrize(
    ("action", "values", "words"),
    [
        ("attach-disk", {"size_gib": ""}, "Say how large"),
        ("attach-disk", {"size_gib": "0"}, "At least 1 GiB"),
        ("attach-disk", {"size_gib": "4", "pool": "nonsense"}, "not there any more"),
        ("attach-disk", {"size_gib": "4", "bus": "ide/../x"}, "valid choice"),
        ("grow-disk", {"disk": "vdz", "size_gib": "9"}, "not there any more"),
        ("grow-disk", {"disk": "vda", "size_gib": "many"}, "whole number"),
        ("detach-disk", {}, "not there any more"),
        ("insert-iso", {"image": "\x00"}, "not there any more"),
    ],
)
def test_what_is_wrong_stands_in_the_dialog_and_nothing_is_done(
    machine: MakeMachine, press: Press, alice: User, action: str, values: dict[str, str], words: str
) -> None:
    vm = machine()
    answer = press(alice, vm, action, **values)
    assert answer.response.status_code == 422
    assert words in answer.text
    assert not answer.jobs


def test_what_was_typed_stays_when_something_is_wrong(machine: MakeMachine, press: Press, alice: User) -> None:
    vm = machine()
    answer = press(alice, vm, "attach-disk", size_gib="999999", bus="sata", read_only="on")
    assert 'value="999999"' in answer.text
    assert '<option value="sata" selected>' in answer.text


def test_a_stranger_and_an_operator_attach_nothing(
    machine: MakeMachine, press: Press, bob: User, charlie: User
) -> None:
    vm = machine()
    assert press(charlie, vm, "attach-disk", size_gib="4").response.status_code == 404
    assert press(bob, vm, "attach-disk", size_gib="4").response.status_code == 403
    assert list(disks_of(vm)) == ["vda"]


def test_a_provider_without_hot_plug_asks_for_the_machine_to_be_off(
    machine: MakeMachine, press: Press, alice: User, client_of: ClientOf
) -> None:
    vm = machine(start=True)
    can = vm.can.model_copy(update={"disks": DiskFeatures(hot_plug=False, grow=True)})
    Provider.objects.filter(pk=vm.provider_id).update(capabilities=can.to_json())
    assert press(alice, vm, "attach-disk", size_gib="4").response.status_code == 409
    assert "Shut it down first" in client_of(alice).get(f"/vms/{vm.uuid}/disks").content.decode()


def test_a_provider_without_disks_offers_none(machine: MakeMachine, alice: User, client_of: ClientOf) -> None:
    vm = machine()
    Provider.objects.filter(pk=vm.provider_id).update(capabilities=Capabilities().to_json())
    page = client_of(alice).get(f"/vms/{vm.uuid}/disks").content.decode()
    assert "cannot change disks" in page
    assert "attach-disk" not in page


def test_a_failure_is_noted_on_the_machine_and_leaves_it_as_it_is(
    machine: MakeMachine, press: Press, alice: User, stocked: Provider
) -> None:
    vm = machine()
    fault(stocked, "disks.attach", "out_of_capacity")
    done = press(alice, vm, "attach-disk", size_gib="4")
    assert done.job.state == JobState.FAILED
    assert vm.problem.startswith("Attach a disk of 4 GiB failed: ")
    assert list(disks_of(vm)) == ["vda"]


def test_after_a_lost_worker_the_row_says_what_is(
    machine: MakeMachine,
    press: Press,
    alice: User,
    run_jobs: Callable[[], list[Job]],
    django_capture_on_commit_callbacks: Any,
) -> None:
    vm = machine()
    done = press(alice, vm, "attach-disk", size_gib="4")
    Job.objects.filter(pk=done.job.pk).update(state=JobState.RUNNING, heartbeat_at="2020-01-01T00:00Z")
    vm.disks = []
    vm.fingerprint = "old"
    vm.save()
    with django_capture_on_commit_callbacks(execute=True):
        assert jobs.reap() == 1
    run_jobs()
    vm.refresh_from_db()
    assert "went away" in vm.problem
    assert [disk["external_id"] for disk in vm.disks or []] == ["vda", "vdb"]


def test_a_disk_that_is_being_changed_says_so_in_its_row(
    machine: MakeMachine, alice: User, client_of: ClientOf
) -> None:
    vm = machine()
    client = client_of(alice)
    client.post(f"/vms/{vm.uuid}/do/grow-disk", {"disk": "vda", "size_gib": "50"}, headers={"HX-Request": "true"})
    page = client.get(f"/vms/{vm.uuid}/disks").content.decode()
    assert "Growing…" in page


def test_a_dialog_without_scripts_is_a_page_that_comes_back_to_the_tab(
    machine: MakeMachine, alice: User, client_of: ClientOf, run_jobs: Callable[[], list[Job]]
) -> None:
    vm = machine()
    client = client_of(alice)
    assert "<html" in client.get(f"/vms/{vm.uuid}/ask/grow-disk?disk=vda").content.decode()
    wrong = client.post(f"/vms/{vm.uuid}/do/grow-disk", {"disk": "vda", "size_gib": "1"})
    assert wrong.status_code == 422
    assert "<html" in wrong.content.decode()
    right = client.post(f"/vms/{vm.uuid}/do/grow-disk", {"disk": "vda", "size_gib": "50"})
    assert right["Location"] == f"/vms/{vm.uuid}/disks"
    assert [job.state for job in run_jobs()] == [JobState.SUCCEEDED]
