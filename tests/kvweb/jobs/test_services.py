"""The life of a job."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from kvweb.accounts.models import Project, User
from kvweb.events.models import Event
from kvweb.jobs import handlers, places, services
from kvweb.jobs.handlers import handler
from kvweb.jobs.models import Job, JobState
from kvweb.jobs.outcomes import Failed, Stopped, TryLater
from kvweb.jobs.progress import Reporter

pytestmark = pytest.mark.django_db
RunJobs = Callable[[], list[Job]]


@pytest.fixture
def work() -> Iterator[list[Callable[[Job, Reporter], Any]]]:
    """A handler "test.work" whose behaviour a test appends; the last one counts."""
    behaviours: list[Callable[[Job, Reporter], Any]] = [lambda job, reporter: {"made": "tea"}]
    handler("test.work", retries=2, on_failure=lambda job: ended.append(job.code))(
        # The behaviour is looked up when the job runs, since a test appends it later.
        lambda job, reporter: behaviours[-1](job, reporter)  # noqa: PLW0108
    )
    ended.clear()
    yield behaviours
    del handlers._handlers["test.work"]


ended: list[str] = []


def start(**values: Any) -> Job:
    return services.start("test.work", title="Make tea", **values)


def test_a_job_runs_and_keeps_its_result(work: Any, run_jobs: RunJobs) -> None:
    job = start(subject="vm:1")
    run_jobs()
    job.refresh_from_db()
    assert (job.state, job.result, job.percent) == (JobState.SUCCEEDED, {"made": "tea"}, 100)
    assert job.started_at
    assert job.ended_at


def test_starting_twice_is_one_job(work: Any) -> None:
    first = start(subject="vm:1")
    assert start(subject="vm:1").pk == first.pk
    assert Job.objects.count() == 1


def test_jobs_of_different_subjects_do_not_hinder_each_other(work: Any) -> None:
    assert start(subject="vm:1").pk != start(subject="vm:2").pk


def test_the_next_job_may_start_when_the_first_has_ended(work: Any, run_jobs: RunJobs) -> None:
    first = start(subject="vm:1")
    run_jobs()
    assert start(subject="vm:1").pk != first.pk


def test_a_job_is_claimed_once(work: Any) -> None:
    job = start()
    assert services.run(job.pk) is not None
    assert services.run(job.pk) is None


def test_a_reason_ends_a_job_failed_with_its_field(work: Any, run_jobs: RunJobs) -> None:
    def refuse(job: Job, reporter: Reporter) -> None:
        raise Failed("The name is taken.", "already_exists", field="name", detail="libvirt said 9")

    work.append(refuse)
    start()
    (job,) = run_jobs()
    assert (job.state, job.reason, job.code, job.field) == (
        JobState.FAILED,
        "The name is taken.",
        "already_exists",
        "name",
    )
    assert ended == ["already_exists"]
    assert [line.text for line in job.lines.all()] == ["The name is taken."]


def test_a_bug_ends_a_job_with_a_reference_and_not_with_its_text(work: Any, run_jobs: RunJobs) -> None:
    work.append(lambda job, reporter: 1 / 0)
    start()
    (job,) = run_jobs()
    assert job.state == JobState.ERRORED
    assert job.reference in job.reason
    assert "division" not in job.reason


def test_what_may_work_later_is_tried_again_and_then_given_up(work: Any) -> None:
    def unreachable(job: Job, reporter: Reporter) -> None:
        raise TryLater("It does not answer.", "unreachable", after_s=3)

    work.append(unreachable)
    job = start()
    waits = []
    for _ in range(3):
        services.run(job.pk)
        job.refresh_from_db()
        if job.state == JobState.QUEUED:
            assert job.not_before
            waits.append(round((job.not_before - timezone.now()).total_seconds()))
    assert waits == [3, 6]
    assert (job.state, job.attempt, job.reason) == (JobState.FAILED, 3, "It does not answer.")


def test_progress_is_written_told_and_logged(work: Any, run_jobs: RunJobs, project: Project) -> None:
    def report(job: Job, reporter: Reporter) -> None:
        reporter.report(40, "Copying the image")
        assert Job.objects.get(pk=job.pk).percent == 40

    work.append(report)
    job = start(subject="vm:1", project=project)
    run_jobs()
    assert [line.text for line in job.lines.all()] == ["Copying the image"]
    assert Event.objects.filter(subject="vm:1").count() >= 3


def test_a_waiting_job_is_cancelled_at_once(work: Any) -> None:
    job = services.cancel(start())
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED
    assert services.run(job.pk) is None


def test_a_running_job_stops_at_its_next_checkpoint(work: Any, run_jobs: RunJobs) -> None:
    def long(job: Job, reporter: Reporter) -> None:
        services.cancel(job)
        reporter.checkpoint()
        raise AssertionError("went on")

    work.append(long)
    start()
    (job,) = run_jobs()
    assert job.state == JobState.CANCELLED


def test_a_handler_may_stop_by_itself(work: Any, run_jobs: RunJobs) -> None:
    def stop(job: Job, reporter: Reporter) -> None:
        raise Stopped

    work.append(stop)
    start()
    assert run_jobs()[0].state == JobState.CANCELLED


def test_a_job_whose_worker_went_away_is_reaped(work: Any) -> None:
    job = start(subject="vm:1")
    Job.objects.update(state=JobState.RUNNING, heartbeat_at=timezone.now() - timedelta(minutes=2))
    assert services.reap() == 1
    job.refresh_from_db()
    assert (job.state, job.code) == (JobState.FAILED, "worker_gone")
    assert ended == ["worker_gone"]


def test_a_job_whose_worker_lives_is_not_reaped(work: Any) -> None:
    start()
    Job.objects.update(state=JobState.RUNNING, heartbeat_at=timezone.now() - timedelta(seconds=10))
    assert services.reap() == 0


def test_every_job_that_waits_is_handed_over_again_in_its_turn(work: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker lost all messages."""
    handed: list[int] = []

    def first_time(job: Job) -> bool:
        if job.pk in handed:
            return False
        handed.append(job.pk)
        return True

    monkeypatch.setattr(services, "_requeue_once", first_time)
    count = services.MOST_AT_ONCE + 1
    Job.objects.bulk_create(Job(kind="test.work", title="Make tea") for _ in range(count))
    Job.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    services.reap()
    assert len(handed) == services.MOST_AT_ONCE
    services.reap()
    assert handed == sorted(Job.objects.values_list("pk", flat=True))


