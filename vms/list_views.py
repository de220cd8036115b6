"""The list of machines: page, rows for news, and the menu of a row."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from kvweb.accounts.access import allowed, allowed_somewhere
from kvweb.accounts.models import User
from kvweb.accounts.services import UNASSIGNED_NAME
from kvweb.ui.htmx import is_htmx, part_of_list, part_of_rows, target
from kvweb.ui.parameters import whole_number
from kvweb.ui.words import number_words
from vms import listing, looks
from vms import rows as rendered
from vms.actions import ACTIONS
from vms.bulk_views import MOST_AT_ONCE
from vms.selectors import STATES, Filters
from vms.view_parts import MOST_ROWS, create_address, found_vm, shows_projects, user_of


@require_GET
def vm_list(request: HttpRequest) -> HttpResponse:
    """The list; htmx gets the part below the search field, or the counts around it, when there is news of a row."""
    user = user_of(request)
    query = request.GET
    page = listing.page(
        user,
        listing.filters_from(query),
        number=whole_number(query.get("page", ""), 1),
        size=whole_number(query.get("per", ""), 50),
    )
    several_projects = shows_projects(user)
    chips = [
        {"state": state, "label": label, "count": page.counts[state], "is_alarm": state in {"problem", "unreachable"}}
        for state, label in [("", "All"), *((state, label) for state, (label, _) in STATES.items())]
        if page.counts[state] or state in {"", "running", "off", page.filters.state}
    ]
    if is_htmx(request) and target(request) == "chips":
        around = {"chips": chips, "filters": page.filters, "page": page, "sizes": listing.PAGE_SIZES}
        return part_of_list(request, "vms/_counts.html", around)
    context = {
        "page": page,
        "filters": page.filters,
        "rows": rendered.rows(page.vms, user, with_project=several_projects),
        "chips": chips,
        "columns": _columns(page.filters.sort, several_projects=several_projects),
        "several_projects": several_projects,
        "several_providers": page.known_providers > 1 or bool(page.filters.provider or page.filters.text),
        "sizes": listing.PAGE_SIZES,
        "bulk_actions": [
            action for action in ACTIONS.values() if action.in_bulk and allowed_somewhere(user, action.verb)
        ],
        "matching": _matching(page.filters),
        "found": _found_words(user, page),
        "most_at_once": MOST_AT_ONCE,
        "create_address": create_address(),
        "may_create": allowed_somewhere(user, "vm.create"),
    }
    request.active_jobs = page.active_jobs  # type: ignore[attr-defined]
    template = "vms/_results.html" if is_htmx(request) and target(request) == "results" else "vms/list.html"
    return part_of_list(request, template, context)


def _found_words(user: User, page: listing.Page) -> dict[str, Any] | None:
    """What an administrator is told of machines that were found and belong to nobody; the page's counts know them."""
    if not allowed(user, "vm.assign"):
        return None
    count = page.projects.get(UNASSIGNED_NAME, 0)
    is_shown = page.filters.project == UNASSIGNED_NAME
    if not count or (page.is_filtered and not is_shown):
        return None
    return {"words": number_words(count, "machine"), "count": count, "is_shown": is_shown, "project": UNASSIGNED_NAME}


def _matching(filters: Filters) -> str:
    """The filters as the bulk bar sends them, when all that match are chosen and not some by their boxes."""
    named = {"q": filters.text, "state": filters.state, "provider": filters.provider, "project": filters.project}
    return urlencode({name: value for name, value in named.items() if value})


#: Head of the table: label, sort order, and the class of its cells.
COLUMNS = (
    ("Name", "name", ""),
    ("State", "state", ""),
    ("Address", "", ""),
    ("CPU", "cpu", "number"),
    ("Memory", "memory", "number"),
    ("Disk", "", "number wide-only rare"),
    ("Provider", "provider", ""),
    ("Project", "project", "wide-only"),
    ("Created", "created", "wide-only rare"),
)


def _columns(sorted_by: str, *, several_projects: bool) -> list[dict[str, str]]:
    """The columns with what a press on their heads leads to: ascending first, then the other way round."""
    found = []
    for label, sort, css in COLUMNS:
        if sort == "project" and not several_projects:
            continue
        order = {sort: "ascending", f"-{sort}": "descending"}.get(sorted_by, "") if sort else ""
        found.append(
            {
                "label": label,
                "sort": sort,
                "css": css,
                "order": order,
                "next": f"-{sort}" if order == "ascending" else sort,
                "icon": {"ascending": "arrow-up", "descending": "arrow-down"}.get(order, "arrows-sort"),
            }
        )
    return found


@require_GET
def rows(request: HttpRequest) -> HttpResponse:
    """Rows of these machines, for news; those that are gone are simply not among them. The list's filters come along,
    so that rows that no longer fit them can say so."""
    user = user_of(request)
    uuids = []
    for text in request.GET.get("ids", "").split(",")[:MOST_ROWS]:
        try:
            uuids.append(UUID(text))
        except ValueError:
            continue
    vms = listing.some(user, uuids)
    unfit = listing.unfit(user, listing.filters_from(request.GET), [vm.uuid for vm in vms])
    return part_of_rows(rendered.rows(vms, user, with_project=shows_projects(user)), unfit)


@require_GET
def menu(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """What may be done to one machine, fetched when its menu is opened."""
    vm = found_vm(request, uuid)
    user = user_of(request)
    consoles = looks.console_links(vm, user) if vm.is_running or vm.is_paused else []
    return render(request, "vms/_menu.html", {"vm": vm, "buttons": looks.buttons(vm, user), "consoles": consoles})
