"""A machine is cloned, made into an image, renamed, handed over and deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from kvweb.accounts.models import Membership, Project, Role, User
from kvweb.accounts.services import unassigned_project
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job, JobState
from kvweb.portal.inventory import sync
from providers.models import Provider
from providers.pool import driver_for
from storage.models import Image
from tests.vms.conftest import MakeMachine, Press, at_provider, fault
from vms.actions import ACTIONS
from vms.choices import Presence
from vms.looks import vm_badge
from vms.models import VirtualMachine

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]


def copy_called(name: str) -> VirtualMachine:
    return VirtualMachine.objects.get(name=name)


@pytest.mark.parametrize("way", ["full", "linked"])
def test_a_clone_is_a_machine_of_its_own(
    machine: MakeMachine, press: Press, alice: User, way: str, stocked: Provider
) -> None:
    vm = machine()
    done = press(alice, vm, "clone", name="web-2", way=way, project=str(vm.project.uuid), start="on")
    assert done.job.state == JobState.SUCCEEDED, done.job.reason
    copy = copy_called("web-2")
    assert (copy.presence, copy.power, copy.project, copy.image) == (Presence.PRESENT, "running", vm.project, vm.image)
    theirs, ours = at_provider(copy), at_provider(vm)
    assert theirs.portal_uuid == str(copy.uuid)
    assert {nic.mac for nic in theirs.nics or ()}.isdisjoint({nic.mac for nic in ours.nics or ()})
    assert VirtualMachine.objects.filter(provider=stocked).count() == 2


def test_a_clone_on_its_way_is_listed_and_can_only_wait(
    machine: MakeMachine, alice: User, client_of: ClientOf, run_jobs: Callable[[], list[Job]]
) -> None:
    vm = machine()
    client = client_of(alice)
    sent = {"name": "web-2", "way": "full", "project": str(vm.project.uuid)}
    client.post(f"/vms/{vm.uuid}/do/clone", sent, headers={"HX-Request": "true"})
    copy = copy_called("web-2")
    assert vm_badge(copy).word == "Being made"
    assert "Being made" in client.get("/vms/").content.decode()
    assert client.get(f"/vms/{copy.uuid}/").status_code == 200
    for action in ("start", "dismiss", "delete"):
        client.post(f"/vms/{copy.uuid}/do/{action}", {"typed": "web-2"})
    run_jobs()
    copy.refresh_from_db()
    assert copy.presence == Presence.PRESENT


def test_a_failed_clone_leaves_no_row_and_a_note(
    machine: MakeMachine, press: Press, alice: User, stocked: Provider
) -> None:
    vm = machine()
    fault(stocked, "clones.clone", "out_of_capacity")
    press(alice, vm, "clone", name="web-2", way="full", project=str(vm.project.uuid))
    assert copy_called("web-2").presence == Presence.DELETED
    assert vm.problem.startswith("Make clone “web-2” failed: ")


def test_after_a_lost_worker_the_clone_that_was_made_is_taken_over(
    machine: MakeMachine,
    alice: User,
    client_of: ClientOf,
    stocked: Provider,
    run_jobs: Callable[[], list[Job]],
    django_capture_on_commit_callbacks: Any,
) -> None:
    vm = machine()
    sent = {"name": "web-2", "way": "full", "project": str(vm.project.uuid)}
    client_of(alice).post(f"/vms/{vm.uuid}/do/clone", sent, headers={"HX-Request": "true"})
    copy = copy_called("web-2")
    with driver_for(stocked) as driver:
        assert driver.clones is not None
        driver.clones.clone(vm.external_id, "web-2", full=True, portal_uuid=str(copy.uuid))
    Job.objects.filter(kind="vm.clone").update(state=JobState.RUNNING, heartbeat_at="2020-01-01T00:00Z")
    with django_capture_on_commit_callbacks(execute=True):
        jobs.reap()
    run_jobs()
    copy.refresh_from_db()
    assert copy.presence == Presence.PRESENT
    assert "interrupted" in copy.problem


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": "web-1"}, "name is taken"),
        ({"name": "a b"}, "A name is made of"),
        ({"name": ""}, "Give the machine a name"),
    ],
)
def test_a_wrong_clone_is_refused_in_the_dialog(
    machine: MakeMachine, press: Press, alice: User, values: dict[str, str], words: str
) -> None:
    vm = machine()
    answer = press(alice, vm, "clone", **{"project": str(vm.project.uuid), **values})
    assert words in answer.text
    assert VirtualMachine.objects.count() == 1


def test_nobody_clones_into_a_project_that_is_not_theirs(
    machine: MakeMachine, press: Press, alice: User, charlie: User
) -> None:
    vm = machine()
    elsewhere = charlie.projects.get()
    answer = press(alice, vm, "clone", name="web-2", project=str(elsewhere.uuid))
    assert answer.response.status_code == 422
    Membership.objects.create(user=alice, project=elsewhere, role=Role.OPERATOR)
    assert press(alice, vm, "clone", name="web-2", project=str(elsewhere.uuid)).response.status_code == 422
    Membership.objects.filter(user=alice, project=elsewhere).update(role=Role.MEMBER)
    assert press(alice, vm, "clone", name="web-2", project=str(elsewhere.uuid)).response.status_code == 204


def test_an_image_of_a_machine_belongs_to_its_project(machine: MakeMachine, press: Press, alice: User) -> None:
    vm = machine()
    done = press(alice, vm, "export", name="golden")
    assert done.job.state == JobState.SUCCEEDED, done.job.reason
    image = Image.objects.get(name="golden")
    assert (image.project, image.os) == (vm.project, vm.image.os if vm.image else "")
    assert "name is taken" in press(alice, vm, "export", name="golden").text


def test_an_image_on_its_way_is_nobody_elses_and_goes_when_it_fails(
    machine: MakeMachine, press: Press, alice: User, client_of: ClientOf, stocked: Provider
) -> None:
    vm = machine()
    client_of(alice).post(f"/vms/{vm.uuid}/do/export", {"name": "golden"})
    with driver_for(stocked) as driver:
        assert driver.clones is not None
        driver.clones.export(vm.external_id, "golden")
        sync(stocked, driver)
    assert Image.objects.get(name="golden").project == vm.project
    assert Image.objects.get(name="golden").is_wanted
    Job.objects.all().delete()
    fault(stocked, "clones.export", "out_of_capacity")
    press(alice, vm, "export", name="silver")
    assert not Image.objects.filter(name="silver").exists()
    assert vm.problem.startswith("Make image “silver” failed: ")


@pytest.mark.parametrize("was_made", [True, False])
def test_after_a_lost_worker_the_image_is_looked_for(
    machine: MakeMachine,
    alice: User,
    client_of: ClientOf,
    stocked: Provider,
    run_jobs: Callable[[], list[Job]],
    django_capture_on_commit_callbacks: Any,
    was_made: bool,
) -> None:
    vm = machine()
    client_of(alice).post(f"/vms/{vm.uuid}/do/export", {"name": "golden"})
    with driver_for(stocked) as driver:
        assert driver.clones is not None
        if was_made:
            driver.clones.export(vm.external_id, "golden")
    Job.objects.filter(kind="vm.export").update(state=JobState.RUNNING, heartbeat_at="2020-01-01T00:00Z")
    with django_capture_on_commit_callbacks(execute=True):
        jobs.reap()
    run_jobs()
    found = Image.objects.filter(name="golden").first()
    assert (found is not None) is was_made
    if found is not None:
        assert found.project == vm.project
        assert "interrupted" in found.problem


def test_a_running_machine_is_neither_cloned_nor_exported(machine: MakeMachine, press: Press, alice: User) -> None:
    vm = machine(start=True)
    for action in ("clone", "export"):
        assert press(alice, vm, action, name="web-2").response.status_code == 409


def test_a_machine_gets_another_name(machine: MakeMachine, press: Press, alice: User) -> None:
    vm = machine()
    press(alice, vm, "rename", name="shop")
    assert (vm.name, at_provider(vm).name) == ("shop", "shop")
    assert "its name already" in press(alice, vm, "rename", name="shop").text
    other = machine("web-2")
    assert "name is taken" in press(alice, other, "rename", name="shop").text


def test_found_machines_are_handed_out_together_and_taken_back(
    machine: MakeMachine, root: User, alice: User, client_of: ClientOf, project: Project
) -> None:
    nobodys = unassigned_project()
    found = [machine("web-1"), machine("web-2")]
    VirtualMachine.objects.update(project=nobodys)
    client = client_of(root)
    sent = {"action": "assign", "vm": [str(vm.uuid) for vm in found]}
    assert 'name="project"' in client.post("/vms/bulk", sent, headers={"HX-Request": "true"}).content.decode()
    before = [at_provider(vm) for vm in found]
    client.post("/vms/bulk", {**sent, "confirmed": "1", "project": str(project.uuid)}, headers={"HX-Request": "true"})
    assert {vm.project for vm in VirtualMachine.objects.all()} == {project}
    assert [at_provider(vm) for vm in found] == before
    assert "web-2" in client_of(alice).get("/vms/").content.decode()
    client.post(f"/vms/{found[0].uuid}/do/assign", {"project": str(nobodys.uuid)})
    assert VirtualMachine.objects.get(pk=found[0].pk).project == nobodys


def test_a_bulk_dialog_that_says_nothing_is_asked_again(machine: MakeMachine, root: User, client_of: ClientOf) -> None:
    vm = machine()
    sent = {"action": "assign", "vm": [str(vm.uuid)], "confirmed": "1"}
    answer = client_of(root).post("/vms/bulk", sent, headers={"HX-Request": "true"})
    assert answer.status_code == 422
    assert "Choose a project" in answer.content.decode()


def test_only_administrators_are_offered_to_hand_many_over(
    machine: MakeMachine, alice: User, root: User, client_of: ClientOf
) -> None:
    machine()
    assert "Hand to a project" not in client_of(alice).get("/vms/").content.decode()
    assert "Hand to a project" in client_of(root).get("/vms/").content.decode()


def test_deleting_says_what_goes_with_it(machine: MakeMachine, press: Press, alice: User, client_of: ClientOf) -> None:
    vm = machine()
    press(alice, vm, "take-snapshot", name="one")
    press(alice, vm, "take-snapshot", name="two")
    question = client_of(alice).get(f"/vms/{vm.uuid}/ask/delete").content.decode()
    assert "Its 2 snapshots are deleted with it" in question
    press(alice, vm, "delete", typed="web-1")
    assert vm.presence == Presence.DELETED


def test_disks_can_be_kept(machine: MakeMachine, press: Press, alice: User, stocked: Provider) -> None:
    vm = machine()
    volume = (at_provider(vm).disks or ())[0].volume
    press(alice, vm, "delete", typed="web-1", keep_disks="on")
    with driver_for(stocked) as driver:
        assert driver.volumes is not None
        assert volume in {one.external_id for one in driver.volumes.list()}


def test_administrators_are_told_of_found_machines_and_how_to_hand_them_out(
    machine: MakeMachine, root: User, alice: User, client_of: ClientOf
) -> None:
    machine("web-1")
    found = machine("web-2")
    VirtualMachine.objects.filter(pk=found.pk).update(project=unassigned_project())
    page = client_of(root).get("/vms/").content.decode()
    assert "1 machine was found" in page
    assert "project=Unassigned" in page
    assert "Hand to a project" in client_of(root).get("/vms/?project=Unassigned").content.decode()
    assert "was found" not in client_of(alice).get("/vms/").content.decode()


def test_long_work_can_be_stopped_from_the_machines_page(
    machine: MakeMachine, alice: User, bob: User, client_of: ClientOf
) -> None:
    vm = machine()
    client = client_of(alice)
    client.post(f"/vms/{vm.uuid}/do/export", {"name": "golden"})
    job = Job.objects.get(kind="vm.export")
    assert f"/jobs/{job.uuid}/cancel" in client.get(f"/vms/{vm.uuid}/header").content.decode()
    assert f"/jobs/{job.uuid}/cancel" not in client_of(bob).get(f"/vms/{vm.uuid}/header").content.decode()
    client.post(f"/jobs/{job.uuid}/cancel", headers={"HX-Request": "true"})
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED
    vm.refresh_from_db()
    assert vm.problem == ""


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["page", "dialog"])
def test_every_action_has_a_question_that_can_be_shown(
    machine: MakeMachine, root: User, client_of: ClientOf, headers: dict[str, str]
) -> None:
    vm, client = machine(), client_of(root)
    for name in ACTIONS:
        answer = client.get(f"/vms/{vm.uuid}/ask/{name}", headers=headers)
        assert answer.status_code == 200, name
        assert f"/vms/{vm.uuid}/do/{name}" in answer.content.decode(), name
