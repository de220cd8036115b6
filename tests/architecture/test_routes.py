"""Every address of the portal, and what it answers to whom: a new route gets its line here before it is finished."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection, transaction
from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, resolve
from django.utils import timezone
from pytest_django import DjangoDbBlocker, Settings

from kvweb.accounts.models import Membership, Project, Role, SshKey, User
from kvweb.events import bus
from kvweb.jobs.models import Job, JobState
from kvweb.ui.icons import sprite
from networking.models import Network
from providers import pool
from providers.models import Provider
from storage.models import Image, Pool, Upload, Volume
from tests.conftest import PASSWORD, member, new_fake_provider, vm_maker
from vms.console import targets
from vms.flavors import default_flavors
from vms.models import ConsoleSession, GuestLink, VirtualMachine

#: Who comes by, in the order of the columns: one who is not signed in, charlie the stranger, vera who views, bob who
#: operates, alice who is a member, maria who manages, root who administers.
PEOPLE = ("nobody", "charlie", "vera", "bob", "alice", "maria", "root")

#: What each gets. `in`: is sent to the sign-in page. `+`: and something was changed; without it nothing was.
#: Objects are the project's; charlie, who has nothing there, is told the same as about what does not exist.
TABLE = """
#                                      nobody  charlie vera    bob     alice   maria   root
GET  /                                 in      200     200     200     200     200     200
GET  /dashboard/part                   in      200     200     200     200     200     200
GET  /health                           200     200     200     200     200     200     200
GET  /ready                            503     503     503     503     503     503     503
GET  /metrics                          200     200     200     200     200     200     200
GET  /events                           401     200     200     200     200     200     200
GET  /icons/{icons}.svg                200     200     200     200     200     200     200
GET  /standing                         in      200     200     200     200     200     200

GET  /vms/                             in      200     200     200     200     200     200
GET  /vms/rows?ids={vm}                in      200     200     200     200     200     200
GET  /vms/sparklines?ids={vm},{on}     in      200     200     200     200     200     200
GET  /vms/screens?ids={vm},{on}        in      200     200     200     200     200     200
GET  /vms/create                       in      200     403     403     200     200     200
POST /vms/create                       in      422     403     403     302+    302+    302+
HTMX /vms/bulk                         401     204     204     204+    204+    204+    204+
GET  /vms/{vm}/                        in      404     200     200     200     200     200
GET  /vms/{vm}/header                  in      404     200     200     200     200     200
GET  /vms/{vm}/menu                    in      404     200     200     200     200     200
GET  /vms/{vm}/disks                   in      404     200     200     200     200     200
GET  /vms/{vm}/file-systems            in      404     200     200     200     200     200
GET  /vms/{vm}/networks                in      404     200     200     200     200     200
GET  /vms/{vm}/snapshots               in      404     200     200     200     200     200
GET  /vms/{vm}/history                 in      404     200     200     200     200     200
GET  /vms/{vm}/settings                in      404     200     200     200     200     200
GET  /vms/{vm}/part/settings           in      404     200     200     200     200     200
GET  /vms/{vm}/console                 in      404     200     200     200     200     200
GET  /vms/{vm}/metrics                 in      404     200     200     200     200     200
GET  /vms/{vm}/part/metrics            in      404     200     200     200     200     200
GET  /vms/{vm}/metrics/data?range=day  in      404     200     200     200     200     200
GET  /vms/{vm}/part/overview           in      404     200     200     200     200     200
GET  /vms/{vm}/part/console            in      404     200     200     200     200     200
GET  /vms/{vm}/part/disks              in      404     200     200     200     200     200
GET  /vms/{vm}/part/networks           in      404     200     200     200     200     200
GET  /vms/{vm}/part/snapshots          in      404     200     200     200     200     200
GET  /vms/{vm}/part/history            in      404     200     200     200     200     200
GET  /vms/{vm}/ask/delete              in      404     200     200     200     200     200
HTMX /vms/{vm}/do/start                401     404     403     200+    200+    200+    200+
POST /vms/{vm}/do/start                in      404     302     302+    302+    302+    302+
HTMX /vms/{vm}/do/delete               401     404     403     403     200+    200+    200+
GET  /vms/{vm}/ask/attach-disk         in      404     200     200     200     200     200
HTMX /vms/{vm}/do/attach-disk          401     404     403     403     204+    204+    204+
HTMX /vms/{vm}/do/add-nic              401     404     403     403     422     422     422
GET  /vms/{vm}/ask/take-snapshot       in      404     200     200     200     200     200
HTMX /vms/{vm}/do/take-snapshot        401     404     403     204+    204+    204+    204+
HTMX /vms/{vm}/do/rename               401     404     403     403     204+    204+    204+
HTMX /vms/{vm}/do/clone                401     404     403     403     204+    204+    204+
HTMX /vms/{vm}/do/export               401     404     403     403     204+    204+    204+
HTMX /vms/{vm}/do/migrate              401     404     403     403     422     422     422
HTMX /vms/{vm}/description             401     404     422     422     200+    200+    200+
HTMX /vms/{vm}/dismiss-problem         401     404     403     200+    200+    200+    200+
POST /vms/{vm}/do/assign               in      404     302     302     302     302     302+
GET  /vms/{on}/console/vnc             in      404     403     200     200     200     200
GET  /vms/{on}/console/serial/state    in      404     200     200     200     200     200
GET  /vms/{on}/console/vnc/menu        in      404     200     200     200     200     200
GET  /vms/{on}/screen                  in      404     404     404     404     404     404
POST /vms/{on}/console/vnc/grant       in      404     403     200+    200+    200+    200+

