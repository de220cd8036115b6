"""Keys that a page has pressed through the provider: for who has the keyboard, within limits, known to nobody else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kvweb.accounts.models import User
from kvweb.audit.models import AuditEntry
from providers.base import Conflict, ConsoleKind
from tests.vms.console.browser import TEXT, Browser
from tests.vms.console.conftest import Stage
from tests.vms.console.machines import Directory
from tests.vms.console.test_proxy import eventually
from vms.models import VirtualMachine

pytestmark = pytest.mark.django_db(transaction=True)


def answer_to(browser: Browser, **message: Any) -> str:
    """Have keys pressed; the service's sentence, empty when it was done."""
    browser.send(json.dumps({"type": "keys", "id": len(browser.said), **message}).encode(), TEXT)
    wanted = len(browser.said)
    while True:
        opcode, payload = browser._frame()
        if opcode == TEXT:
            said = json.loads(payload)
            browser.said.append(said)
            if said["type"] == "keys":
                assert said["id"] == wanted
                return str(said["sentence"])


def opened(stage: Stage, vm: VirtualMachine, user: User, *, view_only: bool = False) -> Browser:
    return stage.open(vm, user, ConsoleKind.VNC, view_only=view_only).wait_open()


def test_the_keys_are_pressed_and_only_their_number_is_audited(
    stage: Stage, running_vm: VirtualMachine, bob: User, directory: Directory
) -> None:
    browser = opened(stage, running_vm, bob)
    assert answer_to(browser, strokes=[[42, 30], [28]], hold_ms=1) == ""
    assert answer_to(browser, strokes=[[16]], hold_ms=1) == ""
    assert directory.pressed == [[42, 30], [28], [16]]
    browser.sock.close()
    assert eventually(lambda: AuditEntry.objects.filter(verb="vm.console.typed").exists())
    entry = AuditEntry.objects.get(verb="vm.console.typed")
    assert entry.actor_name == "bob"
    assert entry.details["strokes"] == 3
    assert set(entry.details) == {"kind", "console", "strokes", "lasted_s"}


def test_who_only_watches_presses_nothing(
    stage: Stage, running_vm: VirtualMachine, alice: User, bob: User, directory: Directory
) -> None:
    watcher = opened(stage, running_vm, bob, view_only=True)
    assert "keyboard" in answer_to(watcher, strokes=[[30]])
    opened(stage, running_vm, alice)
    second = opened(stage, running_vm, bob)
    assert "keyboard" in answer_to(second, strokes=[[30]])
    assert directory.pressed == []


IMPOSSIBLE: tuple[dict[str, Any], ...] = (
    {"strokes": [[]]},
    {"strokes": [[0]]},
    {"strokes": [["a"]]},
    {"strokes": [30]},
    {"strokes": "abc"},
    {"strokes": [[30]] * 65},
    {"strokes": [[1, 2, 3, 4, 5, 6]]},
    {"strokes": [[30]] * 40, "hold_ms": 1000},
    {"strokes": [[30]], "hold_ms": "20"},
    {},
)


def test_what_no_keyboard_can_do_is_refused_with_a_sentence(
    stage: Stage, running_vm: VirtualMachine, alice: User, directory: Directory
) -> None:
    browser = opened(stage, running_vm, alice)
    for message in IMPOSSIBLE:
        assert answer_to(browser, **message), message
    assert directory.pressed == []


def test_why_it_failed_is_said_and_the_console_stays(
    stage: Stage, running_vm: VirtualMachine, alice: User, directory: Directory
) -> None:
    browser = opened(stage, running_vm, alice)
    directory.keys_fail = Conflict("The machine is paused.")
    assert answer_to(browser, strokes=[[30]]) == "The machine is paused."
    directory.keys_fail = None
    assert answer_to(browser, strokes=[[30]]) == ""