def test_a_worker_that_comes_back_cannot_end_a_reaped_job(work: Any, run_jobs: RunJobs) -> None:
    def slow(job: Job, reporter: Reporter) -> dict[str, Any]:
        Job.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=5))
        services.reap()
        reporter.report(99, "Pouring")
        return {"made": "tea"}

    work.append(slow)
    start()
    (job,) = run_jobs()
    assert (job.state, job.result, job.message) == (JobState.FAILED, {}, "")


@contextmanager
def before_the_next_update(work: Callable[[], Any]) -> Iterator[None]:
    """Somebody else is quicker: what they do happens between a look at the jobs and the write that follows from it."""
    done = False

    def be_quicker(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal done
        if not done and sql.startswith("UPDATE"):
            done = True
            work()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(be_quicker):
        yield


def test_a_job_that_a_worker_claims_while_it_is_cancelled_is_asked_to_stop(work: Any) -> None:
    job = start()
    with before_the_next_update(lambda: places.claim(job.pk, worker="quick")):
        services.cancel(job)
    job.refresh_from_db()
    assert (job.state, job.cancel_requested) == (JobState.RUNNING, True)
    assert ended == []


def test_a_job_that_is_cancelled_is_not_tried_again(work: Any) -> None:
    def unreachable(job: Job, reporter: Reporter) -> None:
        services.cancel(job)
        raise TryLater("It does not answer.", "unreachable")

    work.append(unreachable)
    job = start()
    services.run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.reason) == (JobState.CANCELLED, "Cancelled.")


def test_a_job_that_shows_life_while_the_dead_are_counted_goes_on(work: Any) -> None:
    job = start()
    Job.objects.update(state=JobState.RUNNING, heartbeat_at=timezone.now() - timedelta(minutes=2))
    with before_the_next_update(lambda: Job.objects.update(heartbeat_at=timezone.now())):
        assert services.reap() == 0
    job.refresh_from_db()
    assert job.state == JobState.RUNNING


def test_a_job_that_nobody_can_do_any_more_fails_alone(work: Any) -> None:
    """Its kind was of another version of the portal. The jobs beside it must not wait for it."""
    strange = start(subject="vm:1")
    Job.objects.update(kind="test.forgotten")
    waiting, silent = start(subject="vm:2"), start(subject="vm:3")
    old = timezone.now() - timedelta(minutes=2)
    Job.objects.update(created_at=old)
    Job.objects.filter(pk=silent.pk).update(state=JobState.RUNNING, heartbeat_at=old)
    assert services.reap() == 1
    services.run(strange.pk)
    services.run(waiting.pk)
    states = [Job.objects.get(pk=job.pk).state for job in (strange, waiting, silent)]
    assert states == [JobState.FAILED, JobState.SUCCEEDED, JobState.FAILED]
    strange.refresh_from_db()
    assert strange.reason == "This version of the portal does not know how to do this."


def test_a_job_that_nobody_can_do_any_more_can_be_cancelled_and_reaped(work: Any) -> None:
    jobs = [start(subject="vm:1"), start(subject="vm:2")]
    Job.objects.update(kind="test.forgotten")
    services.cancel(jobs[0])
    Job.objects.filter(pk=jobs[1].pk).update(state=JobState.RUNNING, heartbeat_at=timezone.now() - timedelta(minutes=2))
    assert services.reap() == 1
    assert {job.state for job in Job.objects.all()} == {JobState.CANCELLED, JobState.FAILED}


def test_a_job_ends_also_when_its_subject_cannot_be_put_right(work: Any, run_jobs: RunJobs) -> None:
    def refuse(job: Job, reporter: Reporter) -> None:
        raise Failed("It is full.", "quota_exceeded")

    work.append(refuse)
    handlers._handlers["test.work"] = replace(handlers.find("test.work"), on_failure=lambda job: ended.remove("x"))
    start()
    (job,) = run_jobs()
    assert (job.state, job.reason) == (JobState.FAILED, "It is full.")


def test_old_jobs_are_swept(work: Any, run_jobs: RunJobs) -> None:
    start()
    run_jobs()
    Job.objects.update(ended_at=timezone.now() - timedelta(days=400))
    assert services.sweep() == 1


def test_the_actor_of_a_job_is_who_started_it(work: Any, run_jobs: RunJobs, alice: User) -> None:
    seen: list[int | None] = []

    def look(job: Job, reporter: Reporter) -> None:
        from kvweb.audit.context import acting

        seen.append(acting().user_id)

    work.append(look)
    start(user=alice)
    run_jobs()
    assert seen == [alice.pk]


@pytest.mark.django_db(transaction=True)
def test_sixteen_presses_at_once_are_one_job(work: Any) -> None:
    def press() -> None:
        try:
            start(subject="vm:1")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=press) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Job.objects.count() == 1