GET  /vms/{on}/guests                  in      404     403     403     200     200     200
POST /vms/{on}/guests                  in      404     403     403     200+    200+    200+
POST /vms/{on}/guests/{link}/revoke    in      404     403     403     302+    302+    302+
GET  /vms/{on}/serial-log              in      404     403     200     200     200     200
GET  /vms/{on}/serial-log/output       in      404     403     200     200     200     200
HTMX /vms/{on}/do/read-output          401     404     403     200+    200+    200+    200+
GET  /vms/{on}/serial-log/download     in      404     403     200+    200+    200+    200+
HTMX /vms/{on}/do/keep-serial-log      401     404     403     403     200+    200+    200+

GET  /consoles/                        in      200     200     200     200     200     200
GET  /consoles/rows?ids={console}      in      200     200     200     200     200     200
HTMX /consoles/{console}/close         401     404     404     200+    404     200+    200+
GET  /guest/{link}                     200     200     200     200     200     200     200
POST /guest/{link}/enter               403     403     403     403     403     403     403
POST /guest/{link}/grant               403     403     403     403     403     403     403

GET  /jobs/                            in      200     200     200     200     200     200
GET  /jobs/active                      in      200     200     200     200     200     200
GET  /jobs/activity                    in      200     200     200     200     200     200
GET  /jobs/rows?ids={job}              in      200     200     200     200     200     200
GET  /jobs/standstill                  in      200     200     200     200     200     200
GET  /jobs/{job}/                      in      404     200     200     200     200     200
GET  /jobs/{job}/state                 in      404     200     200     200     200     200
GET  /jobs/{job}/lines                 in      404     200     200     200     200     200
HTMX /jobs/{job}/cancel                401     404     403     403     200+    200+    200+

