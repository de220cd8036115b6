"""The page of a provider's host, for administrators: what it has, what was promised of it, what it does now."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from kvweb.metrics.charts import RANGES, described, drawn, range_called
from kvweb.metrics.looking import look
from kvweb.metrics.series import HOUR
from providers import hosts, looks, selectors
from providers.models import Provider
from providers.views import for_administrators


def _get(request: HttpRequest, uuid: UUID) -> Provider:
    return get_object_or_404(selectors.visible_to(request.user), uuid=uuid)


@for_administrators
@require_GET
def host(request: HttpRequest, uuid: UUID) -> HttpResponse:
    provider = _get(request, uuid)
    return render(request, "providers/host.html", {**_page(provider), **_graphs(provider)})


@for_administrators
@require_GET
def host_facts(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """All but the graphs, when there is news of the provider."""
    return render(request, "providers/_host.html", _page(_get(request, uuid)))


@for_administrators
@require_GET
def host_data(request: HttpRequest, uuid: UUID) -> JsonResponse:
    """The graphs' values; asking is looking."""
    provider = _get(request, uuid)
    charts = hosts.charts_of(provider)
    if not charts:
        return JsonResponse({"nothing": "unsupported", "charts": {}})
    look([provider.uuid])
    _, span = range_called(request.GET.get("range", ""))
    series = hosts.series_of(provider, span)
    return JsonResponse({"nothing": hosts.why_nothing(provider, series), **drawn(charts, series, span)})


def _page(provider: Provider) -> dict[str, Any]:
    return {
        "provider": provider,
        "kind": looks.kind_label(provider),
        "virtualisation": looks.virtualisation(provider),
        "host": provider.host or {},
        "capacity": hosts.capacity(provider),
        "density": hosts.density(provider),
        "top": hosts.top_consumers(provider),
        "facts": hosts.facts(provider),
        "devices": hosts.devices(provider),
        "measured_at": hosts.measured_at(hosts.hour_of(provider)),
        "pools": provider.pools.filter(missing_since=None),
        "networks": provider.networks.filter(missing_since=None),
    }


def _graphs(provider: Provider) -> dict[str, Any]:
    series = hosts.hour_of(provider)
    nothing = hosts.why_nothing(provider, series)
    if nothing == "unsupported":
        return {"nothing": nothing}
    look([provider.uuid])
    return {
        "nothing": nothing,
        "keeps_history": bool(settings.KVWEB_METRICS_HISTORY),
        "charts": described(hosts.charts_of(provider), series),
        "charts_address": reverse("providers:host_data", args=[provider.uuid]),
        "ranges": [(name, label, name == HOUR.name) for name, (_, label) in RANGES.items()],
    }
