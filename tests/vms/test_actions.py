"""What a person can do to a machine, and when."""

from __future__ import annotations

from typing import Any

import pytest

from kvweb.accounts.actions import ActionRefused
from kvweb.accounts.models import Membership, Project, Role, User
from kvweb.audit.models import AuditEntry
from kvweb.jobs.models import Job
from providers.base import Capabilities, PowerFeatures
from providers.models import Health, Provider
from tests.conftest import MakeVm
from vms.actions import ACTIONS, DELETE, START, STOP, offered
from vms.choices import Presence

pytestmark = pytest.mark.django_db

ROLES_OF_ACTION = {
    "start": {"operator", "member", "manager"},
    "stop": {"operator", "member", "manager"},
    "delete": {"member", "manager"},
}


@pytest.mark.parametrize("name", sorted(ROLES_OF_ACTION))
@pytest.mark.parametrize("role", [role.value for role in Role])
def test_an_action_is_offered_to_the_roles_that_have_its_verb(
    name: str, role: str, project: Project, make_vm: MakeVm
) -> None:
    user = User.objects.create_user("somebody")
    Membership.objects.create(user=user, project=project, role=role)
    assert (not ACTIONS[name].check(make_vm(), user).is_hidden) is (role in ROLES_OF_ACTION[name])


#: Offered whether a machine runs or not.
WHATEVER_IT_DOES = {"take-snapshot", "rename", "migrate"}


def test_a_stranger_is_offered_nothing_and_refused_everything(charlie: User, make_vm: MakeVm) -> None:
    vm = make_vm()
    assert offered(vm, charlie) == []
    for action in ACTIONS.values():
        with pytest.raises(ActionRefused) as refused:
            action.perform(vm, charlie)
        assert refused.value.forbidden
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("power", "allowed_actions"),
    [
        ("stopped", {"start", "clone", "export", "delete"}),
        ("running", {"stop", "restart", "pause", "reset", "force-stop", "delete"}),
        ("paused", {"stop", "resume", "force-stop", "delete"}),
    ],
)
def test_the_power_state_decides(power: str, allowed_actions: set[str], alice: User, make_vm: MakeVm) -> None:
    vm = make_vm(power=power)
    able = {action.name for action, check in offered(vm, alice) if check.is_allowed}
    assert able - WHATEVER_IT_DOES == allowed_actions


@pytest.mark.parametrize(
    ("values", "provider_values", "words"),
    [
        ({"presence": Presence.MISSING}, {}, "does not list"),
        ({}, {"is_enabled": False}, "disabled"),
        ({}, {"health": Health.FAILED}, "cannot be reached"),
        ({"power": "running"}, {}, "running already"),
    ],
)
def test_what_cannot_be_done_now_says_why(
    values: dict[str, Any], provider_values: dict[str, Any], words: str, alice: User, make_vm: MakeVm
) -> None:
    vm = make_vm(**values)
    for name, value in provider_values.items():
        setattr(vm.provider, name, value)
    with pytest.raises(ActionRefused, match=words) as refused:
        START.perform(vm, alice)
    assert not refused.value.forbidden


def test_an_action_the_provider_lacks_is_not_offered(alice: User, make_vm: MakeVm, fake_provider: Provider) -> None:
    fake_provider.capabilities = Capabilities(power=PowerFeatures(pause=False)).to_json()
    fake_provider.save()
    vm = make_vm(power="running", provider=Provider.objects.get(pk=fake_provider.pk))
    assert "pause" not in {action.name for action, _ in offered(vm, alice)}


def test_starting_writes_a_job_and_an_audit_entry(alice: User, make_vm: MakeVm) -> None:
    vm = make_vm()
    job = START.perform(vm, alice)
    assert isinstance(job, Job)
    assert (job.kind, job.subject, job.user, job.queue) == ("vm.start", vm.subject, alice, "provider.fake")
    assert AuditEntry.objects.get().verb == "vm.start"


def test_starting_twice_is_one_job(alice: User, make_vm: MakeVm) -> None:
    vm = make_vm()
    assert START.perform(vm, alice) == START.perform(vm, alice)


def test_while_a_job_is_active_everything_else_waits(alice: User, make_vm: MakeVm) -> None:
    vm = make_vm(power="running")
    vm.active_job = STOP.perform(vm, alice)  # type: ignore[assignment]
    with pytest.raises(ActionRefused, match="Stopping"):
        DELETE.perform(vm, alice)


def test_a_row_without_a_machine_can_be_dismissed_and_nothing_else(alice: User, make_vm: MakeVm) -> None:
    vm = make_vm(external_id="", presence=Presence.WANTED, problem="Create failed: The disk is full.")
    assert {action.name for action, check in offered(vm, alice) if check.is_allowed} == {"dismiss"}
    ACTIONS["dismiss"].perform(vm, alice)
    vm.refresh_from_db()
    assert vm.presence == Presence.DELETED


def test_every_action_says_what_it_does() -> None:
    for action in ACTIONS.values():
        assert action.label
        assert action.doing
        assert action.icon
        if action.confirm != "none":
            assert "{name}" in action.question
        if action.is_destructive:
            assert action.asks
