"""Pages of networks: everybody sees those they may use, administrators manage them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kvweb.accounts.access import Person, allowed
from kvweb.accounts.actions import ActionRefused
from kvweb.accounts.models import User
from kvweb.jobs.models import Job
from kvweb.ui.badges import Badge
from networking import addresses, leases, modes, services
from networking.action_forms import has_card_in, names_in_cards
from networking.actions import ACTIONS, EDIT, IN_PLACE
from networking.forms import NetworkEditForm, NetworkForm, taken_at
from networking.models import Network
from networking.selectors import visible_to
from providers.machines import Machine, Users, machines_at, plugged_at, users_of
from providers.models import Provider
from providers.resource_list import Column, Filters, Page, ResourceListPages, State
from providers.resource_views import user_of, valid_uuids
from providers.resources import trouble


def network_badge(network: Network) -> Badge:
    found = trouble(network)
    if found is not None:
        return found
    if not network.is_active:
        return Badge("Stopped", "secondary", "player-stop")
    if network.pending:
        return Badge("After restart", "yellow", "clock", note="something was changed that takes effect at its restart")
    return Badge("Active", "green", "circle-check")


def _with_card(network: Network, person: Person) -> list[Machine]:
    names = names_in_cards(network)
    if not names:
        return []
    found = machines_at([network.provider_id], person=person, devices="nics", mentioning=names)
    return [one for one in found if has_card_in(one.nics, network)]


def _plugged(by_name: dict[tuple[int, str], set[str]], network: Network) -> set[str]:
    return {one for name in names_in_cards(network) for one in by_name.get((network.provider_id, name), ())}


class NetworkPages(ResourceListPages[Network]):
    namespace = "networks"
    noun = "network"
    title = "Networks"
    folder = "networking"
    actions = ACTIONS
    search_label = "Search name or range"
    searched = ("name", "cidrs", "domain", "bridge", "provider__name")
    states = {
        "active": State("Active", Q(is_active=True, missing_since=None)),
        "stopped": State("Stopped", Q(is_active=False, missing_since=None) & ~Q(external_id="")),
        "problem": State("With a problem", ~Q(problem="") | Q(missing_since__isnull=False), is_alarm=True),
    }
    sorts = {
        "name": ("name", "id"),
        "mode": ("mode", "name"),
        "provider": ("provider__name", "name"),
    }
    columns = (
        Column("Name", "name"),
        Column("State"),
        Column("Mode", "mode"),
        Column("Ranges"),
        Column("DHCP", "", "wide-only"),
        Column("Machines", "", "number"),
        Column("Provider", "provider"),
    )

    def visible_to(self, user: Person) -> QuerySet[Network]:
        return visible_to(user)

    def rows(self, resources: list[Network], user: User) -> list[dict[str, Any]]:
        by_name = plugged_at({network.provider_id for network in resources})
        return [
            {
                "one": network,
                "badge": network_badge(network),
                "mode": modes.label_of(network.mode),
                "count": len(_plugged(by_name, network)),
                "quick": self.quick(network, user),
                "address": self._address(network),
            }
            for network in resources
        ]

    def part(self, request: HttpRequest, resource: Network) -> dict[str, Any]:
        machines = _with_card(resource, user_of(request))
        in_place = {button.name: button for button in self.buttons(resource, user_of(request)) if not button.reason}
        manages = allowed(request.user, "network.manage")
        again = f"{reverse('networks:create')}?again={resource.problem_job}"
        features = resource.can.networks
        rows = leases.rows_of(resource, machines)
        return {
            "badge": network_badge(resource),
            "mode": modes.label_of(resource.mode),
            "mode_words": next((words for mode, words in modes.MODES.items() if mode.value == resource.mode), None),
            "users": users_of(machines),
            "leases": leases.most_telling(rows),
            "lease_count": len(rows),
            "tells_leases": features is not None and features.leases and bool(resource.dhcp),
            "has_dns": features is not None and features.dns_hosts,
            "reserve": in_place.get("reserve"),
            "release": in_place.get("release"),
            "dns": in_place.get("dns"),
            "projects": list(resource.projects.all()) if manages else [],
            "manages": manages,
            "pending": [PENDING_WORDS.get(name, name) for name in resource.pending],
            "reading_address": reverse("networks:read", args=[resource.uuid]),
            "again_address": again if manages and resource.is_wanted and resource.problem_job else "",
        }

    def _part(self, request: HttpRequest, resource: Network) -> dict[str, Any]:
        context = super()._part(request, resource)
        # What is about one address or name stands beside it.
        context["menu_buttons"] = [one for one in context["menu_buttons"] if one.name not in IN_PLACE]
        return context

    def users(self, request: HttpRequest, resource: Network) -> Users:
        return users_of(_with_card(resource, user_of(request)))

    def list_context(self, request: HttpRequest, page: Page[Network], filters: Filters) -> dict[str, Any]:
        del page, filters
        may_create = allowed(request.user, "network.manage")
        return {"create_address": reverse("networks:create") if may_create else "", "create_label": "Create network"}


#: Fields of a network that wait for its restart, in words.
PENDING_WORDS = {
    "cidrs": "address range", "dhcp": "DHCP", "dhcp_start": "DHCP range", "dhcp_end": "DHCP range", "domain": "domain",
    "forward_device": "device", "vlan": "VLAN", "mtu": "MTU", "mode": "mode", "bridge": "bridge",
    "leases": "kept addresses", "dns_hosts": "names", "gateway": "gateway",
}  # fmt: skip


def _providers() -> list[Provider]:
    return [
        provider
        for provider in Provider.objects.filter(is_enabled=True)
        if provider.can.networks is not None and provider.can.networks.create
    ]


@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    """The form for a new network; what is wrong stands beside its field, and what was typed stays."""
    user = user_of(request)
    if not allowed(user, "network.manage"):
        raise Http404
    job = Job.objects.filter(uuid__in=valid_uuids([request.GET.get("again", "")]), kind="network.create").first()
    providers = _providers()
    form = NetworkForm(
        request.POST if request.method == "POST" else None, providers=providers, initial=job.form if job else {}
    )
    if form.is_bound and form.is_valid():
        network, _ = services.create(
            provider=form.cleaned_data["provider"],
            spec=form.spec,
            projects=form.cleaned_data["projects"],
            user=user,
            form=form.typed,
            retry_of=Network.objects.filter(external_id="", problem_job=job.uuid).first() if job else None,
        )
        messages.info(request, f"The network “{network.name}” is being made.")
        return redirect("networks:detail", uuid=network.uuid)
    context = {
        "form": form,
        "failed": job.reason if job and not form.is_bound else "",
        "suggestion": addresses.free_range(taken_at(providers[0])) if providers else "",
        **_field_modes(),
    }
    return render(request, "networking/create.html", context, status=422 if form.is_bound else 200)


def _field_modes() -> dict[str, str]:
    """Which modes the fields of the form belong to."""
    return {
        "range_modes": modes.with_range(),
        "out_modes": f"{modes.going_out()} bridge",
    }


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Change a network in place; what its machines would notice waits for its restart."""
    network = PAGES.find(request, uuid)
    user = user_of(request)
    check = EDIT.check(network, user)
    if check.is_hidden:
        raise Http404
    form = NetworkEditForm(request.POST if request.method == "POST" else None, network=network)
    if form.is_bound and form.is_valid():
        try:
            EDIT.perform(network, user, changes=form.changes)
        except ActionRefused as refusal:
            messages.error(request, f"“{network.name}”: {refusal.reason}")
        else:
            messages.info(request, f"“{network.name}” is being changed.")
        return redirect("networks:detail", uuid=network.uuid)
    context = {"form": form, "one": network, "reason": check.reason, **_field_modes()}
    return render(request, "networking/edit.html", context, status=422 if form.is_bound else 200)


