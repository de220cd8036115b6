"""Pages of providers, for administrators; to everybody else they do not exist."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kvweb.accounts.access import allowed
from kvweb.accounts.actions import ActionRefused
from kvweb.accounts.models import User
from kvweb.jobs import selectors as jobs
from kvweb.jobs.models import Job
from kvweb.ui.htmx import is_htmx
from providers import looks, registry, selectors, services
from providers.abilities import chips
from providers.actions import ACTIONS, ProviderAction, offered
from providers.base import Plugin, ProviderError
from providers.forms import ProviderForm
from providers.models import Provider

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def for_administrators(view: View[P]) -> View[P]:
    """404 for others: who may not see providers is not told that there is a page."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not allowed(request.user, "provider.view"):
            raise Http404
        return view(request, *args, **kwargs)

    return login_required(guarded)


def _counted(user: Any) -> QuerySet[Provider]:
    """Providers with how many machines are known there. The machines' app stands above this one: its words are text."""
    there = ~Q(vms__presence="deleted")
    return selectors.with_allocation(selectors.visible_to(user)).annotate(machines=Count("vms", filter=there))


def _get(request: HttpRequest, uuid: UUID) -> Provider:
    return get_object_or_404(_counted(request.user).prefetch_related("projects"), uuid=uuid)


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - for_administrators saw to it
    return request.user


@for_administrators
@require_GET
def provider_list(request: HttpRequest) -> HttpResponse:
    listed = list(_counted(request.user))
    checking = jobs.active_for(provider.subject for provider in listed)
    cards = [_card(provider, checking.get(provider.subject)) for provider in listed]
    return render(request, "providers/list.html", {"cards": cards})


def _card(provider: Provider, active: Job | None) -> dict[str, Any]:
    return {
        "provider": provider,
        "kind": looks.kind_label(provider),
        "chips": chips(provider.can),
        "checking": active,
        "host": provider.host,
    }


