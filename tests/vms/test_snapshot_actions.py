"""Snapshots of a machine: taken, gone back to, deleted; and the tree that the page draws."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from kvweb.accounts.models import User
from kvweb.jobs.models import JobState
from providers.models import Provider
from tests.vms.conftest import MakeMachine, Press, at_provider, fault
from vms.models import VirtualMachine
from vms.snapshot_tree import tree

ClientOf = Callable[[User], Client]


def names_of(vm: VirtualMachine) -> list[str]:
    return [one.name for one in at_provider(vm).snapshots or ()]


@pytest.mark.django_db
def test_a_snapshot_is_taken_with_memory_while_the_machine_runs(machine: MakeMachine, press: Press, bob: User) -> None:
    vm = machine(start=True)
    done = press(bob, vm, "take-snapshot", name='a&b<c>"', description="Before the update", keeps="memory")
    assert done.job.state == JobState.SUCCEEDED, done.job.reason
    (shot,) = at_provider(vm).snapshots or ()
    assert (shot.name, shot.description, shot.has_memory) == ('a&b<c>"', "Before the update", True)
    assert [one["name"] for one in vm.snapshots or []] == ['a&b<c>"']


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("keeps", "memory", "external"), [("disks", False, False), ("layers", False, True), ("", False, False)]
)
def test_a_snapshot_of_a_machine_that_is_off_keeps_its_disks(
    machine: MakeMachine, press: Press, bob: User, keeps: str, memory: bool, external: bool
) -> None:
    vm = machine()
    press(bob, vm, "take-snapshot", name="one", keeps=keeps)
    (shot,) = at_provider(vm).snapshots or ()
    assert (shot.has_memory, shot.is_external) == (memory, external)


@pytest.mark.django_db
def test_memory_of_a_machine_that_is_off_is_not_to_be_had(machine: MakeMachine, press: Press, bob: User) -> None:
    vm = machine()
    assert press(bob, vm, "take-snapshot", name="one", keeps="memory").response.status_code == 422
    assert names_of(vm) == []


@pytest.mark.django_db
def test_a_machine_goes_back_and_what_was_since_can_be_kept(machine: MakeMachine, press: Press, alice: User) -> None:
    vm = machine()
    press(alice, vm, "take-snapshot", name="small")
    press(alice, vm, "grow-disk", disk="vda", size_gib="40")
    done = press(alice, vm, "revert-to-snapshot", snapshot="small", keep_now="on")
    assert done.job.state == JobState.SUCCEEDED, done.job.reason
    assert vm.disk_gib < 40
    kept = names_of(vm)[-1]
    assert kept.startswith("Before going back to small")
    press(alice, vm, "revert-to-snapshot", snapshot=kept)
    assert vm.disk_gib == 40


@pytest.mark.django_db
def test_a_snapshot_is_deleted_and_the_others_stay(machine: MakeMachine, press: Press, bob: User) -> None:
    vm = machine()
    for name in ("one", "two"):
        press(bob, vm, "take-snapshot", name=name)
    press(bob, vm, "delete-snapshot", snapshot="one")
    assert names_of(vm) == ["two"]
    assert [one["name"] for one in vm.snapshots or []] == ["two"]
    gone = press(bob, vm, "delete-snapshot", snapshot="one")
    assert gone.response.status_code == 422


@pytest.mark.django_db
def test_a_taken_name_and_an_empty_one_are_refused_in_the_dialog(machine: MakeMachine, press: Press, bob: User) -> None:
    vm = machine()
    press(bob, vm, "take-snapshot", name="one")
    assert "There is a snapshot of this name" in press(bob, vm, "take-snapshot", name="one").text
    assert "Give the snapshot a name" in press(bob, vm, "take-snapshot", name=" ").text


@pytest.mark.django_db
def test_the_question_says_what_is_lost(machine: MakeMachine, press: Press, bob: User, client_of: ClientOf) -> None:
    vm = machine(start=True)
    press(bob, vm, "take-snapshot", name="one", keeps="memory")
    page = client_of(bob).get(f"/vms/{vm.uuid}/ask/revert-to-snapshot?snapshot=one").content.decode()
    assert "since is lost" in page
    assert "It will be running" in page


@pytest.mark.django_db
def test_a_failed_snapshot_is_noted(machine: MakeMachine, press: Press, bob: User, stocked: Provider) -> None:
    vm = machine()
    fault(stocked, "snapshots.create", "out_of_capacity")
    press(bob, vm, "take-snapshot", name="one")
    assert vm.problem.startswith("Take snapshot “one” failed: ")


@pytest.mark.django_db
def test_many_machines_are_kept_at_once(
    machine: MakeMachine, bob: User, client_of: ClientOf, run_jobs: Callable[[], list[Any]]
) -> None:
    one, two = machine("web-1"), machine("web-2")
    client = client_of(bob)
    sent = {"action": "take-snapshot", "vm": [str(one.uuid), str(two.uuid)]}
    question = client.post("/vms/bulk", sent, headers={"HX-Request": "true"}).content.decode()
    assert 'name="name"' in question
    client.post("/vms/bulk", {**sent, "confirmed": "1", "name": "tonight"}, headers={"HX-Request": "true"})
    run_jobs()
    assert (names_of(one), names_of(two)) == (["tonight"], ["tonight"])


def shot(name: str, parent: str | None = None, *, now: bool = False, hour: int = 0) -> dict[str, Any]:
    return {"name": name, "parent": parent, "is_current": now, "created_at": datetime(2026, 1, 1, hour, tzinfo=UTC)}


def drawn(snapshots: list[dict[str, Any]]) -> list[str]:
    marks = {"line": "│ ", "gap": "  ", "tee": "├ ", "end": "└ "}
    return [
        "".join(marks[rail] for rail in twig.rails) + (twig.snapshot["name"] if twig.snapshot else "now")
        for twig in tree(snapshots)
    ]


def test_a_chain_is_drawn_straight() -> None:
    assert drawn([shot("b", "a", hour=1, now=True), shot("a")]) == ["a", "b", "now"]


def test_ways_that_part_are_indented() -> None:
    snapshots = [shot("a"), shot("b", "a", hour=1), shot("c", "a", hour=2, now=True), shot("d", "b", hour=3)]
    assert drawn(snapshots) == ["a", "├ b", "│ d", "└ c", "  now"]


def test_strangers_trees_are_drawn_whatever_they_are() -> None:
    assert drawn([shot("orphan", "gone")]) == ["orphan"]
    assert sorted(drawn([shot("x", "y"), shot("y", "x")])) == ["x", "y"]
    assert drawn([shot("self", "self")]) == ["self"]
    long = [shot(f"s{n:04}", f"s{n - 1:04}" if n else None) for n in range(3000)]
    assert len(drawn(long)) == 3000