@require_GET
def look(request: HttpRequest) -> HttpResponse:
    """What a range that is being typed means, or what is wrong with it; for the form, while somebody types."""
    if not allowed(request.user, "network.manage"):
        raise Http404
    text = request.GET.get("cidr", "").strip()
    provider = Provider.objects.filter(uuid__in=valid_uuids([request.GET.get("provider", "")])).first()
    but = Network.objects.filter(uuid__in=valid_uuids([request.GET.get("network", "")])).first()
    context: dict[str, Any] = {"text": text}
    if provider is not None and text:
        taken = taken_at(provider, but=but)
        try:
            found = addresses.read_range(text)
        except addresses.BadRange as exc:
            context["wrong"] = str(exc)
        else:
            other = addresses.overlap(found, taken)
            first, last = addresses.dhcp_range(found)
            context.update(other=other, free=addresses.free_range(taken) if other else "", gateway=found[1])
            context.update(first=first, last=last, room=addresses.count_words(found))
    return render(request, "networking/_look.html", context)


@require_POST
def read(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Somebody looks at the network: read its leases, unless that was done just now."""
    network = PAGES.find(request, uuid)
    services.read_if_old(network)
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=204)
    messages.info(request, "It is being read.")
    return redirect("networks:detail", uuid=uuid)


PAGES = NetworkPages()