@for_administrators
@require_GET
def card(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """One card of the list, when there is news of it."""
    provider = _get(request, uuid)
    active = jobs.active_for([provider.subject]).get(provider.subject)
    return render(request, "providers/_card.html", {"card": _card(provider, active)})


@for_administrators
@require_GET
def detail(request: HttpRequest, uuid: UUID) -> HttpResponse:
    return render(request, "providers/detail.html", _page(request, _get(request, uuid)))


@for_administrators
@require_GET
def body(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """The page's live part, when there is news of the provider or its check."""
    return render(request, "providers/_body.html", _page(request, _get(request, uuid)))


def _page(request: HttpRequest, provider: Provider) -> dict[str, Any]:
    found = looks.plugin_of(provider)
    history = list(jobs.history_of(provider.subject)[:8])
    last_check = next((job for job in history if job.kind == "provider.check"), None)
    return {
        "provider": provider,
        "plugin": found,
        "kind": looks.kind_label(provider),
        "verdict": looks.verdict(provider, last_check),
        "last_check": last_check,
        "chips": chips(provider.can, found.declares if found else None),
        "settings": _settings(provider, found),
        "host": provider.host,
        "capacity": looks.capacity(provider),
        "virtualisation": looks.virtualisation(provider),
        "pools": provider.pools.filter(missing_since=None),
        "networks": provider.networks.filter(missing_since=None),
        "images": provider.images.filter(missing_since=None),
        "history": history,
        "actions": offered(provider, request.user),
    }


def _settings(provider: Provider, found: Plugin | None) -> list[tuple[str, str]]:
    """The open part of its config under the fields' titles, as far as it is not the default; never a secret."""
    fields = found.config.model_fields if found else {}
    told = []
    for name, value in provider.config.items():
        if name in fields and not fields[name].is_required() and _same(value, fields[name].default):
            continue
        title = fields[name].title if name in fields and fields[name].title else name.replace("_", " ").capitalize()
        if value not in ("", None, [], {}):
            told.append((str(title), _in_words(value)))
    return told


def _same(value: object, default: object) -> bool:
    return value == (list(default) if isinstance(default, tuple) else default)


def _in_words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and "\n" in value.strip():
        # A certificate, a list of host keys: nobody reads it here, and “Edit” has it.
        return f"given ({len(value.strip().splitlines())} lines)"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


# -- adding and changing -----------------------------------------------------------------------------------------------


@for_administrators
@require_GET
def kinds(request: HttpRequest) -> HttpResponse:
    """Choose a kind; one that is broken is shown with the reason."""
    known = [(plugin, chips(plugin.declares)) for plugin in registry.plugins().values()]
    return render(request, "providers/kinds.html", {"known": known, "broken": registry.broken().items()})


@sensitive_post_parameters()
@for_administrators
@require_http_methods(["GET", "POST"])
def add(request: HttpRequest, kind: str) -> HttpResponse:
    try:
        plugin = registry.plugin(kind)
    except ProviderError as exc:
        messages.error(request, exc.reason)
        return redirect("providers:add")
    form = ProviderForm(request.POST if request.method == "POST" else None, plugin=plugin)
    if form.is_bound and form.is_valid():
        provider = services.add(
            kind=plugin.kind,
            name=form.cleaned_data["name"],
            config=form.config,
            projects=form.cleaned_data["projects"],
            max_parallel=form.cleaned_data["max_parallel"],
            user=_user(request),
        )
        messages.success(request, f"“{provider.name}” was added; its connection is being checked.")
        return redirect("providers:detail", uuid=provider.uuid)
    return render(request, "providers/form.html", {"form": form, "plugin": plugin}, status=_status(form))


@sensitive_post_parameters()
@for_administrators
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, uuid: UUID) -> HttpResponse:
    provider = _get(request, uuid)
    plugin = looks.plugin_of(provider)
    if plugin is None:
        messages.error(request, f"The kind “{provider.kind}” is not installed, so its settings cannot be changed.")
        return redirect("providers:detail", uuid=uuid)
    form = ProviderForm(request.POST if request.method == "POST" else None, plugin=plugin, provider=provider)
    if form.is_bound and form.is_valid():
        services.change(
            provider,
            name=form.cleaned_data["name"],
            config=form.typed_config,
            projects=form.cleaned_data["projects"],
            max_parallel=form.cleaned_data["max_parallel"],
            user=_user(request),
        )
        messages.success(request, "Saved; the connection is being checked with the new settings.")
        return redirect("providers:detail", uuid=uuid)
    context = {"form": form, "plugin": plugin, "provider": provider}
    return render(request, "providers/form.html", context, status=_status(form))


def _status(form: ProviderForm) -> int:
    return 422 if form.is_bound else 200


# -- actions -----------------------------------------------------------------------------------------------------------


def _action(name: str) -> ProviderAction:
    if name not in ACTIONS:
        raise Http404
    return ACTIONS[name]


@for_administrators
@require_GET
def ask(request: HttpRequest, uuid: UUID, action: str) -> HttpResponse:
    """The question before an action: a dialog, or a page where there are no scripts."""
    provider, wanted = _get(request, uuid), _action(action)
    check = wanted.check(provider, request.user)
    context = {
        "provider": provider,
        "action": wanted,
        "question": wanted.asks(provider),
        "reason": check.reason,
        # In a dialog the button waits until the name was typed; without scripts it could wait for ever.
        "is_dialog": is_htmx(request),
    }
    return render(request, "providers/_ask.html" if is_htmx(request) else "providers/ask.html", context)


@for_administrators
@require_POST
def do(request: HttpRequest, uuid: UUID, action: str) -> HttpResponse:
    provider, wanted = _get(request, uuid), _action(action)
    if wanted.confirm == "type" and request.POST.get("typed", "").strip() != provider.name:
        messages.error(request, f"Nothing was done: type “{provider.name}” exactly to {wanted.label.lower()} it.")
        return redirect("providers:detail", uuid=uuid)
    name = provider.name
    try:
        wanted.perform(provider, request.user)
    except ActionRefused as exc:
        if exc.forbidden and not wanted.fits(provider):
            messages.info(request, f"“{name}” is like that already.")
        elif exc.forbidden:
            raise PermissionDenied(exc.reason) from None
        else:
            messages.error(request, exc.reason)
    else:
        messages.success(request, wanted.says(name))
    return redirect("providers:detail", uuid=uuid) if wanted.name != "remove" else redirect("providers:list")