GET  /pools/                           in      200     200     200     200     200     200
GET  /pools/rows?ids={pool}            in      200     200     200     200     200     200
GET  /pools/create                     in      404     404     404     404     404     200
POST /pools/create                     in      404     404     404     404     404     302+
GET  /pools/{pool}/                    in      404     200     200     200     200     200
GET  /pools/{pool}/menu                in      404     200     200     200     200     200
GET  /pools/{pool}/part                in      404     200     200     200     200     200
GET  /pools/{pool}/ask/delete          in      404     200     200     200     200     200
HTMX /pools/{pool}/do/stop             401     404     403     403     403     403     200+
GET  /volumes/                         in      200     200     200     200     200     200
GET  /volumes/rows?ids={volume}        in      200     200     200     200     200     200
GET  /volumes/create                   in      200     404     404     200     200     200
POST /volumes/create                   in      422     404     404     302+    302+    302+
POST /volumes/read                     in      302+    302+    302+    302+    302+    302+
GET  /volumes/{volume}/                in      404     200     200     200     200     200
GET  /volumes/{volume}/menu            in      404     200     200     200     200     200
GET  /volumes/{volume}/part            in      404     200     200     200     200     200
GET  /volumes/{volume}/ask/grow        in      404     200     200     200     200     200
HTMX /volumes/{volume}/do/delete       401     404     403     403     200+    200+    200+
GET  /transfer/volumes/{volume}/file   in      404     302     302     302     302     302
GET  /volumes/{volume}/upload          in      404     404     404     200     200     200
GET  /transfer/volumes/{volume}/upload in      404     403     403     200     200     200
POST /transfer/volumes/{volume}/upload/0  in   404     403     403     409+    409+    409+
POST /transfer/volumes/{volume}/finish in      404     403     403     409     409     409
POST /volumes/{volume}/do/assign       in      404     302     302     302     302     302+
GET  /networks/                        in      200     200     200     200     200     200
GET  /networks/rows?ids={network}      in      200     200     200     200     200     200
GET  /networks/look?cidr=10.1.0.0/24   in      404     404     404     404     404     200
GET  /networks/create                  in      404     404     404     404     404     200
POST /networks/create                  in      404     404     404     404     404     302+
GET  /networks/{network}/              in      404     200     200     200     200     200
GET  /networks/{network}/menu          in      404     200     200     200     200     200
GET  /networks/{network}/part          in      404     200     200     200     200     200
GET  /networks/{network}/ask/delete    in      404     200     200     200     200     200
GET  /networks/{network}/edit          in      404     404     404     404     404     200
POST /networks/{network}/edit          in      404     404     404     404     404     302+
POST /networks/{network}/read          in      404     302+    302+    302+    302+    302+
HTMX /networks/{network}/do/stop       401     404     403     403     403     403     200+

GET  /images/                          in      200     200     200     200     200     200
GET  /images/rows?ids={image}          in      200     200     200     200     200     200
GET  /images/add                       in      200     404     404     200     200     200
POST /images/add/catalogue             in      422     404     404     302+    302+    302+
POST /images/add/url                   in      422     404     404     302+    302+    302+
POST /images/add/upload                in      422     404     404     201+    201+    201+
GET  /images/{own_image}/              in      404     200     200     200     200     200
GET  /images/{own_image}/menu          in      404     200     200     200     200     200
GET  /images/{own_image}/part          in      404     200     200     200     200     200
GET  /images/{own_image}/ask/delete    in      404     200     200     200     200     200
POST /images/{own_image}/do/delete     in      404     302     302     302+    302+    302+
GET  /transfer/images/{upload}/upload  in      404     404     404     200     404     404
POST /transfer/images/{upload}/upload/0  in    404     404     404     413     404     404
POST /transfer/images/{upload}/finish  in      404     404     404     409     404     404
GET  /transfer/images/{own_image}/file  in     404     403     403     200+    200+    200+

GET  /providers/                       in      404     404     404     404     404     200
GET  /providers/add                    in      404     404     404     404     404     200
GET  /providers/add/fake               in      404     404     404     404     404     200
POST /providers/add/fake               in      404     404     404     404     404     302+
GET  /providers/{provider}/            in      404     404     404     404     404     200
GET  /providers/{provider}/body        in      404     404     404     404     404     200
GET  /providers/{provider}/card        in      404     404     404     404     404     200
GET  /providers/{provider}/host        in      404     404     404     404     404     200
GET  /providers/{provider}/host/facts  in      404     404     404     404     404     200
GET  /providers/{provider}/host/data   in      404     404     404     404     404     200
GET  /providers/{provider}/edit        in      404     404     404     404     404     200
POST /providers/{provider}/edit        in      404     404     404     404     404     302+
GET  /providers/{provider}/ask/remove  in      404     404     404     404     404     200
POST /providers/{provider}/do/disable  in      404     404     404     404     404     302+

