"""The list page: its filters, its counts and one page of machines, within a fixed number of queries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.http import QueryDict

from kvweb.accounts.access import Person, projects_with
from kvweb.accounts.models import Project
from kvweb.jobs import selectors as jobs
from kvweb.jobs.models import Job
from providers.base import PowerState
from providers.models import Health, Provider
from vms.choices import Presence
from vms.models import VirtualMachine
from vms.selectors import SORTS, STATES, Filters, visible_to

PAGE_SIZES = (25, 50, 100)
#: Words in the text filter beyond these are ignored.
MOST_WORDS = 6


def filters_from(query: QueryDict) -> Filters:
    sort = query.get("sort", "name")
    return Filters(
        text=query.get("q", "").strip()[:200],
        state=query.get("state", "") if query.get("state") in STATES else "",
        provider=query.get("provider", ""),
        project=query.get("project", ""),
        sort=sort if sort in SORTS else "name",
    )


@dataclass(frozen=True, slots=True)
class Group:
    """Machines that count alike."""

    project_id: int
    provider_id: int
    power: str
    presence: str
    problem: str
    count: int

    def is_in(self, state: str, unreachable: set[int]) -> bool:
        """The same conditions as `selectors.STATES`, on a group instead of in SQL; a test holds them together."""
        present = self.presence == Presence.PRESENT
        match state:
            case "running":
                return present and self.power == PowerState.RUNNING
            case "off":
                return present and self.power in {PowerState.STOPPED, PowerState.CRASHED}
            case "paused":
                return present and self.power in {PowerState.PAUSED, PowerState.SUSPENDED}
            case "problem":
                return bool(self.problem) or self.presence == Presence.MISSING or self.power == PowerState.CRASHED
            case "unreachable":
                return self.provider_id in unreachable
        return True


@dataclass(slots=True)
class Page:
    """One page of the list and all that stands around it."""

    filters: Filters
    vms: list[VirtualMachine]
    total: int
    number: int
    size: int
    counts: dict[str, int]
    #: Name → how many, for the filters.
    providers: dict[str, int]
    projects: dict[str, int]
    #: Providers of the shown machines that do not answer.
    unreachable: list[Provider]
    #: How many providers the machines are of, before the filters of the page narrow them.
    known_providers: int = 0
    #: Whether there is a project whose machines this person may see.
    in_project: bool = True
    active_jobs: int = 0
    is_filtered: bool = False
    pages: int = field(init=False)

    def __post_init__(self) -> None:
        self.pages = max(1, -(-self.total // self.size))

    @property
    def first(self) -> int:
        return (self.number - 1) * self.size + 1 if self.total else 0

    @property
    def last(self) -> int:
        return min(self.number * self.size, self.total)

    @property
    def next(self) -> int:
        return self.number + 1 if self.number < self.pages else 0

    @property
    def previous(self) -> int:
        return self.number - 1


def text_condition(text: str, projects: Iterable[Project]) -> Q:
    """Each word stands in name, addresses or the project's name; projects are few and compared here, not joined."""
    condition = Q()
    for word in text.split()[:MOST_WORDS]:
        named = [project.pk for project in projects if word.lower() in project.name.lower()]
        condition &= Q(name__icontains=word) | Q(addresses__icontains=word) | Q(project_id__in=named)
    return condition


def groups(user: Person, condition: Q) -> list[Group]:
    """How many machines of each sort the user sees; one query gives every count of the page."""
    found = (
        visible_to(user)
        .select_related(None)
        .filter(condition)
        # Exactly the columns of the index vm_by_group, in its order: the database then only walks the index.
        .order_by()
        .values_list("project_id", "provider_id", "power", "presence", "problem")
        .annotate(count=Count("pk"))
    )
    return [Group(*values) for values in found]


def _with_neighbours(
    vms: Iterable[VirtualMachine], providers: dict[int, Provider], projects: dict[int, Project]
) -> list[VirtualMachine]:
    """The machines with provider and project put in: shared objects read their capabilities once, not once per row."""
    listed = list(vms)
    for vm in listed:
        vm.provider = providers[vm.provider_id]
        vm.project = projects[vm.project_id]
    return listed


def _ids(named: Iterable[Provider | Project], name: str) -> list[int]:
    return [thing.pk for thing in named if thing.name == name]


def _condition(filters: Filters, providers: Iterable[Provider], projects: Iterable[Project]) -> Q:
    condition = text_condition(filters.text, projects)
    if filters.state:
        condition &= STATES[filters.state][1]
    if filters.provider:
        condition &= Q(provider_id__in=_ids(providers, filters.provider))
    if filters.project:
        condition &= Q(project_id__in=_ids(projects, filters.project))
    return condition


