"""The dashboard: what is there, what is going on, and what to do first."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_GET

from kvweb.accounts.access import allowed, allowed_somewhere
from kvweb.jobs import selectors as jobs
from kvweb.jobs.views import standstill_context, user_of
from kvweb.portal import navigation  # noqa: F401 - registers the entries of the frame
from providers import looks
from providers import selectors as providers
from vms import listing
from vms.looks import main_address
from vms.selectors import Filters

LATEST = 8


def _address(name: str) -> str:
    """The address of a page that may be left out of this installation."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


@require_GET
def dashboard(request: HttpRequest) -> HttpResponse:
    context = _context(request)
    return render(request, "portal/dashboard.html", {**context, **standstill_context(user_of(request))})


@require_GET
def dashboard_part(request: HttpRequest) -> HttpResponse:
    """The same below the heading, for news."""
    return render(request, "portal/_dashboard.html", _context(request))


def _context(request: HttpRequest) -> dict[str, Any]:
    user = user_of(request)
    page = listing.page(user, Filters(sort="-created"), size=25)
    is_administrator = allowed(user, "provider.view")
    seen = providers.visible_to(user).order_by("name")
    if is_administrator:
        seen = providers.with_allocation(seen)
    request.active_jobs = page.active_jobs  # type: ignore[attr-defined]
    return {
        "page": page,
        "counts": page.counts,
        "machines": [(vm, main_address(vm)[0]) for vm in page.vms[:LATEST]],
        "jobs": list(jobs.for_list(user)[:LATEST]),
        "providers": [
            {"provider": provider, "capacity": looks.capacity(provider) if is_administrator else []}
            for provider in seen
        ],
        "is_administrator": is_administrator,
        "may_create": allowed_somewhere(user, "vm.create"),
        "create_address": _address("vms:create"),
        "add_provider_address": _address("providers:add"),
        "keys_address": _address("accounts:ssh_keys"),
        "has_keys": user.ssh_keys.exists(),
    }