GET  /account/                         in      200     200     200     200     200     200
GET  /account/keys                     in      200     200     200     200     200     200
POST /account/keys                     in      302+    302+    302+    302+    302+    302+
POST /account/keys/{key}/remove        in      404     404     404     302+    404     404
GET  /projects/                        in      200     200     200     200     200     200
POST /projects/                        in      403     403     403     403     403     302+
GET  /projects/{project}/              in      404     200     200     200     200     200
POST /projects/{project}/change        in      404     403     403     403     403     302+
POST /projects/{project}/members/add   in      404     403     403     403     302+    302+
POST /projects/{project}/members/{member}/role    in 404 403   403     403     302+    302+
POST /projects/{project}/members/{member}/remove  in 404 403   403     403     302+    302+
GET  /people/                          in      404     404     404     404     404     200
POST /people/                          in      404     404     404     404     404     302+
GET  /people/{person}/                 in      404     404     404     404     404     200
POST /people/{person}/do/disable       in      404     404     404     404     404     302+
"""

#: What is sent along; values may name objects as addresses do.
SENT: dict[str, dict[str, str]] = {
    "/vms/create": {"name": "kvweb-test-new", "image": "{image}", "project": "{project}"},
    "/vms/bulk": {"action": "start", "vm": "{vm}"},
    "/vms/{vm}/do/delete": {"typed": "web"},
    "/vms/{vm}/do/attach-disk": {"size_gib": "4"},
    "/vms/{vm}/do/add-nic": {"network": "{network}"},
    "/vms/{vm}/do/take-snapshot": {"name": "before"},
    "/vms/{vm}/do/rename": {"name": "kvweb-test-renamed"},
    "/vms/{vm}/do/clone": {"name": "kvweb-test-copy"},
    "/vms/{vm}/do/export": {"name": "kvweb-test-image"},
    "/vms/{vm}/description": {"description": "Keeps the ledger."},
    "/vms/{vm}/do/assign": {"project": "{other_project}"},
    "/providers/add/fake": {"name": "Newtown", "config_demo": ""},
    "/providers/{provider}/edit": {"name": "Renamed"},
    "/vms/{on}/guests": {"guest_name": "Gina", "kind": "vnc", "hours": "4"},
    "/guest/{link}/enter": {"secret": "guessed"},
    "/pools/create": {"provider": "{backyard}", "name": "new", "type": "dir", "dir-path": "/srv/new"},
    "/images/add/catalogue": {"entry": "debian-13", "place": "{pool}", "project": "{project}"},
    "/images/add/url": {"url": "https://images.example.org/x.img", "place": "{pool}", "project": "{project}"},
    "/images/add/upload": {"file_name": "x.img", "size": "10", "place": "{pool}", "project": "{project}"},
    "/images/{own_image}/do/delete": {"typed": "ours"},
    "/pools/{pool}/do/stop": {"confirmed": "1"},
    "/volumes/create": {"name": "new", "project": "{project}", "pool": "{pool}", "size_gib": "1"},
    "/volumes/{volume}/do/delete": {"typed": "data"},
    "/volumes/{volume}/do/assign": {"project": "{other_project}"},
    # All of nothing has arrived: no file was begun.
    "/transfer/volumes/{volume}/finish": {"size": "0"},
    "/networks/create": {"provider": "{backyard}", "name": "new", "mode": "nat", "cidr": "10.77.1.0/24"},
    "/networks/{network}/edit": {"cidr": "10.78.1.0/24"},
    "/networks/{network}/do/stop": {"confirmed": "1"},
    "/account/keys": {
        "public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl new"
    },
    "/projects/": {"name": "Lighthouse"},
    "/projects/{project}/change": {"name": "Renamed"},
    "/projects/{project}/members/add": {"username": "charlie", "role": "viewer"},
    "/projects/{project}/members/{member}/role": {"role": "viewer"},
    "/people/": {"username": "dora", "email": "dora@example.org", "password": "a long enough one"},
}

#: Routes of django-allauth, which are its own to test. What they may not do here is at the end of this file.
ALLAUTH = "accounts/"


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    method: str
    address: str
    answers: tuple[str, ...]

    @property
    def is_get(self) -> bool:
        return self.method == "GET"

    @property
    def names_an_object(self) -> bool:
        # The door for guests is the same whether there is such a link or not.
        return re.search(r"/\{(?!icons|link\})|/guests/\{link", self.address) is not None

    def __str__(self) -> str:
        return f"{self.method} {self.address}"


def _lines() -> list[Line]:
    lines = [text.split() for text in TABLE.splitlines() if text.strip() and not text.startswith("#")]
    return [Line(method, address, tuple(answers)) for method, address, *answers in lines]


LINES = _lines()
GETS = [line for line in LINES if line.is_get]
POSTS = [line for line in LINES if not line.is_get]
ABOUT_OBJECTS = [line for line in LINES if line.names_an_object]

Things = dict[str, str]
People = dict[str, User | None]
SignIn = Callable[[User], Client]


# -- the props ---------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_provider_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages read the database: whoever asks a provider while somebody waits for a page fails these tests."""

    def refuse(provider: Provider) -> None:
        raise AssertionError(f"The page asked “{provider}”.")

    for module, name in ((pool, "connect"), (pool, "_kept_driver"), (targets, "connect")):
        monkeypatch.setattr(module, name, refuse)


