"""How many jobs run at one place, and how long one may take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from kvweb.jobs import handlers, services
from kvweb.jobs.handlers import handler
from kvweb.jobs.models import Job, JobState
from kvweb.jobs.outcomes import TryLater
from kvweb.jobs.places import WAITING, Place, claim
from kvweb.jobs.progress import Reporter
from kvweb.jobs.services import enqueue

pytestmark = pytest.mark.django_db

LAB = Place("provider:lab", "provider.fake", 2)
OTHER = Place("provider:other", "provider.fake", 2)


@pytest.fixture
def work() -> Iterator[list[Callable[[Job, Reporter], Any]]]:
    behaviours: list[Callable[[Job, Reporter], Any]] = [lambda job, reporter: None]
    handler("test.place", retries=1, limit_s=120)(lambda job, reporter: behaviours[-1](job, reporter))  # noqa: PLW0108
    yield behaviours
    del handlers._handlers["test.place"]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The jobs that were given to the broker, in order."""
    given: list[int] = []

    def note(job: Job, *, after_s: float = 0.0) -> bool:
        given.append(job.pk)
        return True

    monkeypatch.setattr(services, "enqueue", note)
    return given


def start(place: Place) -> Job:
    return services.start("test.place", title="Make tea", place=place)


def test_a_full_place_turns_jobs_away_and_others_go_on(work: Any) -> None:
    lab, other = [start(LAB) for _ in range(3)], start(OTHER)
    assert [claim(job.pk, worker="w") for job in lab] == [True, True, False]
    assert claim(other.pk, worker="w")
    lab[2].refresh_from_db()
    assert (lab[2].state, lab[2].message) == (JobState.QUEUED, WAITING)


def test_who_leaves_a_place_sends_the_next_that_waits(
    work: Any, sent: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    waiting: list[Job] = []

    def fill(job: Job, reporter: Reporter) -> None:
        assert claim(start(LAB).pk, worker="w")
        waiting.extend(start(LAB) for _ in range(2))
        assert not any(claim(each.pk, worker="w") for each in waiting)

    work.append(fill)
    first = start(LAB)
    with django_capture_on_commit_callbacks(execute=True):
        services.run(first.pk)
    assert sent.count(waiting[0].pk) == 2, "once when it was started, once when its turn came"
    assert sent.count(waiting[1].pk) == 1
    assert claim(waiting[0].pk, worker="w")


def test_a_job_that_tries_again_later_makes_room_meanwhile(
    work: Any, sent: list[int], django_capture_on_commit_callbacks: Any
) -> None:
    narrow = Place("provider:lab", "provider.fake", 1)
    waiting: list[Job] = []

    def refuse(job: Job, reporter: Reporter) -> None:
        waiting.append(start(narrow))
        assert not claim(waiting[0].pk, worker="w")
        raise TryLater("The host does not answer.", "unreachable")

    work.append(refuse)
    with django_capture_on_commit_callbacks(execute=True):
        services.run(start(narrow).pk)
    assert sent.count(waiting[0].pk) == 2
    assert claim(waiting[0].pk, worker="w")


def test_the_broker_is_told_how_long_a_job_may_take(work: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from kvweb.jobs.tasks import run_job

    told: list[dict[str, Any]] = []
    monkeypatch.setattr(run_job, "apply_async", lambda args, **options: told.append(options))
    enqueue(start(LAB))
    assert (told[0]["soft_time_limit"], told[0]["time_limit"]) == (120, 120 + services.GRACE_S)


def test_a_job_past_its_limit_ends_with_a_sentence(work: Any) -> None:
    def never_end(job: Job, reporter: Reporter) -> None:
        raise SoftTimeLimitExceeded

    work.append(never_end)
    job = start(LAB)
    services.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.code) == (JobState.FAILED, "too_long")
    assert job.reason == "It was not done after 2 minutes and was ended. You can try again."
