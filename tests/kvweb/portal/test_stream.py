"""The event stream: who hears of what, what is caught up with, and where it ends. On a Redis of the test's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from django.test import AsyncClient, Client
from django.utils import timezone
from pytest_django import Settings

from kvweb.accounts.models import Membership, Project, User
from kvweb.events.models import Event
from kvweb.events.services import News, publish, publish_many
from kvweb.portal import stream
from tests.kvweb.portal.conftest import PrivateRedis

pytestmark = pytest.mark.django_db(transaction=True)

SOON_S = 5.0
STREAM = {"Accept": "text/event-stream"}


class Ear:
    """One open page: what its stream has told so far."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.text = ""
        self.has_ended = False

    @property
    def subjects(self) -> list[str]:
        return [row["subject"] for row in self.rows]

    async def listen(self, response: Any) -> None:
        async for piece in response.streaming_content:
            self.text += piece.decode()
            self.rows += [json.loads(line[6:]) for line in piece.decode().splitlines() if line.startswith("data: ")]
        self.has_ended = True

    async def hears(self, subject: str) -> None:
        await soon(lambda: subject in self.subjects)


async def soon(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(SOON_S):
        while not what():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def page_of(user: User, query: str = "", **headers: str) -> AsyncIterator[Ear]:
    """A page that this user has open."""
    client = AsyncClient()
    await client.aforce_login(user)
    response = await client.get(f"/events?{query}", headers={**STREAM, **headers})
    assert response.status_code == 200
    ear = Ear()
    listening = asyncio.create_task(ear.listen(response))
    await soon(lambda: "hello" in ear.text or ear.has_ended)
    try:
        yield ear
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def tell(subject: str, project: Project | None) -> None:
    await sync_to_async(publish)(subject, project_id=project.pk if project else None)


def _missed_by(user: User) -> list[str]:
    client = Client()
    client.force_login(user)
    return [row["subject"] for row in client.get("/events?since=0").json()["events"]]


def play(scene: Callable[[], Any]) -> None:
    """Run it with an event loop; the thread that asked the database lets go of it."""

    async def whole() -> None:
        try:
            await scene()
        finally:
            await sync_to_async(connections.close_all)()

    asyncio.run(whole())


# -- who hears ---------------------------------------------------------------------------------------------------------


def test_everybody_hears_of_their_own_projects(
    alice: User, charlie: User, root: User, project: Project, private_redis: PrivateRedis
) -> None:
    elsewhere = Project.objects.get(name="Elsewhere")

    async def scene() -> None:
        async with page_of(alice) as hers, page_of(charlie) as his, page_of(root) as all_of_it:
            await tell("vm:harbour", project)
            await tell("vm:elsewhere", elsewhere)
            await tell("provider:1", None)
            for ear, last in ((hers, "vm:harbour"), (his, "vm:elsewhere"), (all_of_it, "provider:1")):
                await ear.hears(last)
            assert hers.subjects == ["vm:harbour"]
            assert his.subjects == ["vm:elsewhere"]
            assert all_of_it.subjects == ["vm:harbour", "vm:elsewhere", "provider:1"]

    play(scene)


def test_nobody_without_a_session_hears_anything(client: Client, project: Project, private_redis: PrivateRedis) -> None:
    publish("vm:harbour", project_id=project.pk)
    for headers in ({}, STREAM):
        answer = client.get("/events?since=0", headers=headers)
        assert answer.status_code == 401
        assert answer.json() == {"title": "Sign in first."}
    assert private_redis.listeners() == 0


def test_somebody_without_a_project_hears_what_everybody_hears_and_is_kept(
    db: None, private_redis: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    del db
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.05)
    newcomer = User.objects.create_user("dora", "dora@example.org", "x")

    async def scene() -> None:
        async with page_of(newcomer) as ear:
            await soon(lambda: ": still here" in ear.text)
            await tell("provider:1", None)
            await sync_to_async(publish_many)([News("pool:1", None, is_shared=True)])
            await ear.hears("pool:1")
            assert (ear.subjects, ear.has_ended) == (["pool:1"], False)
        told = await sync_to_async(_missed_by)(newcomer)
        assert told == ["pool:1"], "the same where no stream passes"

    play(scene)


def test_a_page_hears_only_what_it_shows(alice: User, project: Project, private_redis: PrivateRedis) -> None:
    async def scene() -> None:
        async with page_of(alice, "list=jobs&subjects=vm:shown") as ear:
            for subject in ("vm:other", "job:1", "provider:1", "vm:shown"):
                await tell(subject, project)
            await ear.hears("vm:shown")
            assert ear.subjects == ["job:1", "vm:shown"]

    play(scene)


def test_only_names_travel(alice: User, project: Project, private_redis: PrivateRedis) -> None:
    async def scene() -> None:
        async with page_of(alice) as ear:
            await tell("vm:1", project)
            await ear.hears("vm:1")
            assert ear.rows[0].keys() == {"id", "subject", "topic"}

    play(scene)


# -- catching up -------------------------------------------------------------------------------------------------------


def test_a_page_that_comes_back_hears_what_it_missed(
    alice: User, project: Project, private_redis: PrivateRedis
) -> None:
    foreign = Project.objects.create(name="Elsewhere")
    publish("vm:heard", project_id=project.pk)
    heard = Event.objects.get()
    publish("vm:foreign", project_id=foreign.pk)
    publish("vm:missed", project_id=project.pk)

    async def scene() -> None:
        async with page_of(alice, **{"Last-Event-ID": str(heard.pk)}) as ear:
            await ear.hears("vm:missed")
            assert "vm:foreign" not in ear.subjects
            await tell("vm:new", project)
            await ear.hears("vm:new")
            assert f"id: {ear.rows[-1]['id']}\n" in ear.text

    play(scene)


def test_a_page_hears_what_happened_since_it_was_made(
    alice: User, project: Project, private_redis: PrivateRedis
) -> None:
    publish("vm:long-ago", project_id=project.pk)
    Event.objects.update(at=timezone.now() - timedelta(minutes=5))
    made_at = timezone.now().timestamp()
    publish("vm:meanwhile", project_id=project.pk)

    async def scene() -> None:
        async with page_of(alice, f"at={made_at:.2f}") as ear:
            await ear.hears("vm:meanwhile")
            assert ear.subjects == ["vm:meanwhile"]

    play(scene)


def test_news_that_come_while_one_catches_up_are_not_lost(
    alice: User, project: Project, private_redis: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    missed = stream._missed

    def slowly(*asked: Any) -> list[dict[str, Any]]:
        found = missed(*asked)
        # Between the look into the rows and the stream's first message.
        publish("vm:just-now", project_id=project.pk)
        return found

    monkeypatch.setattr(stream, "_missed", slowly)

    async def scene() -> None:
        async with page_of(alice, "since=0") as ear:
            await ear.hears("vm:just-now")

    play(scene)


def test_more_than_a_page_can_take_in_is_told_by_its_end(
    alice: User, project: Project, client_of: Callable[[User], Client]
) -> None:
    Event.objects.bulk_create(Event(subject=f"vm:{n}", topic="changed", project=project) for n in range(700))
    told = client_of(alice).get("/events?since=1").json()
    assert len(told["events"]) == stream.MOST
    assert told["events"][-1]["subject"] == "vm:699"


# -- where no stream can pass ------------------------------------------------------------------------------------------


def test_without_a_stream_the_same_is_told_as_json(
    alice: User, charlie: User, project: Project, client_of: Callable[[User], Client]
) -> None:
    publish("vm:1", project_id=project.pk)
    publish("job:1", project_id=project.pk)
    last = Event.objects.latest("pk").pk
    hers = client_of(alice)
    told = hers.get("/events?since=0&list=vms").json()
    assert [row["subject"] for row in told["events"]] == ["vm:1"]
    assert told["last"] == last
    assert client_of(charlie).get("/events?since=0").json()["events"] == []


def test_the_first_question_without_a_stream_is_about_the_time_since_the_page(
    alice: User, project: Project, client_of: Callable[[User], Client]
) -> None:
    publish("vm:long-ago", project_id=project.pk)
    Event.objects.update(at=timezone.now() - timedelta(minutes=5))
    made_at = timezone.now().timestamp()
    publish("vm:meanwhile", project_id=project.pk)
    told = client_of(alice).get(f"/events?at={made_at:.2f}").json()
    assert [row["subject"] for row in told["events"]] == ["vm:meanwhile"]


# -- the end of a stream -----------------------------------------------------------------------------------------------


def test_a_stream_ends_so_that_changed_rights_take_hold(
    alice: User,
    project: Project,
    private_redis: PrivateRedis,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.STREAM_LIFE_S = 0.3
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.05)

    async def scene() -> None:
        async with page_of(alice) as ear:
            await tell("vm:1", project)
            await ear.hears("vm:1")
            await sync_to_async(Membership.objects.filter(user=alice).delete)()
            await soon(lambda: ear.has_ended)
        async with page_of(alice, "since=0") as ear:
            await tell("vm:2", project)
            await soon(lambda: ear.has_ended)
            assert ear.subjects == []

    play(scene)


def test_a_page_that_is_closed_leaves_nobody_listening(
    alice: User, root: User, project: Project, private_redis: PrivateRedis
) -> None:
    async def scene() -> None:
        async with page_of(alice), page_of(root):
            # Hers: of her project and of everybody; the administrator listens to all in one.
            assert private_redis.listeners() == 3
        await soon(lambda: private_redis.listeners() == 0)

    play(scene)


def test_a_redis_that_dies_ends_the_stream_without_an_error(
    alice: User, project: Project, private_redis: PrivateRedis, client_of: Callable[[User], Client]
) -> None:
    async def scene() -> None:
        async with page_of(alice) as ear:
            private_redis.end()
            await soon(lambda: ear.has_ended)

    play(scene)
    # What happens now is told all the same: as rows, to those who ask.
    publish("vm:1", project_id=project.pk)
    assert client_of(alice).get("/events?since=0").json()["events"][0]["subject"] == "vm:1"


def test_a_redis_that_is_not_there_ends_the_stream_at_once(alice: User, settings: Settings) -> None:
    settings.REDIS_URL = f"unix:///tmp/kvweb-nobody-{uuid4().hex}.sock"

    async def scene() -> None:
        async with page_of(alice) as ear:
            await soon(lambda: ear.has_ended)

    play(scene)


def test_news_that_redis_lost_come_with_the_next_beat(
    alice: User, project: Project, private_redis: PrivateRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(stream, "SILENCE_S", 0.2)

    async def scene() -> None:
        async with page_of(alice) as ear:
            private_redis.hold()
            await tell("vm:1", project)
            await ear.hears("vm:1")
            await asyncio.sleep(0.2)
            assert ear.subjects == ["vm:1"], "once"
        async with page_of(alice) as late:
            await soon(lambda: late.has_ended)

    play(scene)


# -- readiness ---------------------------------------------------------------------------------------------------------


def test_the_portal_is_ready_when_its_redis_answers(client: Client, private_redis: PrivateRedis) -> None:
    assert client.get("/ready").json() == {"status": "ok", "failing": []}
    private_redis.end()
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "failing", "failing": ["redis"]})