@pytest.fixture(autouse=True)
def _no_redis(settings: Settings) -> Iterator[None]:
    """No Redis anywhere, whatever this machine has."""
    settings.REDIS_URL = "unix:///nonexistent/redis.sock"
    bus._client.cache_clear()
    yield
    bus._client.cache_clear()


@pytest.fixture(scope="module")
def _props(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[People, Things]]:
    """Cast and props, made once: every test of this file finds them as they were."""
    del django_db_setup
    with django_db_blocker.unblock(), transaction.atomic():
        project = Project.objects.create(name="Harbour")
        people = cast(project)
        provider = new_fake_provider(tmp_path_factory.mktemp("cloud") / "cloud.sqlite3")
        things = props(people, project, provider)
        sign_in(people)
        yield people, things
        SESSIONS.clear()
        pool.forget(provider)
        transaction.set_rollback(True)


@pytest.fixture
def db(_props: tuple[People, Things]) -> Iterator[None]:
    """What a test does is taken back after it."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def people(db: None, _props: tuple[People, Things]) -> People:
    del db
    return _props[0]


@pytest.fixture
def things(db: None, _props: tuple[People, Things]) -> Things:
    del db
    return _props[1]


def cast(project: Project) -> People:
    """The cast, with one for each role."""
    charlie = member("charlie", Project.objects.create(name="Elsewhere"), Role.MANAGER)
    vera, bob = member("vera", project, Role.VIEWER), member("bob", project, Role.OPERATOR)
    alice, maria = member("alice", project, Role.MEMBER), member("maria", project, Role.MANAGER)
    root = User.objects.create_superuser("root", "root@example.org", PASSWORD)
    return dict(zip(PEOPLE, (None, charlie, vera, bob, alice, maria, root), strict=True))


def props(people: People, project: Project, fake_provider: Provider) -> Things:
    """What the addresses name: one of each, all of them the project's."""
    make_vm = vm_maker(project, fake_provider)
    alice, bob = people["alice"], people["bob"]
    assert isinstance(alice, User)
    assert isinstance(bob, User)
    job = Job.objects.create(kind="vm.start", title="Start “web”", user=alice, project=project, state=JobState.QUEUED)
    Network.objects.create(provider=fake_provider, external_id="n-lan", name="default", mode="nat")
    backyard = Provider.objects.create(
        kind="fake", name="Backyard", capabilities=fake_provider.capabilities, health=fake_provider.health
    )
    backyard.projects.add(project)
    pool_row = Pool.objects.create(provider=backyard, external_id="p-1", name="shed", available_gib=10)
    volume = Volume.objects.create(provider=backyard, external_id="v-1", name="data", pool=pool_row, project=project)
    network = Network.objects.create(provider=backyard, external_id="n-2", name="fence", mode="nat")
    default_flavors()
    image = Image.objects.create(provider=fake_provider, external_id="i-1", name="debian", size_gib=1)
    own_image = Image.objects.create(provider=backyard, external_id="i-2", name="ours", project=project)
    wanted = Image.objects.create(provider=backyard, name="coming", project=project)
    Upload.objects.create(image=wanted, user=alice, file_name="coming.img", size=10, chunk_bytes=10)
    on = make_vm(name="db", power="running", consoles=["vnc", "serial"])
    link = GuestLink.objects.create(
        vm=on, kind="vnc", guest_name="Gary", created_by=alice, expires_at=timezone.now() + timedelta(hours=1)
    )
    console = ConsoleSession.objects.create(vm=on, user=bob, who="bob", kind="vnc", active_at=timezone.now())
    return {
        "vm": str(make_vm(name="web", problem="Start failed: It does not answer.").uuid),
        "on": str(on.uuid),
        "link": str(link.uuid),
        "console": str(console.uuid),
        "job": str(job.uuid),
        "image": str(image.uuid),
        "own_image": str(own_image.uuid),
        "upload": str(wanted.uuid),
        "backyard": str(backyard.uuid),
        "pool": str(pool_row.uuid),
        "volume": str(volume.uuid),
        "network": str(network.uuid),
        "provider": str(fake_provider.uuid),
        "project": str(project.uuid),
        "other_project": str(Project.objects.create(name="Quay").uuid),
        "member": str(Membership.objects.get(user=bob).pk),
        "person": str(bob.uuid),
        "key": str(SshKey.objects.create(user=alice, name="laptop", public_key="ssh-ed25519 AAAA").pk),
        "icons": sprite().digest,
    }


