"""The list pages of pools, volumes and networks: filters from the address, counts, and one page of rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET

from kvweb.accounts.models import User
from kvweb.ui.htmx import is_htmx, part_of_list, part_of_rows, target
from kvweb.ui.parameters import whole_number
from providers.models import Health, Provider
from providers.resource_views import MOST_ROWS, ResourcePages, user_of, valid_uuids
from providers.resources import Resource, with_jobs

R = TypeVar("R", bound=Resource)

PAGE_SIZE = 50
#: Words in the text filter beyond these are ignored.
MOST_WORDS = 6


@dataclass(frozen=True, slots=True)
class State:
    """One chip above the list."""

    label: str
    condition: Q
    is_alarm: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """One column's head: its label, what a press on it sorts by, and the class of its cells."""

    label: str
    sort: str = ""
    css: str = ""


@dataclass(frozen=True, slots=True)
class Filters:
    """What the list was asked for; everything is in the URL, so a link carries it. Unknown values are ignored."""

    text: str = ""
    state: str = ""
    provider: str = ""
    sort: str = "name"
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_narrow(self) -> bool:
        return bool(self.text or self.state or self.provider or any(self.more.values()))


@dataclass(slots=True)
class Page(Generic[R]):
    items: list[R]
    total: int
    number: int
    size: int = PAGE_SIZE

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // self.size))

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


