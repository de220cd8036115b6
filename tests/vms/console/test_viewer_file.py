"""A viewer's file: whoever may open the console gets one, once a grant, written down; nobody else, and no guest."""

from __future__ import annotations

import configparser
from typing import Any

import pytest

from kvweb.accounts.models import Membership, Role, User
from kvweb.audit.models import AuditEntry
from providers.base import Conflict, ConsoleKind, ViewerConsole
from tests.conftest import MakeVm
from tests.vms.console.browser import Refusal
from tests.vms.console.conftest import Stage
from tests.vms.console.machines import Directory
from vms.console import grants, viewer_file
from vms.console.closing import Code, Refused
from vms.models import ConsoleSession, GuestLink, VirtualMachine

pytestmark = pytest.mark.django_db(transaction=True)

TICKET = ViewerConsole(
    protocol="spice", host="192.0.2.7", port=5901, password="a-minute-long", valid_s=60, title="web-1", ticket="one"
)


@pytest.fixture
def vm(make_vm: MakeVm, directory: Directory) -> VirtualMachine:
    vm = make_vm(power="running")
    directory.answers[vm.external_id] = TICKET
    return vm


def test_the_file_is_handed_out_once_and_written_down_without_its_password(
    stage: Stage, vm: VirtualMachine, alice: User
) -> None:
    session = stage.session_of(alice)
    issued = grants.issue(vm, ConsoleKind.SPICE, user=alice, session_key=session)
    address = f"/ws/console/{issued.grant.uuid}"
    browser = stage.browser().open(address, issued.token, session)
    assert browser.wait_closed() == Code.NOT_CARRIED
    ((said,),) = [browser.said]
    assert (said["type"], said["valid_s"]) == ("viewer", 60)
    file = configparser.RawConfigParser()
    file.read_string(said["text"])
    assert file["virt-viewer"]["type"] == "spice"
    assert file["virt-viewer"]["password"] == TICKET.password
    assert file["virt-viewer"]["delete-this-file"] == "1"
    entry = AuditEntry.objects.get(verb="vm.console.viewer")
    assert (entry.actor_name, entry.subject, entry.address) == (alice.username, vm.subject, "192.0.2.7")
    assert TICKET.password not in str(entry.details)
    # It is no console that the portal carries, so it is not among those that are open.
    assert not ConsoleSession.objects.exists()
    again = stage.browser().open(address, issued.token, session)
    assert again.wait_closed() == Code.NOT_ALLOWED
    assert again.said == []


def test_why_there_is_none_is_said(stage: Stage, vm: VirtualMachine, alice: User, directory: Directory) -> None:
    directory.answers[vm.external_id] = Conflict("It listens on its host only.")
    browser = stage.open(vm, alice, ConsoleKind.SPICE)
    assert browser.wait_closed() == Code.NOT_RUNNING
    assert browser.close_reason == "It listens on its host only."
    assert not AuditEntry.objects.filter(verb="vm.console.viewer").exists()


def test_nobody_else_gets_one(stage: Stage, vm: VirtualMachine, alice: User, bob: User, charlie: User) -> None:
    for person in (charlie, None):
        with pytest.raises((Refused, ValueError)):
            grants.issue(vm, ConsoleKind.SPICE, user=person, session_key="s")
    Membership.objects.filter(user=bob).update(role=Role.VIEWER)
    with pytest.raises(Refused):
        grants.issue(vm, ConsoleKind.SPICE, user=bob, session_key="s")
    # Who only watches would have the keyboard there, and a link is for one console that is carried.
    with pytest.raises(Refused):
        grants.issue(vm, ConsoleKind.SPICE, user=alice, session_key="s", view_only=True)
    link = GuestLink(vm=vm, kind="spice", created_by=alice)
    with pytest.raises(Refused):
        grants.issue(vm, ConsoleKind.SPICE, guest_link=link, session_key="s")
    issued = grants.issue(vm, ConsoleKind.SPICE, user=alice, session_key=stage.session_of(alice))
    other = stage.browser().open(f"/ws/console/{issued.grant.uuid}", issued.token, stage.session_of(charlie))
    assert other.wait_closed() in {Code.NOT_ALLOWED, Code.NO_SESSION}
    with pytest.raises(Refusal):
        stage.browser().open(f"/ws/console/{issued.grant.uuid}", issued.token, "", Origin="http://elsewhere.test")


@pytest.mark.parametrize("name", ["two\nlines=1", "[section]", "%(password)s", "  edges ", "back\\slash", "ü€漢"])
def test_a_strange_name_stays_a_title(name: str) -> None:
    target: Any = ViewerConsole(
        protocol="spice", host="h", tls_port=5902, password="p" * 20, valid_s=60, title=name, ticket="one"
    )
    file = configparser.RawConfigParser()
    text = viewer_file.text_of(target)
    file.read_string(text)
    assert file.sections() == ["virt-viewer"]
    assert set(file["virt-viewer"]) == {
        *("type", "host", "tls-port", "password", "title", "delete-this-file"),
        *("release-cursor", "toggle-fullscreen", "secure-attention"),
    }
    assert target.password not in repr(target)