UNKNOWN: Things = {
    **dict.fromkeys(("vm", "on", "job", "provider", "project", "other_project", "person", "image"), str(uuid4())),
    **dict.fromkeys(("backyard", "pool", "volume", "network", "own_image", "upload"), str(uuid4())),
    **dict.fromkeys(("link", "console"), str(uuid4())),
    **dict.fromkeys(("member", "key"), "987654"),
    "icons": "0",
}


#: By these people are known; they sign in once, with all else that is made once.
SESSIONS: dict[User, str] = {}


def sign_in(people: People) -> None:
    for user in filter(None, people.values()):
        client = Client()
        client.force_login(user)
        SESSIONS[user] = client.cookies[settings.SESSION_COOKIE_NAME].value


def signed_in(user: User | None, **options: Any) -> Client:
    client = Client(**options)
    if user is not None:
        client.cookies[settings.SESSION_COOKIE_NAME] = SESSIONS[user]
    return client


def ask(client: Client, line: Line, things: Things) -> HttpResponseBase:
    """Send the line's request."""
    address = line.address.format(**things)
    if line.is_get:
        return client.get(address)
    sent = {name: value.format(**things) for name, value in SENT.get(line.address, {}).items()}
    return client.post(address, sent, headers={"HX-Request": "true"} if line.method == "HTMX" else {})


@contextmanager
def writes() -> Iterator[list[str]]:
    """The statements that write. Where there are none nothing was changed, and nothing has to be compared."""
    seen: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.startswith(("SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK")):
            seen.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield seen


