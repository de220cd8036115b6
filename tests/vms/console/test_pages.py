"""The console's page and the grant that its script asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from kvweb.accounts.models import Membership, User
from tests.conftest import MakeVm
from vms.choices import Presence
from vms.console import grants
from vms.console.closing import Code
from vms.models import ConsoleGrant, VirtualMachine

ClientOf = Callable[[User], Client]


@pytest.fixture
def vm(make_vm: MakeVm) -> VirtualMachine:
    return make_vm(power="running", name="web-1")


@pytest.mark.parametrize("kind", ["vnc", "serial"])
def test_the_page_has_a_screen_and_no_secret(kind: str, vm: VirtualMachine, alice: User, client_of: ClientOf) -> None:
    page = client_of(alice).get(f"/vms/{vm.uuid}/console/{kind}")
    text = page.content.decode()
    assert page.status_code == 200
    assert f'data-console="{kind}"' in text
    assert "web-1" in text
    assert ConsoleGrant.objects.count() == 0
    # Scripts come from files only: the policy forbids all others.
    assert "<script>" not in text


def test_a_strange_name_is_only_a_name(make_vm: MakeVm, alice: User, client_of: ClientOf) -> None:
    vm = make_vm(power="running", name='"><script>alert(1)</script>')
    assert "<script>alert" not in client_of(alice).get(f"/vms/{vm.uuid}/console/vnc").content.decode()


def test_a_grant_is_given_to_a_post(vm: VirtualMachine, bob: User, client_of: ClientOf) -> None:
    client = client_of(bob)
    answer = client.post(f"/vms/{vm.uuid}/console/vnc/grant")
    told = answer.json()
    grant = ConsoleGrant.objects.get()
    assert answer.status_code == 200
    assert told["path"] == f"/ws/console/{grant.uuid}"
    assert told["token"] not in told["path"]
    assert told["expires_s"] == 60
    assert set(told) == {"token", "path", "expires_s", "view_only"}
    session_key = str(client.session.session_key)
    assert grants.redeem(grant.uuid, told["token"], user=bob, session_key=session_key) == grant
    assert client.get(f"/vms/{vm.uuid}/console/vnc/grant").status_code == 405


def test_watching_only_may_be_asked_for(vm: VirtualMachine, bob: User, client_of: ClientOf) -> None:
    assert client_of(bob).post(f"/vms/{vm.uuid}/console/vnc/grant", {"view_only": "1"}).json()["view_only"] is True
    assert ConsoleGrant.objects.get().view_only


def test_without_csrf_token_there_is_none(vm: VirtualMachine, bob: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(bob)
    assert client.post(f"/vms/{vm.uuid}/console/vnc/grant").status_code == 403
    assert ConsoleGrant.objects.count() == 0


@pytest.mark.parametrize("address", ["console/vnc", "console/vnc/state"])
def test_a_stranger_gets_404(address: str, vm: VirtualMachine, charlie: User, client_of: ClientOf) -> None:
    assert client_of(charlie).get(f"/vms/{vm.uuid}/{address}").status_code == 404
    assert client_of(charlie).post(f"/vms/{vm.uuid}/console/vnc/grant").status_code == 404


def test_a_viewer_of_the_project_is_refused(vm: VirtualMachine, alice: User, client_of: ClientOf) -> None:
    Membership.objects.filter(user=alice).update(role="viewer")
    assert client_of(alice).get(f"/vms/{vm.uuid}/console/vnc").status_code == 403
    assert client_of(alice).post(f"/vms/{vm.uuid}/console/vnc/grant").status_code == 403


def test_a_kind_that_is_none(vm: VirtualMachine, alice: User, client_of: ClientOf) -> None:
    assert client_of(alice).get(f"/vms/{vm.uuid}/console/spice").status_code == 404


def test_nobody_signed_in(vm: VirtualMachine) -> None:
    assert Client().post(f"/vms/{vm.uuid}/console/vnc/grant").status_code in {302, 401, 403}


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"power": "stopped"}, 409, Code.NOT_RUNNING),
        ({"presence": Presence.MISSING}, 404, Code.GONE),
        ({"consoles": ["serial"]}, 409, Code.NOT_CARRIED),
    ],
)
def test_why_there_is_no_grant_is_said(
    changes: dict[str, Any], status: int, code: Code, make_vm: MakeVm, alice: User, client_of: ClientOf
) -> None:
    vm = make_vm(**{"power": "running", **changes})
    answer = client_of(alice).post(f"/vms/{vm.uuid}/console/vnc/grant")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["sentence"]


def test_the_state_is_a_part_that_knows_where_it_belongs(vm: VirtualMachine, alice: User, client_of: ClientOf) -> None:
    text = client_of(alice).get(f"/vms/{vm.uuid}/console/vnc/state").content.decode()
    assert f'id="console-state-{vm.uuid}"' in text
    assert 'data-power="running"' in text


def test_the_page_is_shown_for_a_machine_that_is_off(make_vm: MakeVm, alice: User, client_of: ClientOf) -> None:
    vm = make_vm(power="stopped")
    assert f"/vms/{vm.uuid}/do/start" in client_of(alice).get(f"/vms/{vm.uuid}/console/vnc").content.decode()


def test_every_close_reason_fits_its_frame() -> None:
    from vms.console.closing import REASON_BYTES, SENTENCES, Closing

    assert set(SENTENCES) == set(Code)
    assert all(len(Closing(code).reason.encode()) <= REASON_BYTES for code in Code)
    assert len(Closing(Code.GONE, "ä" * 200).reason.encode()) <= REASON_BYTES
