"""The watcher: what happens at a provider is soon in the database; a lost line is said, and found again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kvweb.accounts.models import Project
from kvweb.events.models import Event
from kvweb.jobs.models import Job, JobState
from kvweb.portal.watch import Watcher
from providers import pool, services
from providers.base import DiskSpec, VmSpec
from providers.base.facets.power import Power
from providers.fake.driver import FakeDriver
from providers.models import Health, Provider
from tools.trial.waiting import until
from vms.choices import Presence
from vms.console import signals
from vms.models import VirtualMachine

pytestmark = pytest.mark.django_db(transaction=True)

#: Long enough for a machine on which much else is going on; news take a tenth of a second.
SOON_S = 30.0


@pytest.fixture
def watched(fake_provider: Provider) -> Iterator[Provider]:
    """A provider that a watcher listens to."""
    with watching():
        soon(lambda: row(fake_provider).is_watched, "Watching")
        yield fake_provider


@contextmanager
def watching() -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=Watcher().run, args=(stop, 0.05))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=SOON_S)
        assert not thread.is_alive()
        # The threads of each watch end after the watcher itself, and would write into the next test's tables.
        soon(lambda: not [one for one in threading.enumerate() if one.name.startswith(("watch-", "read-"))], "The end")


@pytest.fixture
def cloud(fake_provider: Provider) -> Iterator[FakeDriver]:
    """Somebody else's hand at the provider: beside the portal, on a connection of its own."""
    driver = pool.connect(fake_provider)
    assert isinstance(driver, FakeDriver)
    with driver:
        yield driver


def soon(what: Callable[[], Any], said: str) -> Any:
    return until(what, timeout_s=SOON_S, said=said, every_s=0.02)


def row(provider: Provider) -> Provider:
    return Provider.objects.get(pk=provider.pk)


def machine(name: str = "web") -> VirtualMachine:
    return VirtualMachine.objects.get(name=name)


def power(cloud: FakeDriver) -> Power:
    assert cloud.power is not None
    return cloud.power


def make(cloud: FakeDriver, name: str = "web") -> str:
    spec = VmSpec(name=name, vcpus=1, memory_mib=64, disks=(DiskSpec(size_gib=1),), start=False)
    return cloud.machines.create(spec).external_id


def test_what_is_done_beside_the_portal_is_in_its_rows(watched: Provider, cloud: FakeDriver) -> None:
    external_id = make(cloud)
    soon(VirtualMachine.objects.filter(name="web", power="stopped").exists, "Finding the machine")
    assert machine().project.is_unassigned
    power(cloud).start(external_id)
    soon(lambda: machine().is_running, "Seeing it run")
    power(cloud).stop(external_id, force=True)
    soon(lambda: machine().is_off, "Seeing it off")


