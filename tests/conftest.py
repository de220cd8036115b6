"""The cast and the props: alice owns, bob operates, charlie is a stranger, root administers."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import pytest
from django.test import Client

from kvweb.accounts.models import Membership, Project, Role, User
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job, JobState
from providers import pool
from providers.models import Health, Provider
from providers.registry import plugin
from tests import spread
from tests.browsing import chromium, open_page
from vms.choices import Presence
from vms.models import VirtualMachine

__all__ = ["chromium", "open_page"]

PASSWORD = "correct horse battery"
ROOT = Path(__file__).parents[1]

SECOND_TRIES = 5
"""How many tests of a run may pass at their second try only; one in a thousand."""


def pytest_configure(config: pytest.Config) -> None:
    """Whatever a test leaves in the temporary folder goes with the run."""
    del config
    # pytest's own folders stay where they are: they hold sockets, whose paths must be short.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    tempfile.tempdir = tempfile.mkdtemp(prefix="kvweb-tests-")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> spread.ByGroup:
    config.option.loadscopereorder = False
    return spread.ByGroup(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests share the machine with hypervisors, browsers and each other's daemons: what fails is run once more.

    The summary names every such run, and more than `SECOND_TRIES` of them fail it: a test that needs it is mended.
    """
    if hasattr(config, "workerinput"):
        spread.longest_first(items)
    for item in items:
        item.add_marker(pytest.mark.flaky(reruns=1, reruns_delay=2))


def pytest_sessionstart(session: pytest.Session) -> None:
    plugins = session.config.pluginmanager
    terminal = plugins.get_plugin("terminalreporter")
    if isinstance(terminal, pytest.TerminalReporter):
        plugins.register(TellAtOnce(terminal), "tell-at-once")
        plugins.register(FewSecondTries(terminal), "few-second-tries")
    if plugins.hasplugin("dsession"):
        plugins.register(spread.Seconds(ROOT / "var" / "cache" / "test-seconds.json"), "seconds")


def pytest_collection_finish(session: pytest.Session) -> None:
    """What a page shows is waited for as long on a busy machine as on an idle one: five seconds tell of load, not of
    the page."""
    del session
    playwright: Any = sys.modules.get("playwright.sync_api")
    if playwright is not None:
        playwright.expect.set_options(timeout=30_000)


def pytest_unconfigure(config: pytest.Config) -> None:
    del config
    if tempfile.tempdir is not None:
        shutil.rmtree(tempfile.tempdir, ignore_errors=True)


class TellAtOnce:
    """Names a failure when it happens: a run that is cut off has told what it knew."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self.terminal = terminal

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.failed and str(report.outcome) != "rerun":
            return
        crash = getattr(report.longrepr, "reprcrash", None)
        why = crash.message.splitlines()[0] if crash and crash.message else str(report.longrepr)[-200:]
        self.terminal.line("")
        self.terminal.write_line(f"{report.when} of {report.nodeid} failed after {report.duration:.0f} s: {why[:200]}")


class FewSecondTries:
    """Fails a run in which too many tests passed only when they were run again."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self.terminal = terminal
        self.count = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.count += str(report.outcome) == "rerun"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.count > SECOND_TRIES and session.exitstatus == pytest.ExitCode.OK:
            self.terminal.write_line(f"{self.count} tests needed a second try; a run may have {SECOND_TRIES}.")
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


class MakeVm(Protocol):
    def __call__(self, **values: Any) -> VirtualMachine: ...


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network card is the one thing that is replaced: no test needs Redis unless it starts one."""
    monkeypatch.setattr(jobs, "enqueue", lambda job, *, after_s=0.0: True)


@pytest.fixture
def project(db: None) -> Project:
    del db
    return Project.objects.create(name="Harbour")


def member(name: str, project: Project | None, role: str) -> User:
    """A person with this role in the project."""
    user = User.objects.create_user(name, f"{name}@example.org", PASSWORD)
    if project is not None:
        Membership.objects.create(user=user, project=project, role=role)
    return user


@pytest.fixture
def alice(project: Project) -> User:
    """Member: makes and deletes machines of the project."""
    return member("alice", project, Role.MEMBER)


@pytest.fixture
def bob(project: Project) -> User:
    """Operator: switches and opens the project's machines."""
    return member("bob", project, Role.OPERATOR)


@pytest.fixture
def charlie(project: Project) -> User:
    """A stranger: has a project of his own and nothing here."""
    return member("charlie", Project.objects.create(name="Elsewhere"), Role.MANAGER)


@pytest.fixture
def root(db: None) -> User:
    del db
    return User.objects.create_superuser("root", "root@example.org", PASSWORD)


@pytest.fixture
def client_of() -> Callable[[User], Client]:
    """A signed-in test client for a user."""

    def sign_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def fake_provider(db: None, tmp_path: Path) -> Iterator[Provider]:
    del db
    provider = new_fake_provider(tmp_path / "cloud.sqlite3")
    yield provider
    pool.forget(provider)


def new_fake_provider(cloud: Path) -> Provider:
    """A provider of kind fake whose cloud is empty but for an image and a network, and where nothing takes time."""
    config = plugin("fake").config.read(
        {"path": str(cloud), "demo": False, "start_s": 0, "stop_s": 0, "create_s": 0, "lease_s": 0}
    )
    return Provider.objects.create(
        kind="fake",
        name="Testville",
        config=config.model_dump(mode="json", exclude=set(type(config).secret_fields())),
        capabilities=plugin("fake").declares.to_json(),
        health=Health.OK,
    )


@pytest.fixture
def make_vm(project: Project, fake_provider: Provider) -> MakeVm:
    return vm_maker(project, fake_provider)


def vm_maker(project: Project, provider: Provider) -> MakeVm:
    """Makes a machine's row, as the inventory would have left it; the provider itself knows nothing of it."""
    numbers = count(1)

    def make(**values: Any) -> VirtualMachine:
        number = next(numbers)
        defaults: dict[str, Any] = {
            "project": project,
            "provider": provider,
            "name": f"vm-{number}",
            "external_id": f"ext-{number}",
            "power": "stopped",
            "presence": Presence.PRESENT,
            "vcpus": 1,
            "memory_mib": 512,
            "disk_gib": 1.0,
        }
        return VirtualMachine.objects.create(**{**defaults, **values})

    return make


@pytest.fixture
def run_jobs(django_capture_on_commit_callbacks: Any) -> Callable[[], list[Job]]:
    """Runs what is queued, in order, in this process, until nothing is left; returns the jobs as they ended."""

    def run() -> list[Job]:
        ran: list[int] = []
        for _ in range(100):
            job = Job.objects.filter(state=JobState.QUEUED, not_before=None).order_by("pk").first()
            if job is None:
                break
            with django_capture_on_commit_callbacks(execute=True):
                jobs.run(job.pk)
            ran.append(job.pk)
        return list(Job.objects.filter(pk__in=ran).order_by("pk"))

    return run
