"""A machine that is protected is not deleted: not by its owner, not by an administrator, not among others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from kvweb.accounts.models import User
from kvweb.jobs.models import Job
from tests.vms.conftest import MakeMachine, Press, at_provider
from vms.choices import Presence
from vms.models import VirtualMachine

pytestmark = pytest.mark.django_db


def test_a_protected_machine_is_deleted_by_nobody_until_that_is_taken_back(
    machine: MakeMachine,
    alice: User,
    bob: User,
    root: User,
    press: Press,
    client_of: Callable[[User], Client],
    run_jobs: Callable[[], list[Job]],
) -> None:
    vm = machine("db")
    press(alice, vm, "protect", is_protected="on")
    assert vm.is_protected
    page = client_of(alice).get(f"/vms/{vm.uuid}/settings").content.decode()
    assert "Protected from deletion" in page
    for person in (alice, root):
        refused = press(person, vm, "delete", typed="db")
        assert refused.jobs == []
        assert "protected from deletion" in str(refused.response.headers) + refused.response.content.decode()
    press(bob, vm, "protect")
    assert vm.is_protected, "who operates does not change machines"

    press(alice, vm, "protect")
    assert not vm.is_protected
    history = client_of(alice).get(f"/vms/{vm.uuid}/history").content.decode()
    assert history.index("Took its protection from deletion back") < history.index("Protected it from deletion")
    client_of(alice).post(f"/vms/{vm.uuid}/do/delete", {"confirmed": "1", "typed": "db"})
    assert [(job.kind, job.state, job.reason) for job in run_jobs()] == [("vm.delete", "succeeded", "")]
    assert VirtualMachine.objects.get(pk=vm.pk).presence == Presence.DELETED


def test_what_is_protected_while_its_deletion_waits_is_kept(
    machine: MakeMachine,
    alice: User,
    client_of: Callable[[User], Client],
    run_jobs: Callable[[], list[Job]],
) -> None:
    vm = machine("db")
    client_of(alice).post(f"/vms/{vm.uuid}/do/delete", {"confirmed": "1", "typed": "db"})
    VirtualMachine.objects.filter(pk=vm.pk).update(is_protected=True)
    (job,) = run_jobs()
    assert (job.state, "protected from deletion" in job.reason) == ("failed", True)
    assert VirtualMachine.objects.get(pk=vm.pk).presence == Presence.PRESENT
    assert at_provider(vm).name == "db"


def test_among_many_the_protected_are_left_out_and_that_is_said(
    make_vm: Any, alice: User, client_of: Callable[[User], Client]
) -> None:
    kept, gone = make_vm(name="kept", is_protected=True), make_vm(name="gone")
    chosen = {"action": "delete", "vm": [str(kept.uuid), str(gone.uuid)]}
    asked = client_of(alice).post("/vms/bulk", chosen, headers={"HX-Request": "true"}).content.decode()
    assert "1 is skipped: It is protected from deletion" in asked
    client_of(alice).post("/vms/bulk", {**chosen, "confirmed": "1", "typed": "2"}, headers={"HX-Request": "true"})
    assert [job.subject for job in Job.objects.filter(kind="vm.delete")] == [gone.subject]