def test_the_console_service_is_told_of_a_guest_that_restarts(
    watched: Provider, cloud: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(signals, "announce_restart", told.append)
    external_id = make(cloud)
    soon(VirtualMachine.objects.exists, "Finding the machine")
    power(cloud).start(external_id)
    soon(lambda: machine().is_running, "Seeing it run")
    power(cloud).restart(external_id)
    soon(lambda: told == [str(machine().uuid)], "Telling of the restart")


def test_open_pages_hear_of_it(watched: Provider, cloud: FakeDriver, project: Project) -> None:
    external_id = make(cloud)
    soon(VirtualMachine.objects.exists, "Finding the machine")
    VirtualMachine.objects.update(project=project)
    Event.objects.all().delete()
    power(cloud).start(external_id)
    soon(Event.objects.filter(subject=machine().subject, project=project).exists, "The news")


def test_a_machine_that_is_taken_away_is_missed_by_its_project(
    watched: Provider, cloud: FakeDriver, project: Project
) -> None:
    external_id = make(cloud)
    soon(VirtualMachine.objects.exists, "Finding the machine")
    VirtualMachine.objects.update(project=project)
    cloud.machines.delete(external_id)
    soon(lambda: machine().presence == Presence.MISSING, "Missing it")


def test_many_changes_at_once_are_read_with_one_list(watched: Provider, cloud: FakeDriver) -> None:
    for number in range(40):
        make(cloud, f"web-{number}")
    soon(lambda: VirtualMachine.objects.filter(presence=Presence.PRESENT).count() == 40, "Finding all of them")


def test_each_watching_begins_with_reading_everything(watched: Provider) -> None:
    soon(lambda: Job.objects.filter(kind="inventory.sync").exists(), "The first reading")
    [job] = Job.objects.filter(kind="inventory.sync")
    assert (job.subject, job.params) == (f"inventory:{watched.uuid}", {"everything": True})


def test_a_disabled_provider_is_not_listened_to(watched: Provider, cloud: FakeDriver) -> None:
    services.disable(watched)
    soon(lambda: not row(watched).is_watched, "Letting go of it")
    make(cloud)
    threading.Event().wait(0.5)
    assert not VirtualMachine.objects.exists()
    services.enable(watched)
    soon(lambda: row(watched).is_watched, "Listening again")


def test_a_provider_that_is_removed_is_let_go(watched: Provider) -> None:
    services.remove(watched)
    soon(lambda: not [one for one in threading.enumerate() if one.name.startswith("watch-")], "Letting go of it")


def test_changed_settings_are_taken_up(watched: Provider, cloud: FakeDriver, tmp_path: Any) -> None:
    Job.objects.update(state=JobState.SUCCEEDED)
    [before] = [one for one in threading.enumerate() if one.name.startswith("watch-")]
    # The old watch is in the middle of a slow answer and ends late.
    cloud.cloud.set_fault("machines.get", kind="slow")
    make(cloud, "slow")
    threading.Event().wait(0.3)
    Provider.objects.filter(pk=watched.pk).update(config={**watched.config, "path": str(tmp_path / "other.sqlite3")})
    soon(Job.objects.filter(state=JobState.QUEUED).exists, "Reading everything at the new place")
    # The old watch says at its end that nobody listens; that must not be the last word.
    before.join(timeout=SOON_S)
    soon(lambda: row(watched).is_watched, "Listening at the new place")
    with pool.connect(row(watched)) as moved:
        assert isinstance(moved, FakeDriver)
        make(moved)
    soon(VirtualMachine.objects.filter(name="web").exists, "Hearing the new place")
    assert row(watched).is_watched


def test_a_lost_line_is_said_and_found_again(watched: Provider, cloud: FakeDriver) -> None:
    Job.objects.update(state=JobState.SUCCEEDED)
    cloud.cloud.set_fault("*", kind="unreachable", times=-1)
    soon(lambda: row(watched).health == Health.FAILED and not row(watched).is_watched, "Saying that it is lost")
    lost = row(watched)
    assert lost.unreachable_since is not None
    assert lost.health_reason == "The simulated cloud does not answer."
    cloud.cloud.clear_faults()
    make(cloud)
    soon(lambda: row(watched).is_watched, "Finding it again")
    found = row(watched)
    assert (found.health, found.health_reason, found.unreachable_since) == (Health.OK, "", None)
    # What happened meanwhile was told to nobody: everything is read anew.
    soon(lambda: Job.objects.filter(kind="inventory.sync", state=JobState.QUEUED).exists(), "Reading it anew")


def test_one_provider_that_is_lost_does_not_deafen_the_other(
    watched: Provider, cloud: FakeDriver, tmp_path: Any
) -> None:
    second = Provider.objects.create(
        kind="fake",
        name="Farville",
        capabilities=watched.capabilities,
        config={**watched.config, "path": str(tmp_path / "far.sqlite3"), "faults": {"*": "unreachable"}},
    )
    soon(lambda: row(second).health == Health.FAILED, "Noticing the second")
    make(cloud)
    soon(VirtualMachine.objects.filter(name="web").exists, "Hearing the first")
    assert row(watched).health == Health.OK


def test_a_provider_without_events_is_left_to_the_clock(fake_provider: Provider) -> None:
    Provider.objects.update(capabilities={**fake_provider.capabilities, "events": None})
    with watching():
        threading.Event().wait(0.3)
        assert not row(fake_provider).is_watched
        assert not [one for one in threading.enumerate() if one.name.startswith("watch-")]
