"""A machine moves to another provider, and its row with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from kvweb.accounts.models import User
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job, JobState
from kvweb.portal.inventory import sync
from providers import pool
from providers.fake.migration import FakeMigration
from providers.models import Health, Provider
from providers.pool import driver_for
from tests.vms.conftest import MakeMachine, Press, at_provider, fault
from vms.choices import Presence
from vms.models import VirtualMachine

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]


@pytest.fixture
def hall_b(fake_provider: Provider, tmp_path: Path) -> Iterator[Provider]:
    """Another simulated cloud, furnished like the first."""
    provider = Provider.objects.create(
        kind="fake",
        name="Hall B",
        config={**fake_provider.config, "path": str(tmp_path / "other.sqlite3")},
        capabilities=fake_provider.capabilities,
        health=Health.OK,
    )
    with driver_for(provider) as driver:
        sync(provider, driver)
    yield provider
    pool.forget(provider)


def names_at(provider: Provider) -> list[str]:
    with driver_for(provider) as driver:
        return [record.name for record in driver.machines.list()]


def look_at_both(vm: VirtualMachine, target: Provider) -> Job:
    """What is queued after a move that nobody saw the end of."""
    return Job.objects.create(
        kind="vm.locate",
        title="Look",
        subject=vm.subject,
        queue=target.place.queue,
        params={"target": str(target.uuid)},
    )


@pytest.mark.parametrize("start", [False, True])
def test_a_machine_moves_and_keeps_its_page(
    machine: MakeMachine, press: Press, alice: User, hall_b: Provider, client_of: ClientOf, start: bool
) -> None:
    vm = machine(start=start)
    before = vm.uuid
    done = press(alice, vm, "migrate", target=str(hall_b.uuid), copy_storage="on")
    assert done.job.state == JobState.SUCCEEDED, done.job.reason
    assert done.job.title == "Move to “Hall B”: “web-1”"
    assert (vm.uuid, vm.provider, vm.presence) == (before, hall_b, Presence.PRESENT)
    assert vm.power == ("running" if start else "stopped")
    assert at_provider(vm).name == "web-1"
    assert vm.image is not None
    assert vm.image.provider == hall_b
    history = client_of(alice).get(f"/vms/{vm.uuid}/history").content.decode()
    assert "Move to “Hall B”" in history


def test_nothing_is_left_where_it_was(machine: MakeMachine, press: Press, alice: User, hall_b: Provider) -> None:
    vm = machine()
    here = vm.provider
    press(alice, vm, "migrate", target=str(hall_b.uuid), copy_storage="on")
    assert (names_at(here), names_at(hall_b)) == ([], ["web-1"])
    for provider in (here, hall_b):
        with driver_for(provider) as driver:
            sync(provider, driver)
    assert VirtualMachine.objects.exclude(presence=Presence.DELETED).get() == vm


def test_a_failed_move_leaves_it_where_it_was(
    machine: MakeMachine, press: Press, alice: User, hall_b: Provider
) -> None:
    vm = machine()
    here = vm.provider
    fault(hall_b, "migration.migrate:half", "out_of_capacity")
    press(alice, vm, "migrate", target=str(hall_b.uuid), copy_storage="on")
    assert (vm.provider, vm.presence) == (here, Presence.PRESENT)
    assert vm.problem.startswith("Move to “Hall B” failed: ")
    assert (names_at(here), names_at(hall_b)) == (["web-1"], [])


def test_a_sync_of_the_target_that_came_first_makes_room(
    machine: MakeMachine, alice: User, hall_b: Provider, client_of: ClientOf, run_jobs: Callable[[], list[Job]]
) -> None:
    vm = machine()
    with driver_for(hall_b) as there, driver_for(vm.provider) as here:
        assert here.migration is not None
        here.migration.migrate(vm.external_id, there, live=False, copy_storage=True)
        sync(hall_b, there)
        sync(vm.provider, here)
    vm.refresh_from_db()
    assert vm.presence == Presence.MISSING
    stray = VirtualMachine.objects.get(provider=hall_b)
    look_at_both(vm, hall_b)
    run_jobs()
    vm.refresh_from_db()
    stray.refresh_from_db()
    assert (vm.provider, vm.presence) == (hall_b, Presence.PRESENT)
    assert stray.presence == Presence.DELETED


def test_after_a_lost_worker_both_ends_are_looked_at(
    machine: MakeMachine,
    alice: User,
    hall_b: Provider,
    client_of: ClientOf,
    run_jobs: Callable[[], list[Job]],
    django_capture_on_commit_callbacks: Any,
) -> None:
    vm = machine()
    client_of(alice).post(f"/vms/{vm.uuid}/do/migrate", {"target": str(hall_b.uuid), "copy_storage": "on"})
    with driver_for(hall_b) as there, driver_for(vm.provider) as here:
        assert here.migration is not None
        here.migration.migrate(vm.external_id, there, live=False, copy_storage=True)
    Job.objects.filter(kind="vm.migrate").update(state=JobState.RUNNING, heartbeat_at="2020-01-01T00:00Z")
    with django_capture_on_commit_callbacks(execute=True):
        jobs.reap()
    run_jobs()
    vm.refresh_from_db()
    assert (vm.provider, vm.presence) == (hall_b, Presence.PRESENT)
    assert "went away" in vm.problem


def test_a_move_that_goes_on_by_itself_is_waited_for(
    machine: MakeMachine, hall_b: Provider, run_jobs: Callable[[], list[Job]], monkeypatch: pytest.MonkeyPatch
) -> None:
    vm = machine()
    looks = []

    def is_under_way(facet: FakeMigration, external_id: str) -> bool:
        looks.append(external_id)
        if len(looks) == 2:
            with driver_for(hall_b) as there:
                facet.migrate(external_id, there, live=False, copy_storage=True)
        return len(looks) < 3

    monkeypatch.setattr(FakeMigration, "is_under_way", is_under_way)
    monkeypatch.setattr("vms.migration_jobs._LOOK_EVERY_S", 0.0)
    job = look_at_both(vm, hall_b)
    run_jobs()
    vm.refresh_from_db()
    assert (vm.provider, vm.presence, len(looks)) == (hall_b, Presence.PRESENT, 3)
    assert any("still on its way" in line.text for line in job.lines.all())


def test_only_a_provider_that_fits_is_offered(
    machine: MakeMachine, press: Press, alice: User, hall_b: Provider, client_of: ClientOf, charlie: User
) -> None:
    vm = machine()
    hall_b.projects.add(charlie.projects.get())
    page = client_of(alice).get(f"/vms/{vm.uuid}/ask/migrate").content.decode()
    assert "There is no other provider" in page
    assert press(alice, vm, "migrate", target=str(hall_b.uuid)).response.status_code == 422
    assert press(alice, vm, "migrate", target=str(vm.provider.uuid)).response.status_code == 422


def test_what_the_target_lacks_is_told(machine: MakeMachine, press: Press, alice: User, hall_b: Provider) -> None:
    vm = machine()
    done = press(alice, vm, "migrate", target=str(hall_b.uuid))
    assert done.job.state == JobState.FAILED or vm.provider == hall_b
    assert names_at(vm.provider) == ["web-1"]