def _plain(user: Person) -> QuerySet[VirtualMachine]:
    return (
        visible_to(user)
        .select_related(None)
        .only(
            "uuid", "name", "project_id", "provider_id", "power", "presence", "missing_since", "problem",
            "problem_job", "vcpus", "memory_mib", "disk_gib", "addresses", "consoles", "created_at", "is_protected",
        )
    )  # fmt: skip


def active_jobs(user: Person) -> list[Job]:
    """What is being done for this user's projects; few, since workers are few."""
    return list(
        jobs.for_list(user, state="active")
        .select_related(None)
        .only("uuid", "subject", "doing", "percent", "message", "exclusive", "state")[:1000]
    )


def page(user: Person, filters: Filters, *, number: int = 1, size: int = 50) -> Page:
    """Five queries: projects, groups, providers, active jobs, and the machines of this page."""
    size = size if size in PAGE_SIZES else 50
    projects = {project.pk: project for project in projects_with(user, "vm.view")}
    grouped = groups(user, text_condition(filters.text, projects.values()))
    providers = {row.pk: row for row in Provider.objects.filter(pk__in={group.provider_id for group in grouped})}
    unreachable = {pk for pk, provider in providers.items() if provider.health == Health.FAILED}

    def in_provider(group: Group) -> bool:
        return not filters.provider or providers[group.provider_id].name == filters.provider

    def in_project(group: Group) -> bool:
        return not filters.project or projects[group.project_id].name == filters.project

    narrowed = [group for group in grouped if in_provider(group) and in_project(group)]
    counts = {
        state: sum(group.count for group in narrowed if group.is_in(state, unreachable)) for state in ("", *STATES)
    }
    by_provider: dict[str, int] = {}
    by_project: dict[str, int] = {}
    for group in grouped:
        if group.is_in(filters.state, unreachable):
            if in_project(group):
                name = providers[group.provider_id].name
                by_provider[name] = by_provider.get(name, 0) + group.count
            if in_provider(group):
                name = projects[group.project_id].name
                by_project[name] = by_project.get(name, 0) + group.count
    total = counts[filters.state]
    number = max(1, min(number, -(-total // size) or 1))
    vms: list[VirtualMachine] = []
    if total:
        condition = _condition(filters, providers.values(), projects.values())
        found = _plain(user).filter(condition).order_by(*SORTS[filters.sort])
        vms = _with_neighbours(found[(number - 1) * size : number * size], providers, projects)
    active = active_jobs(user)
    of_subject = {job.subject: job for job in active if job.exclusive}
    for vm in vms:
        vm.active_job = of_subject.get(vm.subject)
    return Page(
        filters=filters,
        vms=vms,
        total=total,
        number=number,
        size=size,
        counts=counts,
        providers=dict(sorted(by_provider.items())),
        projects=dict(sorted(by_project.items())),
        unreachable=[providers[pk] for pk in sorted(unreachable & {group.provider_id for group in narrowed})],
        known_providers=len(providers),
        in_project=bool(projects),
        active_jobs=len(active),
        is_filtered=bool(filters.text or filters.state or filters.provider or filters.project),
    )


def matching(user: Person, filters: Filters) -> list[UUID]:
    """Those of all pages of the list."""
    projects = projects_with(user, "vm.view")
    providers = Provider.objects.filter(name=filters.provider) if filters.provider else []
    condition = _condition(filters, providers, projects)
    found = visible_to(user).select_related(None).filter(condition).order_by(*SORTS[filters.sort])
    return list(found.values_list("uuid", flat=True))


def unfit(user: Person, filters: Filters, uuids: Iterable[UUID]) -> list[UUID]:
    """Those of these machines that the filters leave out; asks nothing when there are none."""
    if not (filters.text or filters.state or filters.provider or filters.project):
        return []
    asked = list(uuids)
    projects = projects_with(user, "vm.view")
    providers = Provider.objects.filter(name=filters.provider) if filters.provider else []
    fitting = visible_to(user).select_related(None).filter(_condition(filters, providers, projects), uuid__in=asked)
    found = set(fitting.order_by().values_list("uuid", flat=True))
    return [uuid for uuid in asked if uuid not in found]


def some(user: Person, uuids: Iterable[object]) -> list[VirtualMachine]:
    """Those of these machines that the user sees, with provider, project and active job; four queries."""
    vms = list(_plain(user).filter(uuid__in=list(uuids)))
    providers = Provider.objects.in_bulk({vm.provider_id for vm in vms})
    projects = Project.objects.in_bulk({vm.project_id for vm in vms})
    active = jobs.active_for(vm.subject for vm in vms)
    for vm in _with_neighbours(vms, providers, projects):
        vm.active_job = active.get(vm.subject)
    return vms