class ResourceListPages(ResourcePages[R]):
    """Adds the list to the pages of a resource."""

    states: ClassVar[Mapping[str, State]]
    columns: ClassVar[tuple[Column, ...]]
    searched: ClassVar[tuple[str, ...]] = ("name", "provider__name")
    #: Of the search field: "Search name or path".
    search_label: ClassVar[str] = "Search name"
    #: Sort → columns of the database; "-sort" is made from it.
    sorts: ClassVar[Mapping[str, tuple[str, ...]]] = {"name": ("name", "id"), "provider": ("provider__name", "name")}

    @abstractmethod
    def list_context(self, request: HttpRequest, page: Page[R], filters: Filters) -> dict[str, Any]:
        """What the page around the rows gets: who may create, further filters."""

    def narrow(self, found: QuerySet[R], filters: Filters) -> QuerySet[R]:
        """Further filters of this sort."""
        del filters
        return found

    def more_filters(self, request: HttpRequest) -> dict[str, str]:
        """Further filters as the address has them."""
        del request
        return {}

    def filters(self, request: HttpRequest) -> Filters:
        query = request.GET
        sort = query.get("sort", "name")
        return Filters(
            text=query.get("q", "").replace("\0", "").strip()[:200],
            state=query.get("state", "") if query.get("state") in self.states else "",
            provider=query.get("provider", "").replace("\0", ""),
            sort=sort if sort.removeprefix("-") in self.sorts else "name",
            more=self.more_filters(request),
        )

    def list_view(self, request: HttpRequest) -> HttpResponse:
        """The list; htmx gets the part below the search field, or the counts around it, when there is news of a row."""
        user, filters = user_of(request), self.filters(request)
        found = self.narrow(_with_words(self.visible_to(user), filters.text, self.searched), filters)
        groups = self._groups(found)
        counts = {
            state: sum(
                group[state or "all"]
                for group in groups
                if not filters.provider or group["provider__name"] == filters.provider
            )
            for state in ("", *self.states)
        }
        total = counts[filters.state]
        number = whole_number(request.GET.get("page", ""), 1)
        page = Page[R]([], total, max(1, min(number, -(-total // PAGE_SIZE) or 1)))
        if is_htmx(request) and target(request) == "chips":
            around = {"chips": self._chips(filters, counts), "filters": filters, "page": page}
            return part_of_list(request, "resources/_counts.html", around)
        if total:
            page.items = self._items(found, filters, page.number)
        context = self._list_context(request, user, page, filters, groups, counts)
        is_part = is_htmx(request) and target(request) == "results"
        return part_of_list(request, "resources/_results.html" if is_part else f"{self.folder}/list.html", context)

    def rows_view(self, request: HttpRequest) -> HttpResponse:
        """The same with the list's filters, so that rows that no longer fit them can say so."""
        user, filters = user_of(request), self.filters(request)
        uuids = valid_uuids(request.GET.get("ids", "").split(",")[:MOST_ROWS])
        listed = with_jobs(self.visible_to(user).filter(uuid__in=uuids))
        unfit: list[UUID] = []
        if filters.is_narrow:
            found = self.narrow(_with_words(self.visible_to(user), filters.text, self.searched), filters)
            fitting = set(self._chosen(found, filters).filter(uuid__in=uuids).order_by().values_list("uuid", flat=True))
            unfit = [one.uuid for one in listed if one.uuid not in fitting]
        return part_of_rows(self.rendered(listed, user), unfit)

    def _chosen(self, found: QuerySet[R], filters: Filters) -> QuerySet[R]:
        """What the choices beside the search field leave."""
        if filters.provider:
            found = found.filter(provider__name=filters.provider)
        if filters.state:
            found = found.filter(self.states[filters.state].condition)
        return found

    def _chips(self, filters: Filters, counts: dict[str, int]) -> list[dict[str, Any]]:
        """The states to choose from, each with how many there are; none where there is nothing to choose."""
        chips = [{"state": "", "label": "All", "count": counts[""], "is_alarm": False}]
        chips += [
            {"state": name, "label": state.label, "count": counts[name], "is_alarm": state.is_alarm}
            for name, state in self.states.items()
            if counts[name] or filters.state == name
        ]
        return chips if len(chips) > 2 or filters.state else []

    def _groups(self, found: QuerySet[R]) -> list[dict[str, Any]]:
        """How many in each state at each provider: one query for all counts of the page, and one for the names, since
        grouping by what a join tells takes twice as long."""
        # Counting each row once is dear, and needed only where a join may have doubled it.
        once = found.query.distinct
        counted = {name: Count("pk", filter=state.condition, distinct=once) for name, state in self.states.items()}
        rows = found.order_by().values("provider_id").annotate(all=Count("pk", distinct=once), **counted)
        groups = {row["provider_id"]: row for row in rows}
        told = Provider.objects.filter(pk__in=groups).order_by("name").values_list("pk", "name", "health")
        return [{**groups[key], "provider__name": name, "provider__health": health} for key, name, health in told]

    def _items(self, found: QuerySet[R], filters: Filters, number: int) -> list[R]:
        found = self._chosen(found, filters)
        order = self.sorts[filters.sort.removeprefix("-")]
        if filters.sort.startswith("-"):
            order = tuple(f"-{name}" for name in order)
        listed = with_jobs(found.order_by(*order)[(number - 1) * PAGE_SIZE : number * PAGE_SIZE])
        # Rows of one provider share it, so its capabilities are read once.
        shared: dict[int, Provider] = {}
        for one in listed:
            one.provider = shared.setdefault(one.provider_id, one.provider)
        return listed

    def _list_context(
        self,
        request: HttpRequest,
        user: User,
        page: Page[R],
        filters: Filters,
        groups: list[dict[str, Any]],
        counts: dict[str, int],
    ) -> dict[str, Any]:
        unreachable = [group["provider__name"] for group in groups if group["provider__health"] == Health.FAILED]
        return {
            "page": page,
            "filters": filters,
            "rows": self.rendered(page.items, user),
            "chips": self._chips(filters, counts),
            "columns": self._columns(filters.sort),
            "providers": {group["provider__name"]: group["all"] for group in groups},
            "unreachable": ", ".join(unreachable),
            "namespace": self.namespace,
            "noun": self.noun,
            "sort": self.namespace.removesuffix("s"),
            "list_title": self.title,
            "list": self._list(),
            "folder": self.folder,
            "search_label": self.search_label,
            "empty_template": f"{self.folder}/_empty.html",
            **self.list_context(request, page, filters),
        }

    def _columns(self, sorted_by: str) -> list[dict[str, str]]:
        """The columns with what a press on their heads leads to: ascending first, then the other way round."""
        found = []
        for column in self.columns:
            orders = {column.sort: "ascending", f"-{column.sort}": "descending"}
            order = orders.get(sorted_by, "") if column.sort else ""
            found.append(
                {
                    "label": column.label,
                    "sort": column.sort,
                    "css": column.css,
                    "order": order,
                    "next": f"-{column.sort}" if order == "ascending" else column.sort,
                    "icon": {"ascending": "arrow-up", "descending": "arrow-down"}.get(order, "arrows-sort"),
                }
            )
        return found

    @property
    def urls(self) -> list[URLPattern]:
        return [path("", require_GET(self.list_view), name="list"), *super().urls]


def _with_words(found: QuerySet[R], text: str, fields: tuple[str, ...]) -> QuerySet[R]:
    """Each word stands in one of the fields."""
    for word in text.split()[:MOST_WORDS]:
        condition = Q()
        for name in fields:
            condition |= Q(**{f"{name}__icontains": word})
        found = found.filter(condition)
    return found
