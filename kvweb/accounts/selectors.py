"""Reading projects, members and people: always from what the user may see."""

from __future__ import annotations

from django.db.models import Count, QuerySet

from kvweb.accounts.access import Person, allowed, projects_with
from kvweb.accounts.models import Membership, Project, SshKey, User


def projects_visible_to(user: Person) -> QuerySet[Project]:
    """Projects the user is in; administrators see all."""
    return projects_with(user, "project.view").annotate(people=Count("memberships", distinct=True))


def members_of(project: Project) -> QuerySet[Membership]:
    return project.memberships.select_related("user", "project").order_by("user__username")


def people_visible_to(user: Person) -> QuerySet[User]:
    """All people, to administrators."""
    if not allowed(user, "user.change"):
        return User.objects.none()
    return User.objects.prefetch_related("memberships__project").order_by("username")


def keys_of(user: User) -> QuerySet[SshKey]:
    return SshKey.objects.filter(user=user)