@contextmanager
def taken_back() -> Iterator[Callable[[], bool]]:
    """Take back whatever is done inside; the answer is whether something of the portal's was changed by it."""
    changed = False
    with transaction.atomic(), writes() as written:
        yield lambda: changed
        after = everything() if written else None
        transaction.set_rollback(True)
    changed = after is not None and after != everything()


def everything() -> dict[str, list[Any]]:
    """All rows of all of the portal's tables, value by value."""
    labels = ("accounts", "audit", "events", "jobs", "providers", "networking", "storage", "vms")
    models = [model for label in labels for model in apps.get_app_config(label).get_models(include_auto_created=True)]
    return {model.__name__: list(model._default_manager.order_by("pk").values_list()) for model in models}


def told(response: HttpResponseBase, *, changed: bool) -> str:
    """An answer in the table's words."""
    if response.status_code == 302 and response.headers["Location"].startswith("/accounts/login/"):
        return "in" + "+" * changed
    return f"{response.status_code}{'+' * changed}"


# -- the table ---------------------------------------------------------------------------------------------------------


def routes() -> dict[str, str]:
    """Name → pattern of every route, namespaces included."""
    found: dict[str, str] = {}

    def walk(resolver: URLResolver, prefix: str, namespace: str) -> None:
        for entry in resolver.url_patterns:
            pattern = prefix + str(entry.pattern)
            if isinstance(entry, URLPattern):
                found[f"{namespace}{entry.name}"] = pattern
            else:
                walk(entry, pattern, f"{namespace}{entry.namespace}:" if entry.namespace else namespace)

    walk(get_resolver(), "", "")
    return found


def test_every_route_has_its_line() -> None:
    with_line = {resolve(line.address.format(**UNKNOWN).partition("?")[0]).view_name for line in LINES}
    own = {name for name, pattern in routes().items() if not pattern.startswith(ALLAUTH)}
    assert not own - with_line, f"Say in the table who gets what at {', '.join(sorted(own - with_line))}"


@pytest.mark.parametrize("line", LINES, ids=str)
def test_everybody_gets_what_is_theirs(line: Line, people: People, things: Things) -> None:
    assert len(line.answers) == len(PEOPLE)
    answers = []
    for client in [signed_in(user) for user in people.values()]:
        with taken_back() as changed:
            response = ask(client, line, things)
        answers.append(told(response, changed=changed()))
    assert dict(zip(PEOPLE, answers, strict=True)) == dict(zip(PEOPLE, line.answers, strict=True))


@pytest.mark.parametrize("line", ABOUT_OBJECTS, ids=str)
def test_what_is_foreign_looks_like_what_does_not_exist(line: Line, people: People, things: Things) -> None:
    client = signed_in(people["charlie"])
    foreign, unknown = (ask(client, line, names) for names in (things, UNKNOWN))
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert plain(foreign) == plain(unknown)


def plain(response: Any) -> str:
    """The page without what is new in each answer: the form token and the moment."""
    return re.sub(r"\b\w{64}\b|\b1\d{9}(\.\d+)?\b", "", response.content.decode())


@pytest.mark.parametrize("line", ABOUT_OBJECTS, ids=str)
def test_what_does_not_exist_is_404_to_an_administrator_too(line: Line, people: People, things: Things) -> None:
    del things
    assert ask(signed_in(people["root"]), line, UNKNOWN).status_code == 404


@pytest.mark.parametrize("line", POSTS, ids=str)
def test_a_change_without_the_pages_token_is_refused(line: Line, people: People, things: Things) -> None:
    client = signed_in(people["root"], enforce_csrf_checks=True)
    with taken_back() as changed:
        assert ask(client, line, things).status_code == 403
    assert not changed()


def _only(method: str) -> list[str]:
    """Addresses that have lines of this method and of no other."""
    with_get = {line.address.partition("?")[0] for line in GETS}
    with_post = {line.address for line in POSTS}
    return sorted(with_get - with_post if method == "GET" else with_post - with_get)


