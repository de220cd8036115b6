"""Consoles behind SSH: signed in with a key of the moment at a host that is known, and carried like any other."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kvweb.accounts.models import User
from providers.base import AuthenticationFailed, ProviderError, SshConsole, TimedOut, Unreachable
from tests.providers.kvm.remote_host import SshServer, ssh_key
from tests.vms.console.conftest import Stage
from tests.vms.console.gateway import GREETING, Gateway
from tests.vms.console.machines import Directory, Machine
from tests.vms.console.test_proxy import eventually
from vms.console.closing import Code
from vms.console.ssh import connected
from vms.models import VirtualMachine

#: A busy machine takes seconds for a sign-in.
PATIENCE_S = 30.0
USER = "i-0123456789abcdef0.port0"


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    made = Gateway()
    yield made
    made.close()


@pytest.fixture
def target(gateway: Gateway) -> SshConsole:
    private, public = ssh_key()
    gateway.know(USER, public)
    return SshConsole(
        host="127.0.0.1",
        port=gateway.port,
        user=USER,
        known_hosts=gateway.known_hosts,
        key=private,
        endpoint="i-0123456789abcdef0#1",
    )


def clients() -> list[str]:
    """Command lines of the ssh clients that are children of this process."""
    found = []
    for task in Path("/proc/self/task").glob("*/children"):
        for child in _text(task).split():
            words = _text(Path("/proc", child, "cmdline")).split("\0")
            if words[0] == "ssh":
                found.append(" ".join(words))
    return found


def _text(file: Path) -> str:
    """Nothing of a thread or process that has ended since its folder was listed."""
    try:
        return file.read_text()
    except OSError:
        return ""


@pytest.mark.django_db(transaction=True)
def test_a_serial_line_behind_ssh_comes_to_the_browser(
    stage: Stage, running_vm: VirtualMachine, alice: User, directory: Directory, target: SshConsole, settings: Any
) -> None:
    settings.CONSOLE_PROVIDER_S = PATIENCE_S
    directory.answers[running_vm.external_id] = target
    browser = stage.open(running_vm, alice).wait_open()
    assert browser.read(len(GREETING)) == GREETING
    # What a guest is sent is never a command to the client: "~." would end it.
    browser.send(b"\r~.\rroot\r")
    assert b"~.\r\n" in browser.read_until(b"root\r\n")
    (line,) = clients()
    assert "PRIVATE KEY" not in line
    browser.sock.close()
    assert eventually(lambda: not clients()), "The client ends with the last one who watched."


@pytest.mark.django_db(transaction=True)
def test_what_the_ssh_host_refuses_is_said(
    stage: Stage, running_vm: VirtualMachine, alice: User, directory: Directory, target: SshConsole, settings: Any
) -> None:
    settings.CONSOLE_PROVIDER_S = PATIENCE_S
    stranger = replace(target, key=ssh_key()[0])
    directory.answers[running_vm.external_id] = stranger
    browser = stage.open(running_vm, alice)
    browser.sock.settimeout(PATIENCE_S)
    assert browser.wait_closed() == Code.PROVIDER


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"key": ssh_key()[0]}, AuthenticationFailed, "does not take the key"),
        ({"user": "nobody-knows-me"}, AuthenticationFailed, "does not take the key"),
        ({"known_hosts": ""}, Unreachable, "not a known one"),
        ({"port": 1}, Unreachable, "does not answer"),
        ({"host": "nowhere.invalid"}, Unreachable, "cannot be resolved"),
    ],
    ids=["another key", "another user", "a host that nobody knows", "nothing listens", "no such name"],
)
def test_what_is_wrong_is_told_and_nothing_runs_on(
    target: SshConsole, changes: dict[str, Any], error: type[ProviderError], words: str
) -> None:
    with pytest.raises(error, match=words):
        connected(replace(target, **changes), PATIENCE_S)
    assert eventually(lambda: not clients())


def test_a_host_that_shows_another_key_gets_no_connection(target: SshConsole, gateway: Gateway) -> None:
    other = f"[127.0.0.1]:{gateway.port} {ssh_key()[1]}"
    with pytest.raises(Unreachable, match="another key"):
        connected(replace(target, known_hosts=other), PATIENCE_S)


def test_a_host_that_says_nothing_is_given_up(target: SshConsole) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises((TimedOut, Unreachable)):
            connected(replace(target, port=silent.getsockname()[1]), 1.5)
        assert time.monotonic() - began < 4
    assert eventually(lambda: not clients())


def test_a_port_behind_the_host_is_reached(target: SshConsole, gateway: Gateway, machine: Machine) -> None:
    del gateway
    with connected(replace(target, forward=f"127.0.0.1:{machine.port}"), PATIENCE_S) as line:
        line.settimeout(5)
        line.sendall(b"RFB?")
        assert line.recv(16) == b"RFB?"
    assert eventually(lambda: not clients())


#: A console service that has two consoles open, says so, and is killed.
SERVICE = """
import json, sys, time
from providers.base import SshConsole
from providers.kvm.config import KvmConfig
from providers.kvm.remote import Access
from providers.kvm.tunnel import connect
from vms.console.ssh import connected
told = json.load(sys.stdin)
line = connected(SshConsole(**told["target"]), 30)
config = KvmConfig.read(told["config"])
access = Access(config)
tunnel = connect(config, access, "127.0.0.1", told["port"])
tunnel.settimeout(30)
tunnel.sendall(b"RFB?")
assert line.recv(1) and tunnel.recv(1)
print("open", flush=True)
time.sleep(300)
"""


def children_of(pid: int) -> set[int]:
    return {int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in _text(task).split()}


def runs(pid: int) -> bool:
    """A process that ended and waits for somebody to notice runs no more."""
    state = _text(Path(f"/proc/{pid}/stat")).rpartition(") ")[2][:1]
    return state not in ("", "Z")


def test_a_service_that_is_killed_leaves_no_ssh_behind(target: SshConsole, machine: Machine, tmp_path: Path) -> None:
    """The session has no end of its own: the gateway's line waits for whatever the person types next."""
    server = SshServer()
    secrets = {"ssh_key": server.client_key, "known_hosts": server.known_hosts}
    told = {
        "target": {name: getattr(target, name) for name in ("host", "port", "user", "known_hosts", "key")},
        "config": {"uri": server.uri, **secrets},
        "port": machine.port,
    }
    service = subprocess.Popen(
        [sys.executable, "-c", SERVICE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    clients: set[int] = set()
    try:
        assert service.stdin is not None
        assert service.stdout is not None
        service.stdin.write(json.dumps(told).encode())
        service.stdin.close()
        assert service.stdout.readline() == b"open\n"
        clients = children_of(service.pid)
        assert len(clients) == 2
        service.kill()
        assert eventually(lambda: not any(runs(pid) for pid in clients))
    finally:
        service.kill()
        service.wait()
        service.stdout.close()  # type: ignore[union-attr]
        for pid in clients:
            if runs(pid):
                os.kill(pid, signal.SIGKILL)
        server.remove()


def test_a_fresh_key_is_made_known_first(target: SshConsole, gateway: Gateway) -> None:
    offered: list[str] = []

    def authorise(public: str) -> None:
        offered.append(public)
        (gateway.keys / USER).write_text(f"{public}\n")

    for _ in range(2):
        with connected(replace(target, key="", authorise=authorise), PATIENCE_S) as line:
            line.settimeout(PATIENCE_S)
            assert line.recv(64).startswith(GREETING[:4])
    assert len(set(offered)) == 2, "Each connection has a key of its own."


def test_the_key_is_not_shown(target: SshConsole) -> None:
    assert "PRIVATE" in target.key
    assert "PRIVATE" not in repr(target)
