"""The one table role → verbs, and the only judge of who may do what.

A verb is "<noun>.<what>". Whoever asks about an object of a project needs a role there that has the verb; portal-wide
verbs (those of ADMINISTRATION) belong to administrators.
"""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, Q, QuerySet

from kvweb.accounts.models import Membership, Project, Role, User

VIEW = frozenset({"vm.view", "volume.view", "job.view", "project.view"})
OPERATE = VIEW | {"vm.operate", "vm.console", "vm.snapshot"}
OWN = OPERATE | {"vm.create", "vm.change", "vm.delete", "vm.migrate", "job.cancel", "image.create", "image.change"}
OWN |= {"volume.create", "volume.change", "volume.delete", "vm.share"}
MANAGE = OWN | {"project.manage", "console.manage"}
#: Verbs of the portal itself, not of a project.
ADMINISTRATION = frozenset({"provider.view", "provider.change", "user.change", "portal.view", "vm.assign"})
ADMINISTRATION |= {"storage.manage", "network.manage", "volume.assign"}

VERBS_OF_ROLE: dict[str, frozenset[str]] = {
    Role.VIEWER: VIEW,
    Role.OPERATOR: OPERATE,
    Role.MEMBER: OWN,
    Role.MANAGER: MANAGE,
}
VERBS = MANAGE | ADMINISTRATION

Person = User | AnonymousUser


def roles_of(user: Person) -> dict[int, str]:
    """Project id → role, read once per user object (a request has one)."""
    if not isinstance(user, User):
        return {}
    cached: dict[int, str] | None = getattr(user, "_kvweb_roles", None)
    if cached is None:
        cached = dict(Membership.objects.filter(user=user).values_list("project_id", "role"))
        user._kvweb_roles = cached  # type: ignore[attr-defined]
    return cached


def know_role(user: User, project_id: int, role: str | None) -> None:
    """Spare this user object the query: it is only ever asked about this project, and its role there was just read."""
    user._kvweb_roles = {project_id: role} if role is not None else {}  # type: ignore[attr-defined]


def allowed(user: Person, verb: str, subject: Model | None = None) -> bool:
    """Whether `user` may do `verb`: to a project, to something that belongs to one, or (None) to the portal itself."""
    if verb not in VERBS:
        raise ValueError(f"There is no verb “{verb}”.")
    if not user.is_authenticated or not user.is_active:
        return False
    if user.is_superuser:
        return True
    if verb in ADMINISTRATION or subject is None:
        return False
    project_id = subject.pk if isinstance(subject, Project) else getattr(subject, "project_id", None)
    if project_id is None:
        return False
    return verb in VERBS_OF_ROLE.get(roles_of(user).get(project_id, ""), frozenset())


def projects_with(user: Person, verb: str) -> QuerySet[Project]:
    """The projects in which `user` may do `verb`."""
    if not user.is_authenticated or not user.is_active:
        return Project.objects.none()
    if user.is_superuser:
        return Project.objects.all()
    ids = [project_id for project_id, role in roles_of(user).items() if verb in VERBS_OF_ROLE.get(role, ())]
    return Project.objects.filter(pk__in=ids)


def allowed_somewhere(user: Person, verb: str) -> bool:
    """Whether there is a project in which `user` may do `verb`: what is done nowhere is not offered."""
    if not user.is_authenticated or not user.is_active:
        return False
    return user.is_superuser or any(verb in VERBS_OF_ROLE.get(role, ()) for role in roles_of(user).values())


def within(user: Person, verb: str, field: str = "project") -> Q:
    """The condition that `visible_to(user)` of every app begins with: rows of projects where `user` has `verb`."""
    if not user.is_authenticated or not user.is_active:
        return Q(pk__in=[])
    if user.is_superuser:
        return Q()
    ids = [project_id for project_id, role in roles_of(user).items() if verb in VERBS_OF_ROLE.get(role, ())]
    return Q(**{f"{field}_id__in": ids})
