"""Reading machines: every queryset begins with `visible_to(user)`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from kvweb.accounts.access import Person, within
from kvweb.jobs import selectors as jobs
from providers.base import PowerState
from providers.models import Health, Provider
from vms.choices import Presence
from vms.models import VirtualMachine


def visible_to(user: Person) -> QuerySet[VirtualMachine]:
    """Machines of the user's projects; those that were deleted are history."""
    return (
        VirtualMachine.objects.filter(within(user, "vm.view"))
        .exclude(presence=Presence.DELETED)
        .select_related("provider", "project")
    )


STATES: dict[str, tuple[str, Q]] = {
    "running": ("Running", Q(power=PowerState.RUNNING, presence=Presence.PRESENT)),
    "off": ("Off", Q(power__in=[PowerState.STOPPED, PowerState.CRASHED], presence=Presence.PRESENT)),
    "paused": ("Paused", Q(power__in=[PowerState.PAUSED, PowerState.SUSPENDED], presence=Presence.PRESENT)),
    "problem": ("With a problem", ~Q(problem="") | Q(presence=Presence.MISSING) | Q(power=PowerState.CRASHED)),
    "unreachable": ("Unreachable", Q(provider__health=Health.FAILED)),
}
SORTS: dict[str, tuple[str, ...]] = {
    "name": ("name", "id"),
    "-name": ("-name", "-id"),
    "state": ("power", "name"),
    "-state": ("-power", "name"),
    "cpu": ("vcpus", "name"),
    "-cpu": ("-vcpus", "name"),
    "memory": ("memory_mib", "name"),
    "-memory": ("-memory_mib", "name"),
    "created": ("created_at", "id"),
    "-created": ("-created_at", "-id"),
    "provider": ("provider__name", "name"),
    "-provider": ("-provider__name", "name"),
    "project": ("project__name", "name"),
    "-project": ("-project__name", "name"),
}


@dataclass(frozen=True, slots=True)
class Filters:
    """What the list page was asked for; everything is in the URL, so a link carries it. Unknown values are ignored."""

    text: str = ""
    state: str = ""
    provider: str = ""
    project: str = ""
    sort: str = "name"


def for_list(user: Person, filters: Filters) -> QuerySet[VirtualMachine]:
    vms = visible_to(user).defer("disks", "snapshots", "description", "fingerprint")
    for word in filters.text.split()[:6]:
        vms = vms.filter(Q(name__icontains=word) | Q(addresses__icontains=word) | Q(project__name__icontains=word))
    if filters.state in STATES:
        vms = vms.filter(STATES[filters.state][1])
    if filters.provider:
        vms = vms.filter(provider__name=filters.provider)
    if filters.project:
        vms = vms.filter(project__name=filters.project)
    return vms.order_by(*SORTS.get(filters.sort, SORTS["name"]))


def with_jobs(vms: Iterable[VirtualMachine]) -> list[VirtualMachine]:
    """The same machines, each with its active job; one query."""
    listed = list(vms)
    active = jobs.active_for(vm.subject for vm in listed)
    for vm in listed:
        vm.active_job = active.get(vm.subject)
    return listed


def counts(user: Person) -> dict[str, int]:
    """How many machines in each state of the filter chips, and "all"; one query."""
    found = (
        visible_to(user)
        .order_by()
        .aggregate(all=Count("pk"), **{name: Count("pk", filter=condition) for name, (_, condition) in STATES.items()})
    )
    return dict(found)


def projects_at(provider: Provider) -> set[int]:
    return set(
        VirtualMachine.objects.filter(provider=provider)
        .exclude(presence=Presence.DELETED)
        .order_by()
        .values_list("project_id", flat=True)
        .distinct()
    )