@pytest.mark.parametrize("address", _only("POST"))
def test_what_changes_something_is_not_done_by_a_link(address: str, people: People, things: Things) -> None:
    client = signed_in(people["root"])
    with taken_back() as changed:
        assert client.get(address.format(**things)).status_code == 405
    assert not changed()


@pytest.mark.parametrize("address", _only("GET"))
def test_what_only_shows_takes_no_form(address: str, people: People, things: Things) -> None:
    client = signed_in(people["root"])
    with taken_back() as changed:
        assert client.post(address.format(**things), {"name": "x"}).status_code == 405
    assert not changed()


# -- words that an address may hold ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        Line("GET", "/vms/{vm}/ask/explode", ()),
        Line("POST", "/vms/{vm}/do/explode", ()),
        Line("GET", "/vms/{vm}/part/attic", ()),
        Line("GET", "/vms/{on}/console/telnet", ()),
        Line("POST", "/vms/{on}/console/telnet/grant", ()),
        Line("GET", "/providers/{provider}/ask/explode", ()),
        Line("POST", "/providers/{provider}/do/explode", ()),
        Line("POST", "/people/{person}/do/explode", ()),
    ],
    ids=str,
)
def test_a_word_that_means_nothing_is_404(line: Line, people: People, things: Things) -> None:
    client = signed_in(people["root"])
    with taken_back() as changed:
        assert ask(client, line, things).status_code == 404
    assert not changed()


@pytest.mark.parametrize(
    "address",
    [
        "/vms/?page=x&per=-1&sort=%00&state=nothing&provider=%27&project=..&q=%25_%5C",
        "/vms/?page=99999999999999999999&per=99999999",
        "/vms/rows?ids=,,x,%00," + "a" * 5000,
        "/vms/create?project=x&provider=../..&image=%3Cb%3E&name=%F0%9F%98%80&size=%00&again=x",
        "/jobs/?page=-3&state=nothing&q=%00",
        "/jobs/rows?ids=;drop",
        "/jobs/{job}/lines?after=99999999999999999999999",
        "/jobs/{job}/lines?after=-1",
        "/jobs/{job}/lines?after=%C2%B2",
        "/events?since=99999999999999999999999&at=nan&list=everything&subjects=%00",
        "/events?since=-1&at=1e308",
        "/events?since=%C2%B2",
        "/vms/?page=%C2%B2&per=%C2%B2",
        "/networks/?page=%C2%B2",
    ],
)
def test_nonsense_in_an_address_is_no_error(address: str, people: People, things: Things) -> None:
    for name in ("alice", "root"):
        assert signed_in(people[name]).get(address.format(**things)).status_code in {200, 400}


# -- signing in --------------------------------------------------------------------------------------------------------


def _allauth() -> list[str]:
    return sorted(f"/{pattern}" for pattern in routes().values() if pattern.startswith(ALLAUTH) and "<" not in pattern)


@pytest.mark.parametrize("address", [address for address in _allauth() if "(" not in address])
def test_reading_the_pages_of_signing_in_changes_nothing(address: str, people: People) -> None:
    for name in ("nobody", "root"):
        client = signed_in(people[name])
        with taken_back() as changed:
            assert client.get(address).status_code in {200, 302, 404, 405}
        assert not changed()


def test_nobody_makes_an_account_alone(client: Client, db: None) -> None:
    del db
    values = {"username": "eve", "email": "eve@example.org", "password1": PASSWORD, "password2": PASSWORD}
    client.post("/accounts/signup/", values)
    assert not User.objects.filter(username="eve").exists()


def test_machines_of_the_table_are_still_there(things: Things) -> None:
    """The table's own props: an address that names nothing would make every 404 in it true."""
    assert VirtualMachine.objects.filter(uuid__in=[things["vm"], things["on"]]).count() == 2
