"""Pages of pools: everybody sees those they may use, administrators manage them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from kvweb.accounts.access import Person, allowed
from kvweb.accounts.models import User
from kvweb.jobs.models import Job
from kvweb.ui.badges import Badge
from providers.machines import Users, machines_at, users_of
from providers.models import Provider
from providers.resource_list import Column, Filters, Page, ResourceListPages, State
from providers.resource_views import user_of, valid_uuids
from providers.resources import trouble
from storage import pool_services as services
from storage.models import Pool
from storage.pool_actions import ACTIONS
from storage.pool_forms import PoolForm
from storage.pool_types import label_of
from storage.selectors import pools_visible_to

#: From so much on, a pool is nearly full.
FULL_PERCENT = 90


def pool_badge(pool: Pool) -> Badge:
    found = trouble(pool)
    if found is not None:
        return found
    if not pool.is_active:
        return Badge("Stopped", "secondary", "player-stop")
    if pool.used_percent >= FULL_PERCENT:
        return Badge("Nearly full", "yellow", "alert-triangle")
    return Badge("Active", "green", "circle-check")


class PoolPages(ResourceListPages[Pool]):
    namespace = "pools"
    noun = "pool"
    title = "Pools"
    folder = "storage/pools"
    actions = ACTIONS
    search_label = "Search name, type or path"
    searched = ("name", "type", "path", "provider__name")
    states = {
        "active": State("Active", Q(is_active=True, missing_since=None)),
        "stopped": State("Stopped", Q(is_active=False, missing_since=None) & ~Q(external_id="")),
        "problem": State("With a problem", ~Q(problem="") | Q(missing_since__isnull=False), is_alarm=True),
    }
    sorts = {
        "name": ("name", "id"),
        "type": ("type", "name"),
        "free": ("available_gib", "name"),
        "provider": ("provider__name", "name"),
    }
    columns = (
        Column("Name", "name"),
        Column("State"),
        Column("Type", "type"),
        Column("Free", "free"),
        Column("Volumes", "", "number"),
        Column("Provider", "provider"),
    )

    def visible_to(self, user: Person) -> QuerySet[Pool]:
        return pools_visible_to(user)

    def rows(self, resources: list[Pool], user: User) -> list[dict[str, Any]]:
        counts = _volume_counts(resources)
        return [
            {
                "one": pool,
                "badge": pool_badge(pool),
                "type": label_of(pool.type),
                "volumes": counts.get(pool.pk, 0),
                "is_full": pool.used_percent >= FULL_PERCENT,
                "quick": self.quick(pool, user),
                "address": self._address(pool),
            }
            for pool in resources
        ]

    def part(self, request: HttpRequest, resource: Pool) -> dict[str, Any]:
        images = resource.provider.images.filter(pool=resource.external_id, missing_since=None)
        manages = allowed(request.user, "storage.manage")
        again = reverse("pools:create") + f"?again={resource.problem_job}"
        return {
            "badge": pool_badge(resource),
            "type": label_of(resource.type),
            "volumes": _volume_counts([resource]).get(resource.pk, 0),
            "images": images.count(),
            "users": self.users(request, resource),
            "is_full": resource.used_percent >= FULL_PERCENT,
            "again_address": again if manages and resource.is_wanted and resource.problem_job else "",
        }

    def users(self, request: HttpRequest, resource: Pool) -> Users:
        inside = resource.external_id
        if not inside:
            return Users()
        machines = machines_at([resource.provider_id], person=user_of(request), devices="disks", mentioning=[inside])
        return users_of(one for one in machines if any(disk.get("pool") == inside for disk in one.disks))

    def list_context(self, request: HttpRequest, page: Page[Pool], filters: Filters) -> dict[str, Any]:
        del page, filters
        may_create = allowed(request.user, "storage.manage")
        return {"create_address": reverse("pools:create") if may_create else "", "create_label": "Create pool"}


def _volume_counts(pools: list[Pool]) -> dict[int, int]:
    """How many volumes are in each, as far as they were read."""
    present = Q(volumes__missing_since=None) & ~Q(volumes__external_id="")
    found = Pool.objects.filter(pk__in=[pool.pk for pool in pools]).order_by()
    return dict(found.annotate(n=Count("volumes", filter=present)).values_list("pk", "n"))


def _providers() -> list[Provider]:
    return [
        provider
        for provider in Provider.objects.filter(is_enabled=True)
        if provider.can.pools is not None and provider.can.pools.create
    ]


def _again(request: HttpRequest) -> Job | None:
    """The failed job whose form is to be filled in again."""
    uuids = valid_uuids([request.GET.get("again", "")])
    return Job.objects.filter(uuid__in=uuids, kind="pool.create").first()


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    """The form for a new pool; what is wrong stands beside its field, and what was typed stays, except secrets."""
    user = user_of(request)
    if not allowed(user, "storage.manage"):
        raise Http404
    job = _again(request)
    form = PoolForm(
        request.POST if request.method == "POST" else None,
        providers=_providers(),
        initial={**(job.form if job else {}), **_chosen(request)},
    )
    if form.is_bound and form.is_valid():
        pool, _ = services.create(
            provider=form.cleaned_data["provider"],
            spec=form.spec,
            autostart=form.cleaned_data["autostart"],
            user=user,
            form=form.typed,
            retry_of=Pool.objects.filter(external_id="", problem_job=job.uuid).first() if job else None,
        )
        messages.info(request, f"The pool “{pool.name}” is being made.")
        return redirect("pools:detail", uuid=pool.uuid)
    context = {"form": form, "failed": job.reason if job and not form.is_bound else ""}
    return render(request, "storage/pools/create.html", context, status=422 if form.is_bound else 200)


def _chosen(request: HttpRequest) -> dict[str, str]:
    """What a link has chosen already."""
    return {name: request.GET[name] for name in ("provider", "type") if request.GET.get(name)}


PAGES = PoolPages()
