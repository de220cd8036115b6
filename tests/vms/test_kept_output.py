"""What a provider keeps of a serial line: read by a job into a file, shown to whoever may open consoles."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from typing import Any

import pytest
from django.core import serializers
from django.test import Client

from kvweb.accounts.models import User
from kvweb.audit.models import AuditEntry
from kvweb.jobs.models import JobState
from providers.base import MOST_OUTPUT
from providers.models import Provider
from tests.conftest import MakeVm
from tests.vms.conftest import MakeMachine, Press, fault
from vms.choices import Presence
from vms.console import kept_output, listeners
from vms.console.serial_log import folder_of
from vms.models import VirtualMachine

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]
SAID = "simulated) #1 SMP"


@pytest.fixture(autouse=True)
def _logs(tmp_path: Any, settings: Any) -> None:
    settings.SERIAL_LOG_DIR = tmp_path / "serial"


def page_of(vm: VirtualMachine, client: Client) -> str:
    return client.get(f"/vms/{vm.uuid}/serial-log").content.decode()


def test_alice_reads_what_the_provider_keeps(
    machine: MakeMachine, press: Press, alice: User, client_of: ClientOf
) -> None:
    vm = machine(start=True)
    before = page_of(vm, client_of(alice))
    assert "Kept by the provider" in before
    assert "Read console output" in before
    pressed = press(alice, vm, "read-output")
    assert pressed.job.state == JobState.SUCCEEDED, pressed.job.reason
    after = page_of(vm, client_of(alice))
    assert SAID in after
    assert "Read again" in after
    # The part by itself, as news bring it.
    assert SAID in client_of(alice).get(f"/vms/{vm.uuid}/serial-log/output").content.decode()
    # What was said stands in the file, and neither in the job nor in the machine's history nor in its row.
    entry = AuditEntry.objects.get(verb="vm.read_output")
    assert entry.actor == alice
    rows = serializers.serialize("json", [pressed.job, *pressed.job.lines.all(), entry, vm])
    assert "SMP" not in rows
    assert json.loads(rows)[0]["fields"]["result"]["bytes"] > 0
    assert [path.name for path in folder_of(vm.uuid).iterdir()] == [kept_output.NAME]


def test_who_may_not_open_consoles_reads_nothing(
    machine: MakeMachine, press: Press, alice: User, bob: User, charlie: User, client_of: ClientOf
) -> None:
    vm = machine(start=True)
    press(alice, vm, "read-output")
    bob.memberships.update(role="viewer")
    for address in (f"/vms/{vm.uuid}/serial-log", f"/vms/{vm.uuid}/serial-log/output"):
        assert client_of(charlie).get(address).status_code == 404
        assert client_of(bob).get(address).status_code == 403
    assert press(charlie, vm, "read-output").response.status_code == 404
    assert press(bob, vm, "read-output").response.status_code == 403


def test_a_reading_that_failed_says_so_and_leaves_what_was_read(
    machine: MakeMachine, press: Press, alice: User, stocked: Provider, client_of: ClientOf
) -> None:
    vm = machine(start=True)
    press(alice, vm, "read-output")
    fault(stocked, "consoles.output", "conflict")
    failed = press(alice, vm, "read-output").job
    assert failed.has_failed
    page = page_of(vm, client_of(alice))
    assert "The last reading failed" in page
    assert failed.reason.partition("“")[0] in page
    assert SAID in page
    press(alice, vm, "read-output")
    assert "The last reading failed" not in page_of(vm, client_of(alice))


def test_it_is_shown_where_the_portal_itself_hears_nothing(make_vm: MakeVm, alice: User, client_of: ClientOf) -> None:
    vm = make_vm(power="running", consoles=[])
    kept_output.keep(vm.uuid, b"\x1b[1mKernel panic\x1b[0m - <b>not</b> syncing\r\n" + b"on and on\n" * 600)
    page = page_of(vm, client_of(alice))
    assert "cannot listen" in page
    assert "Search in the log" not in page
    assert "The newest 500 lines" in page
    kept_output.keep(vm.uuid, b"\x1b[1mKernel panic\x1b[0m - <b>not</b> syncing\r\n")
    assert "<code>Kernel panic - &lt;b&gt;not&lt;/b&gt; syncing</code>" in page_of(vm, client_of(alice))
    assert "as the provider keeps it" in client_of(alice).get(f"/vms/{vm.uuid}/console").content.decode()


def test_the_file_has_a_bound_and_goes_with_the_machine(make_vm: MakeVm) -> None:
    vm, gone = make_vm(), make_vm(presence=Presence.DELETED)
    for one in (vm, gone):
        kept_output.keep(one.uuid, b"x" * MOST_OUTPUT + b"the end\n")
    path = folder_of(vm.uuid) / kept_output.NAME
    assert path.stat().st_size == MOST_OUTPUT
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    assert (found := kept_output.kept(vm.uuid)) is not None
    assert found.lines[-1].text.endswith("the end")
    listeners.sweep()
    assert kept_output.kept(vm.uuid) is not None
    assert kept_output.kept(gone.uuid) is None
