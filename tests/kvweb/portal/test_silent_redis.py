"""Redis is there and says nothing: no click waits for it, nothing is lost, and pages say what is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from django.test import Client
from pytest_django import Settings

from kvweb.accounts.models import User
from kvweb.celery import app
from kvweb.events import bus
from kvweb.events.cache import SteadyCache
from kvweb.jobs import services
from kvweb.jobs.handlers import handler
from kvweb.jobs.models import Job, JobState

# Before the fixture that keeps tests from the broker takes its place.
from kvweb.jobs.services import WAITS_FOR_QUEUE, enqueue
from tests.conftest import PASSWORD, MakeVm
from tests.kvweb.portal.conftest import PrivateRedis
from vms.models import VirtualMachine

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker(private_redis: PrivateRedis, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateRedis]:
    """Jobs are really handed over, and with the short patience of a web process."""
    monkeypatch.setattr(services, "enqueue", enqueue)
    known, amqp = app.conf["broker_url"], cast(Any, app.amqp)
    app.conf["broker_url"] = private_redis.url.replace("unix://", "redis+socket://")
    amqp._producer_pool = None
    yield private_redis
    app.conf["broker_url"] = known
    amqp._producer_pool = None


@pytest.fixture
def is_off(make_vm: MakeVm) -> VirtualMachine:
    return make_vm(name="web-1", power="stopped")


def test_a_click_is_answered_soon_says_what_it_waits_for_and_is_done_later(
    alice: User, is_off: VirtualMachine, broker: PrivateRedis, client_of: Callable[[User], Client]
) -> None:
    client = client_of(alice)
    client.get(f"/vms/{is_off.uuid}/")
    broker.hold()
    began = time.monotonic()
    client.post(f"/vms/{is_off.uuid}/do/start")
    took_s = time.monotonic() - began
    job = Job.objects.get(subject=is_off.subject)
    assert (job.state, job.message) == (JobState.QUEUED, WAITS_FOR_QUEUE)
    # It tells three things and hands one over; what is silent is waited for once.
    assert took_s < 3, f"A click took {took_s:.1f} s."
    assert WAITS_FOR_QUEUE in client.get(f"/vms/{is_off.uuid}/").content.decode()

    broker.go_on()
    bus._rests_until = 0.0
    assert services.enqueue(job), "the next look at what waits hands it over"
    job.refresh_from_db()
    services.run(job.pk)
    job.refresh_from_db()
    assert job.message != WAITS_FOR_QUEUE


def test_signing_in_needs_no_redis(
    alice: User, private_redis: PrivateRedis, settings: Settings, client: Client
) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "10/m/ip"}
    settings.CACHES = {
        "default": {
            "BACKEND": "kvweb.events.cache.SteadyCache",
            "LOCATION": private_redis.url,
            "OPTIONS": {"socket_timeout": 0.2},
        }
    }
    private_redis.hold()
    answer = client.post("/accounts/login/", {"login": alice.username, "password": PASSWORD})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")


def test_the_cache_is_shared_again_when_redis_is_back(private_redis: PrivateRedis) -> None:
    cache = SteadyCache(private_redis.url, {"OPTIONS": {"socket_timeout": 0.2}})
    cache.set("a", 1)
    private_redis.hold()
    assert cache.get("a") is None
    cache.add("tries", 0, 60)
    assert [cache.incr("tries"), cache.incr("tries")] == [1, 2]
    private_redis.go_on()
    bus._rests_until = 0.0
    assert (cache.get("a"), cache.get("tries")) == (1, None)


def test_workers_are_more_patient_than_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    from kvweb.celery import PATIENCE_S, be_patient

    known = app.conf.broker_transport_options
    assert known["socket_timeout"] <= 2
    try:
        be_patient()
        assert app.conf.broker_transport_options == {**known, "socket_timeout": PATIENCE_S}
    finally:
        app.conf.broker_transport_options = known


def test_a_job_says_no_more_what_it_waited_for_when_it_runs() -> None:
    handler("test.tea")(lambda job, reporter: None)
    try:
        job = Job.objects.create(kind="test.tea", title="Make tea", message=WAITS_FOR_QUEUE)
        services.run(job.pk)
    finally:
        from kvweb.jobs import handlers

        del handlers._handlers["test.tea"]
    job.refresh_from_db()
    assert (job.state, job.message) == (JobState.SUCCEEDED, "")
