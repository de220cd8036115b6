"""Jobs wait and nobody comes for them: the dashboard and the page of jobs say so, and to whom it helps also why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from kvweb.accounts.models import User
from kvweb.jobs import standstill
from kvweb.jobs.models import Job, JobState

pytestmark = pytest.mark.django_db
SignIn = Callable[[User], Client]
PAGES = ("/", "/jobs/", "/jobs/standstill")


@pytest.fixture(autouse=True)
def _broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test needs Redis: here it answers."""
    monkeypatch.setattr(standstill, "_broker_answers", lambda: True)


def job(
    *, created_s: float, beat_s: float | None = None, state: JobState = JobState.QUEUED, tries_in_s: float = 0
) -> Job:
    """One that was asked for so many seconds ago, and whose worker was last heard so many seconds ago."""
    now = timezone.now()
    made = Job.objects.create(
        kind="vm.start",
        title="Start",
        state=state,
        heartbeat_at=now - timedelta(seconds=beat_s) if beat_s is not None else None,
        not_before=now + timedelta(seconds=tries_in_s) if tries_in_s else None,
    )
    Job.objects.filter(pk=made.pk).update(created_at=now - timedelta(seconds=created_s))
    return made


@pytest.mark.parametrize("page", PAGES)
def test_an_administrator_reads_why_nothing_happens_and_what_to_type(
    page: str, root: User, client_of: SignIn, settings: LazySettings
) -> None:
    settings.START_WORKER = "systemctl start kvweb-worker"
    done = job(created_s=600, beat_s=400, state=JobState.SUCCEEDED)
    job(created_s=60)
    shown = client_of(root).get(page).content.decode()
    assert "Nothing is being worked on:" in shown
    assert "no worker has reported since" in shown
    assert done.heartbeat_at is not None
    assert done.heartbeat_at.strftime("%Y-%m-%dT%H:%M") in shown
    assert "<code>systemctl start kvweb-worker</code>" in shown


@pytest.mark.parametrize("page", PAGES)
def test_everybody_else_is_calmed(page: str, alice: User, client_of: SignIn) -> None:
    job(created_s=60)
    shown = client_of(alice).get(page).content.decode()
    assert "Jobs are waiting longer than usual." in shown
    assert "worker" not in shown.partition('id="standstill"')[2].partition("</div></div>")[0]


def test_without_any_job_done_before_no_hour_is_named(root: User, client_of: SignIn) -> None:
    job(created_s=60)
    assert "no worker has reported yet" in client_of(root).get("/jobs/standstill").content.decode()


def test_a_broker_that_is_away_is_named_instead_of_the_worker(
    root: User, client_of: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standstill, "_broker_answers", lambda: False)
    job(created_s=60)
    shown = client_of(root).get("/jobs/standstill").content.decode()
    assert "Redis, which hands jobs to the workers, does not answer." in shown
    assert "Start it with" not in shown


def test_a_worker_that_beats_is_busy_and_not_away() -> None:
    job(created_s=600)
    assert standstill.look().is_still
    job(created_s=300, beat_s=12, state=JobState.RUNNING)
    assert standstill.look() == standstill.Queue(has_waiting=True)


def test_a_job_that_waits_for_a_moment_or_for_its_next_try_is_no_alarm() -> None:
    job(created_s=5)
    assert standstill.look() == standstill.Queue(has_waiting=True)
    Job.objects.all().delete()
    job(created_s=600, beat_s=500, tries_in_s=60)
    assert standstill.look() == standstill.Queue(has_waiting=True)


def test_the_page_asks_again_only_while_a_job_waits(root: User, client_of: SignIn) -> None:
    client = client_of(root)
    assert "every 15s" not in client.get("/jobs/standstill").content.decode()
    waiting = job(created_s=60)
    assert "every 15s" in client.get("/jobs/standstill").content.decode()
    Job.objects.filter(pk=waiting.pk).update(state=JobState.RUNNING, heartbeat_at=timezone.now())
    quiet = client.get("/jobs/standstill").content.decode()
    assert "every 15s" not in quiet
    assert "banner" not in quiet
