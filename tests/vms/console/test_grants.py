"""A grant opens one console once, for the one who asked, in the session in which they asked, within a minute."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from kvweb.accounts.models import Membership, User
from providers.base import ConsoleKind
from tests.conftest import MakeVm
from vms.choices import Presence
from vms.console import grants, standing
from vms.console.closing import Code, Refused
from vms.models import ConsoleGrant, VirtualMachine

SessionOf = Callable[[User], str]


@pytest.fixture
def vm(make_vm: MakeVm) -> VirtualMachine:
    return make_vm(power="running")


def code_of(error: pytest.ExceptionInfo[Refused]) -> Code:
    return error.value.closing.code


def test_it_is_redeemed_once(vm: VirtualMachine, alice: User) -> None:
    issued = grants.issue(vm, ConsoleKind.VNC, user=alice, session_key="s")
    grant = grants.redeem(issued.grant.uuid, issued.token, user=alice, session_key="s", address="192.0.2.1")
    assert (grant.vm, grant.kind, grant.address) == (vm, "vnc", "192.0.2.1")
    with pytest.raises(Refused) as error:
        grants.redeem(issued.grant.uuid, issued.token, user=alice, session_key="s")
    assert code_of(error) is Code.NOT_ALLOWED


def test_neither_token_nor_session_can_be_read_from_the_row(vm: VirtualMachine, alice: User) -> None:
    issued = grants.issue(vm, ConsoleKind.VNC, user=alice, session_key="the-session")
    row = str(ConsoleGrant.objects.filter(pk=issued.grant.pk).values().get())
    assert issued.token not in row
    assert "the-session" not in row
    assert issued.token not in repr(issued)
    assert len(issued.token) >= 43  # 256 bits


@pytest.mark.parametrize("what", ["user", "session", "token", "grant of another machine", "grant of another kind"])
def test_it_fits_nothing_else(what: str, vm: VirtualMachine, make_vm: MakeVm, alice: User, bob: User) -> None:
    issued = grants.issue(vm, ConsoleKind.VNC, user=alice, session_key="s")
    other_vm = grants.issue(make_vm(power="running"), ConsoleKind.VNC, user=alice, session_key="s")
    other_kind = grants.issue(vm, ConsoleKind.SERIAL, user=alice, session_key="s")
    grant_id, token, user, session = issued.grant.uuid, issued.token, alice, "s"
    match what:
        case "user":
            user = bob
        case "session":
            session = "t"
        case "token":
            token = "guessed"
        case "grant of another machine":
            grant_id = other_vm.grant.uuid
        case _:
            grant_id = other_kind.grant.uuid
    with pytest.raises(Refused) as error:
        grants.redeem(grant_id, token, user=user, session_key=session)
    assert code_of(error) is Code.NOT_ALLOWED
    # The attempt did not use it up: its owner still gets in.
    assert grants.redeem(issued.grant.uuid, issued.token, user=alice, session_key="s").vm == vm


def test_after_a_minute_it_is_too_late(vm: VirtualMachine, alice: User) -> None:
    issued = grants.issue(vm, ConsoleKind.VNC, user=alice, session_key="s")
    assert issued.grant.expires_at - timezone.now() <= timedelta(seconds=60)
    ConsoleGrant.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(Refused):
        grants.redeem(issued.grant.uuid, issued.token, user=alice, session_key="s")


def test_revoked_it_does_not_open(vm: VirtualMachine, alice: User, bob: User) -> None:
    mine = grants.issue(vm, ConsoleKind.VNC, user=alice, session_key="s")
    others = grants.issue(vm, ConsoleKind.VNC, user=bob, session_key="t")
    assert grants.revoke(user=alice) == 1
    with pytest.raises(Refused):
        grants.redeem(mine.grant.uuid, mine.token, user=alice, session_key="s")
    assert grants.redeem(others.grant.uuid, others.token, user=bob, session_key="t").user == bob
    with pytest.raises(ValueError):
        grants.revoke()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"power": "stopped"}, Code.NOT_RUNNING),
        ({"power": "crashed"}, Code.NOT_RUNNING),
        ({"presence": Presence.MISSING}, Code.GONE),
        ({"presence": Presence.WANTED}, Code.NOT_RUNNING),
        ({"presence": Presence.DELETED}, Code.GONE),
        ({"consoles": ["vnc"]}, Code.NOT_CARRIED),
    ],
)
def test_none_is_issued_for_a_machine_without_console(
    changes: dict[str, Any], code: Code, make_vm: MakeVm, alice: User
) -> None:
    vm = make_vm(**{"power": "running", **changes})
    with pytest.raises(Refused) as error:
        grants.issue(vm, ConsoleKind.SERIAL, user=alice, session_key="s")
    assert code_of(error) is code


def test_none_is_issued_without_the_right(vm: VirtualMachine, charlie: User, root: User) -> None:
    with pytest.raises(Refused) as error:
        grants.issue(vm, ConsoleKind.VNC, user=charlie, session_key="s")
    assert code_of(error) is Code.NOT_ALLOWED
    assert grants.issue(vm, ConsoleKind.VNC, user=root, session_key="s").grant.user == root


def test_a_viewer_of_the_project_gets_none(vm: VirtualMachine, alice: User) -> None:
    Membership.objects.filter(user=alice).update(role="viewer")
    with pytest.raises(Refused):
        grants.issue(vm, ConsoleKind.VNC, user=alice, session_key="s")


def test_a_script_that_asks_again_and_again_is_slowed(vm: VirtualMachine, alice: User) -> None:
    for _ in range(settings.CONSOLE_GRANTS_PER_MINUTE):
        grants.issue(vm, ConsoleKind.VNC, user=alice, session_key="s")
    with pytest.raises(Refused) as error:
        grants.issue(vm, ConsoleKind.VNC, user=alice, session_key="s")
    assert code_of(error) is Code.TOO_MANY


def test_sweeping_keeps_what_is_history(vm: VirtualMachine, alice: User) -> None:
    unused, used = (grants.issue(vm, ConsoleKind.VNC, user=alice, session_key="s") for _ in range(2))
    grants.redeem(used.grant.uuid, used.token, user=alice, session_key="s")
    ConsoleGrant.objects.update(expires_at=timezone.now() - timedelta(hours=2))
    assert grants.sweep() == 1
    assert list(ConsoleGrant.objects.all()) == [used.grant]
    assert unused.grant.uuid != used.grant.uuid


class TestStanding:
    """What an open console is measured by, every five seconds."""

    @pytest.fixture
    def opened(self, vm: VirtualMachine, alice: User, session_of: SessionOf) -> standing.Opened:
        key = session_of(alice)
        issued = grants.issue(vm, ConsoleKind.VNC, user=alice, session_key=key)
        grants.redeem(issued.grant.uuid, issued.token, user=alice, session_key=key)
        return standing.Opened(issued.grant.pk, key)

    def test_nothing_changed(self, opened: standing.Opened) -> None:
        assert standing.still_valid(opened) is None

    @pytest.mark.parametrize(
        ("what", "code"),
        [
            ("signed out", Code.NO_SESSION),
            ("session expired", Code.NO_SESSION),
            ("account locked", Code.NO_SESSION),
            ("new password", Code.NO_SESSION),
            ("left the project", Code.NOT_ALLOWED),
            ("only a viewer now", Code.NOT_ALLOWED),
            ("revoked", Code.NOT_ALLOWED),
            ("machine moved to another project", Code.NOT_ALLOWED),
            ("machine deleted", Code.GONE),
            ("row deleted", Code.GONE),
            ("machine stopped", Code.NOT_RUNNING),
        ],
    )
    def test_what_ends_it(
        self, what: str, code: Code, opened: standing.Opened, vm: VirtualMachine, alice: User, charlie: User
    ) -> None:
        from django.contrib.sessions.models import Session

        vms = VirtualMachine.objects.filter(pk=vm.pk)
        match what:
            case "signed out":
                Session.objects.all().delete()
            case "session expired":
                Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
            case "account locked":
                User.objects.filter(pk=alice.pk).update(is_active=False)
            case "new password":
                alice.set_password("another good one")
                alice.save()
            case "left the project":
                Membership.objects.filter(user=alice).delete()
            case "only a viewer now":
                Membership.objects.filter(user=alice).update(role="viewer")
            case "revoked":
                grants.revoke(vm=vm)
            case "machine moved to another project":
                vms.update(project=charlie.projects.get())
            case "machine deleted":
                vms.update(presence=Presence.DELETED)
            case "row deleted":
                vms.delete()
            case "machine stopped":
                vms.update(power="stopped")
        closing = standing.still_valid(opened)
        assert closing is not None
        assert closing.code is code

    def test_a_thousand_consoles_cost_a_few_queries(
        self, opened: standing.Opened, django_assert_max_num_queries: Any
    ) -> None:
        with django_assert_max_num_queries(8):
            assert standing.ended_among([opened] * 200) == {}
