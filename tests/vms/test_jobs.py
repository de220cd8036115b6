"""Machines are really made, switched and deleted: at the fake provider, through services and jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kvweb.accounts.models import Project, User
from kvweb.audit.models import AuditEntry
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job, JobState
from kvweb.portal.inventory import sync
from providers.base import CloudInit, DiskSpec, GuestUser, NicSpec, VmSpec
from providers.models import Health, Provider
from providers.pool import driver_for
from storage.models import Image
from tests.conftest import MakeVm
from vms import services
from vms.choices import Presence
from vms.models import VirtualMachine

pytestmark = pytest.mark.django_db
RunJobs = Callable[[], list[Job]]


@pytest.fixture
def stocked(fake_provider: Provider) -> Provider:
    """The provider with its images and networks read."""
    with driver_for(fake_provider) as driver:
        sync(fake_provider, driver)
    return fake_provider


@pytest.fixture
def wish(stocked: Provider) -> VmSpec:
    image = stocked.images.filter(is_iso=False).first()
    network = stocked.networks.first()
    assert image is not None
    assert network is not None
    return VmSpec(
        name="web-1",
        vcpus=1,
        memory_mib=512,
        disks=(DiskSpec(image=image.external_id),),
        nics=(NicSpec(network=network.external_id),),
        cloud_init=CloudInit(hostname="web-1", users=(GuestUser(name="kvweb", password_hash="$6$salt$hash"),)),
    )


def create(stocked: Provider, wish: VmSpec, project: Project, alice: User) -> VirtualMachine:
    vm, _ = services.create(project=project, provider=stocked, spec=wish, image=Image.objects.first(), user=alice)
    return vm


def names_at(provider: Provider) -> list[str]:
    with driver_for(provider) as driver:
        return [record.name for record in driver.machines.list()]


def fault(provider: Provider, place: str, kind: str, times: int = 1) -> None:
    """Make the fake provider fail once at a named place."""
    with driver_for(provider) as driver:
        driver.cloud.set_fault(place, kind=kind, times=times)  # type: ignore[attr-defined]


def test_a_machine_is_made_as_wished(
    stocked: Provider, wish: VmSpec, project: Project, alice: User, run_jobs: RunJobs
) -> None:
    vm = create(stocked, wish, project, alice)
    assert vm.presence == Presence.WANTED
    (job,) = run_jobs()
    vm.refresh_from_db()
    assert job.state == JobState.SUCCEEDED, job.reason
    assert (vm.presence, vm.power, vm.vcpus, vm.memory_mib) == (Presence.PRESENT, "running", 1, 512)
    assert vm.external_id
    assert names_at(stocked) == ["web-1"]
    assert AuditEntry.objects.filter(verb="vm.create", subject=vm.subject).count() == 1


def test_no_secret_of_the_wish_is_kept_in_the_clear(
    stocked: Provider, wish: VmSpec, project: Project, alice: User, run_jobs: RunJobs
) -> None:
    create(stocked, wish, project, alice)
    assert "$6$salt" not in str(Job.objects.get().params)
    run_jobs()
    assert Job.objects.get().params == {}


def test_a_creation_that_runs_twice_makes_one_machine(
    stocked: Provider, wish: VmSpec, project: Project, alice: User, run_jobs: RunJobs
) -> None:
    vm = create(stocked, wish, project, alice)
    params = Job.objects.get().params
    run_jobs()
    Job.objects.update(state=JobState.QUEUED, params=params, not_before=None)
    run_jobs()
    assert names_at(stocked) == ["web-1"]
    assert VirtualMachine.objects.get().pk == vm.pk


def test_a_refused_creation_leaves_a_row_that_says_why_and_nothing_at_the_provider(
    stocked: Provider, wish: VmSpec, project: Project, alice: User, run_jobs: RunJobs
) -> None:
    vm = create(stocked, wish.model_copy(update={"disks": (DiskSpec(image="vanished"),)}), project, alice)
    (job,) = run_jobs()
    vm.refresh_from_db()
    assert job.state == JobState.FAILED
    assert vm.presence == Presence.WANTED
    assert vm.problem.startswith("Create failed: ")
    assert Job.objects.get().params == {}
    assert names_at(stocked) == []


def test_a_second_try_uses_the_same_row(
    stocked: Provider, wish: VmSpec, project: Project, alice: User, run_jobs: RunJobs
) -> None:
    vm = create(stocked, wish.model_copy(update={"disks": (DiskSpec(image="vanished"),)}), project, alice)
    run_jobs()
    vm.refresh_from_db()
    services.create(project=project, provider=stocked, spec=wish, image=None, user=alice, retry_of=vm)
    run_jobs()
    vm.refresh_from_db()
    assert (vm.presence, vm.problem, vm.power) == (Presence.PRESENT, "", "running")
    assert VirtualMachine.objects.count() == 1


def test_a_creation_that_is_cancelled_takes_its_row_away(
    stocked: Provider, wish: VmSpec, project: Project, alice: User, run_jobs: RunJobs
) -> None:
    vm = create(stocked, wish, project, alice)
    jobs.cancel(Job.objects.get())
    run_jobs()
    vm.refresh_from_db()
    assert vm.presence == Presence.DELETED
    assert Job.objects.get().params == {}
    assert names_at(stocked) == []


def test_when_the_worker_died_before_anything_was_made_nothing_is_left(
    stocked: Provider,
    wish: VmSpec,
    project: Project,
    alice: User,
    run_jobs: RunJobs,
    django_capture_on_commit_callbacks: Any,
) -> None:
    vm = create(stocked, wish, project, alice)
    Job.objects.update(state=JobState.RUNNING, heartbeat_at=None)
    Job.objects.update(heartbeat_at="2020-01-01T00:00:00Z")
    with django_capture_on_commit_callbacks(execute=True):
        assert jobs.reap() == 1
    (settled,) = run_jobs()
    vm.refresh_from_db()
    assert (settled.kind, settled.state) == ("vm.settle", JobState.SUCCEEDED)
    assert (vm.presence, names_at(stocked)) == (Presence.WANTED, [])
    assert "went away" in vm.problem


def test_when_the_worker_died_after_the_machine_was_made_it_is_taken_over(
    stocked: Provider,
    wish: VmSpec,
    project: Project,
    alice: User,
    run_jobs: RunJobs,
    django_capture_on_commit_callbacks: Any,
) -> None:
    vm = create(stocked, wish, project, alice)
    with driver_for(stocked) as driver:
        driver.machines.create(wish.model_copy(update={"portal_uuid": str(vm.uuid)}))
    Job.objects.update(state=JobState.RUNNING, heartbeat_at="2020-01-01T00:00:00Z")
    with django_capture_on_commit_callbacks(execute=True):
        jobs.reap()
    run_jobs()
    vm.refresh_from_db()
    assert (vm.presence, vm.power) == (Presence.PRESENT, "running")
    assert names_at(stocked) == ["web-1"]
    assert "interrupted" in vm.problem


@pytest.mark.parametrize(
    ("service", "before", "after"),
    [
        (services.stop, "running", "stopped"),
        (services.force_stop, "running", "stopped"),
        (services.restart, "running", "running"),
        (services.pause, "running", "paused"),
    ],
)
def test_power_is_switched(
    service: Callable[..., Job],
    before: str,
    after: str,
    stocked: Provider,
    wish: VmSpec,
    project: Project,
    alice: User,
    run_jobs: RunJobs,
) -> None:
    vm = create(stocked, wish, project, alice)
    run_jobs()
    vm.refresh_from_db()
    assert vm.power == before
    service(vm, user=alice)
    (job,) = run_jobs()
    vm.refresh_from_db()
    assert (job.state, vm.power) == (JobState.SUCCEEDED, after), job.reason


def test_a_deleted_machine_is_gone_here_and_there(
    stocked: Provider, wish: VmSpec, project: Project, alice: User, run_jobs: RunJobs
) -> None:
    vm = create(stocked, wish, project, alice)
    run_jobs()
    vm.refresh_from_db()
    services.delete(vm, user=alice)
    run_jobs()
    vm.refresh_from_db()
    assert vm.presence == Presence.DELETED
    assert names_at(stocked) == []


def test_deleting_what_is_gone_already_succeeds(
    make_vm: MakeVm, stocked: Provider, alice: User, run_jobs: RunJobs
) -> None:
    vm = make_vm()
    services.delete(vm, user=alice)
    (job,) = run_jobs()
    vm.refresh_from_db()
    assert (job.state, vm.presence) == (JobState.SUCCEEDED, Presence.DELETED)


def test_a_failure_is_said_beside_the_machine_and_goes_with_the_next_success(
    stocked: Provider, wish: VmSpec, project: Project, alice: User, run_jobs: RunJobs
) -> None:
    vm = create(stocked, wish, project, alice)
    run_jobs()
    vm.refresh_from_db()
    fault(stocked, "power.stop", "conflict")
    services.force_stop(vm, user=alice)
    run_jobs()
    vm.refresh_from_db()
    assert vm.problem.startswith("Force off failed: ")
    services.force_stop(vm, user=alice)
    run_jobs()
    vm.refresh_from_db()
    assert (vm.problem, vm.power) == ("", "stopped")


def test_an_unreachable_provider_is_marked_and_recovers_by_itself(
    stocked: Provider, wish: VmSpec, project: Project, alice: User, run_jobs: RunJobs
) -> None:
    vm = create(stocked, wish, project, alice)
    run_jobs()
    vm.refresh_from_db()
    fault(stocked, "power.start", "unreachable")
    services.start(vm, user=alice)
    run_jobs()
    stocked.refresh_from_db()
    assert stocked.health == Health.FAILED
    assert stocked.unreachable_since is not None
    Job.objects.filter(state=JobState.QUEUED).update(not_before=None)
    run_jobs()
    stocked.refresh_from_db()
    assert stocked.health == Health.OK
    assert stocked.unreachable_since is None
