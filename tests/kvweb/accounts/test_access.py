"""The table of rights, and the one judge."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from django.contrib.auth.models import AnonymousUser

from kvweb.accounts.access import ADMINISTRATION, MANAGE, VERBS, VERBS_OF_ROLE, allowed, projects_with
from kvweb.accounts.models import Membership, Project, Role, User
from tests.conftest import MakeVm
from vms import selectors as vms

pytestmark = pytest.mark.django_db

WHO_MAY = {
    "vm.view": {"viewer", "operator", "member", "manager"},
    "vm.operate": {"operator", "member", "manager"},
    "vm.console": {"operator", "member", "manager"},
    "vm.create": {"member", "manager"},
    "vm.delete": {"member", "manager"},
    "project.manage": {"manager"},
}


@pytest.mark.parametrize("verb", sorted(WHO_MAY))
@pytest.mark.parametrize("role", [role.value for role in Role])
def test_each_role_has_its_verbs(verb: str, role: str, project: Project) -> None:
    user = User.objects.create_user("somebody")
    Membership.objects.create(user=user, project=project, role=role)
    assert allowed(user, verb, project) is (role in WHO_MAY[verb])


def test_a_stranger_may_nothing(charlie: User, project: Project) -> None:
    assert not any(allowed(charlie, verb, project) for verb in VERBS)


def test_nobody_may_anything_without_signing_in(project: Project) -> None:
    assert not any(allowed(AnonymousUser(), verb, project) for verb in VERBS)


def test_an_administrator_may_everything(root: User, project: Project) -> None:
    assert all(allowed(root, verb, project) for verb in VERBS)


def test_a_disabled_account_may_nothing(alice: User, root: User, project: Project) -> None:
    for user in (alice, root):
        user.is_active = False
        assert not any(allowed(user, verb, project) for verb in VERBS)


def test_no_role_of_a_project_reaches_the_portal(project: Project) -> None:
    manager = User.objects.create_user("manager")
    Membership.objects.create(user=manager, project=project, role=Role.MANAGER)
    assert not any(allowed(manager, verb) for verb in ADMINISTRATION)


def test_a_verb_that_does_not_exist_is_a_mistake_of_the_code(alice: User, project: Project) -> None:
    with pytest.raises(ValueError, match="no verb"):
        allowed(alice, "vm.explode", project)


def test_roles_grow_from_viewer_to_manager() -> None:
    order = [Role.VIEWER, Role.OPERATOR, Role.MEMBER, Role.MANAGER]
    for smaller, larger in pairwise(order):
        assert VERBS_OF_ROLE[smaller] < VERBS_OF_ROLE[larger]
    assert VERBS_OF_ROLE[Role.MANAGER] == MANAGE


def test_machines_are_seen_by_their_project_alone(
    alice: User, bob: User, charlie: User, root: User, make_vm: MakeVm
) -> None:
    make_vm(name="web-1")
    seen: Callable[[User], int] = lambda user: vms.visible_to(user).count()  # noqa: E731
    assert [seen(user) for user in (alice, bob, charlie, root)] == [1, 1, 0, 1]


def test_projects_to_create_in_are_those_with_the_right_role(alice: User, bob: User, project: Project) -> None:
    assert list(projects_with(alice, "vm.create")) == [project]
    assert list(projects_with(bob, "vm.create")) == []
