"""The dashboard: what is there, what is going on, and what to do first."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_GET

from kvweb.accounts.access import allowed, projects_with
from kvweb.accounts.models import User
from kvweb.jobs import selectors as jobs
from kvweb.portal import navigation  # noqa: F401 - registers the entries of the frame
from kvweb.ui.words import size_words
from providers import selectors as providers
from providers.models import Provider
from vms import listing
from vms.selectors import Filters

LATEST = 8


def _address(name: str) -> str:
    """The address of a page that may be left out of this installation."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def capacity(provider: Provider) -> list[dict[str, Any]]:
    """How full the host is, from what it told last; nothing where it tells nothing."""
    host = provider.host or {}
    found = []
    for label, used, total, words in (
        ("CPU", host.get("cpus_used"), host.get("cpus_total"), lambda count: f"{count:g}"),
        ("Memory", host.get("memory_used_mib"), host.get("memory_total_mib"), size_words),
    ):
        if total:
            percent = round(100 * used / total) if used is not None else None
            found.append(
                {
                    "label": label,
                    "percent": percent,
                    "words": f"{words(used)} of {words(total)}" if used is not None else words(total),
                    "is_full": percent is not None and percent >= 90,
                }
            )
    return found


@require_GET
def dashboard(request: HttpRequest) -> HttpResponse:
    return render(request, "portal/dashboard.html", _context(request))


@require_GET
def dashboard_part(request: HttpRequest) -> HttpResponse:
    """The same below the heading, for news."""
    return render(request, "portal/_dashboard.html", _context(request))


def _context(request: HttpRequest) -> dict[str, Any]:
    user = request.user
    assert isinstance(user, User)  # noqa: S101 - the page asks for a signed-in person
    page = listing.page(user, Filters(sort="-created"), size=25)
    seen = list(providers.visible_to(user).order_by("name"))
    is_administrator = allowed(user, "provider.view")
    request.active_jobs = page.active_jobs  # type: ignore[attr-defined]
    return {
        "page": page,
        "counts": page.counts,
        "machines": page.vms[:LATEST],
        "jobs": list(jobs.for_list(user)[:LATEST]),
        "providers": [
            {"provider": provider, "capacity": capacity(provider) if is_administrator else []} for provider in seen
        ],
        "is_administrator": is_administrator,
        "may_create": user.is_superuser or projects_with(user, "vm.create").exists(),
        "create_address": _address("vms:create"),
        "add_provider_address": _address("providers:add"),
        "keys_address": _address("accounts:ssh_keys"),
        "has_keys": user.ssh_keys.exists(),
    }
