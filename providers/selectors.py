"""Reading providers: administrators see all, others those that are open to one of their projects."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from kvweb.accounts.access import Person, allowed, roles_of
from providers.models import Provider

#: Resource apps say here which projects have something at a provider (they stand above this app).
project_finders: list[Callable[[Provider], Iterable[int]]] = []


def visible_to(user: Person) -> QuerySet[Provider]:
    if allowed(user, "provider.view"):
        return Provider.objects.all()
    if not user.is_authenticated or not user.is_active:
        return Provider.objects.none()
    mine = list(roles_of(user))
    return Provider.objects.filter(Q(projects__isnull=True) | Q(projects__in=mine)).distinct()


def with_allocation(found: QuerySet[Provider]) -> QuerySet[Provider]:
    """Each with what its running machines may take, which is known at any moment; what a host told is as old as its
    last check. Of providers that are joined to nothing else. The machines' app stands above: its words are text.
    """
    running = Q(vms__power="running", vms__presence="present")
    return found.annotate(
        cpus_allocated=Coalesce(Sum("vms__vcpus", filter=running), 0),
        memory_allocated_mib=Coalesce(Sum("vms__memory_mib", filter=running), 0),
    )


def projects_with_machines(provider: Provider) -> set[int]:
    return {project_id for find in project_finders for project_id in find(provider)}
