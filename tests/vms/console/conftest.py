"""A proxy in a thread of the test, and people with a session and a grant."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from kvweb.accounts.models import User
from kvweb.portal.management.commands.console_proxy import BACKLOG
from providers.base import ConsoleKind
from tests.conftest import MakeVm
from tests.vms.console.browser import Browser
from tests.vms.console.machines import Directory, Machine
from vms.console import console, grants, signals, targets
from vms.console import proxy as service
from vms.console.proxy import Proxy
from vms.models import VirtualMachine


@pytest.fixture(autouse=True)
def _no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "announce", lambda: None)
    monkeypatch.setattr(grants, "announce", lambda: None)


@pytest.fixture(autouse=True)
def _quick_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits are looked at more often than once a second, so that a test of one need not wait for it."""
    monkeypatch.setattr(service, "TICK_S", 0.1)


@pytest.fixture(autouse=True)
def _no_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Browsers of tests answer pings only while they are read."""
    monkeypatch.setattr(console, "DOUBT_S", 60.0)


@pytest.fixture
def session_of() -> Callable[[User], str]:
    """Signs a user in; the session's key."""

    def sign_in(user: User) -> str:
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.create()
        return str(session.session_key)

    return sign_in


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine()
    yield machine
    machine.close()


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> Directory:
    """Consoles are where this says, not where the provider would say."""
    directory = Directory()
    monkeypatch.setattr(targets, "connect", directory.driver)
    return directory


@pytest.fixture
def running_vm(make_vm: MakeVm, directory: Directory, machine: Machine) -> VirtualMachine:
    """Runs, and its consoles lead to `machine`."""
    vm = make_vm(power="running")
    directory.answers[vm.external_id] = machine.target
    return vm


class Stage:
    """The proxy and what it takes to open a console through it."""

    def __init__(self, proxy: Proxy, path: str, session_of: Callable[[User], str]) -> None:
        self.proxy, self.path, self.session_of = proxy, path, session_of
        self._browsers: list[Browser] = []

    def browser(self) -> Browser:
        browser = Browser(self.path)
        self._browsers.append(browser)
        return browser

    def open(
        self, vm: VirtualMachine, user: User, kind: ConsoleKind = ConsoleKind.SERIAL, *, view_only: bool = False
    ) -> Browser:
        session_key = self.session_of(user)
        issued = grants.issue(vm, kind, user=user, session_key=session_key, view_only=view_only)
        return self.browser().open(f"/ws/console/{issued.grant.uuid}", issued.token, session_key)

    def check_now(self) -> None:
        """Not in five seconds but now."""
        self.proxy.loop.from_thread(self.proxy.check)

    def close(self) -> None:
        for browser in self._browsers:
            browser.sock.close()


@pytest.fixture
def start_proxy(tmp_path: Path, transactional_db: None) -> Iterator[Callable[[], tuple[Proxy, str]]]:
    del transactional_db
    running: list[tuple[Proxy, threading.Thread]] = []

    def start() -> tuple[Proxy, str]:
        path = str(tmp_path / f"console-{len(running)}.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(BACKLOG)
        proxy = Proxy(listener, trust_forwarded=True, hear_signals=False)
        thread = threading.Thread(target=proxy.run, daemon=True)
        thread.start()
        running.append((proxy, thread))
        return proxy, path

    yield start
    for proxy, thread in running:
        proxy.stop()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def stage(start_proxy: Callable[[], tuple[Proxy, str]], session_of: Any) -> Iterator[Stage]:
    proxy, path = start_proxy()
    stage = Stage(proxy, path, session_of)
    yield stage
    stage.close()
