"""Pages of volumes: people see those of their projects, administrators also those that belong to nobody."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kvweb.accounts.access import Person, allowed, allowed_somewhere, projects_with
from kvweb.accounts.models import User
from kvweb.jobs.models import Job
from kvweb.ui.badges import Badge
from providers import selectors as providers
from providers.machines import Machine, Users, machines_at, users_of
from providers.resource_list import Column, Filters, Page, ResourceListPages, State
from providers.resource_views import user_of, valid_uuids
from providers.resources import trouble
from storage import volume_services as services
from storage.models import Image, Pool, Volume
from storage.selectors import pools_visible_to, volumes_visible_to
from storage.volume_actions import ACTIONS
from storage.volume_forms import VolumeForm
from storage.volume_upload import CHUNK_BYTES

#: Machines that the page of a volume offers to attach it to.
MOST = 100


def volume_badge(volume: Volume) -> Badge:
    found = trouble(volume)
    if found is not None:
        return found
    if volume.is_used:
        return Badge("Attached", "green", "plug")
    return Badge("Not attached", "secondary", "box")


class VolumePages(ResourceListPages[Volume]):
    namespace = "volumes"
    noun = "volume"
    title = "Volumes"
    folder = "storage/volumes"
    actions = ACTIONS
    search_label = "Search name, pool or project"
    searched = ("name", "pool__name", "project__name", "provider__name")
    states = {
        "attached": State("Attached", Q(is_used=True, missing_since=None)),
        "free": State("Not attached", Q(is_used=False, missing_since=None) & ~Q(external_id="")),
        "nobodys": State("Nobody's", Q(project=None)),
        "problem": State("With a problem", ~Q(problem="") | Q(missing_since__isnull=False), is_alarm=True),
    }
    sorts = {
        "name": ("name", "id"),
        "size": ("size_gib", "name"),
        "pool": ("pool__name", "name"),
        "provider": ("provider__name", "name"),
        "project": ("project__name", "name"),
    }
    columns = (
        Column("Name", "name"),
        Column("State"),
        Column("Size", "size", "number"),
        Column("Format", "", "wide-only"),
        Column("Used by"),
        Column("Pool", "pool"),
        Column("Provider", "provider", "rare"),
        Column("Project", "project", "wide-only"),
    )

    def visible_to(self, user: Person) -> QuerySet[Volume]:
        return volumes_visible_to(user)

    def more_filters(self, request: HttpRequest) -> dict[str, str]:
        return {"pool": request.GET.get("pool", "").replace("\0", "")}

    def narrow(self, found: QuerySet[Volume], filters: Filters) -> QuerySet[Volume]:
        if not filters.more["pool"]:
            return found
        return found.filter(pool__uuid__in=valid_uuids([filters.more["pool"]]))

    def rows(self, resources: list[Volume], user: User) -> list[dict[str, Any]]:
        wanted = {name for volume in resources for name in volume.used_by}
        machines = machines_at({volume.provider_id for volume in resources}, person=user, external_ids=wanted)
        by_id = {(one.provider_id, one.external_id): one for one in machines}
        return [
            {
                "one": volume,
                "badge": volume_badge(volume),
                "users": users_of(by_id[key] for key in _users_keys(volume) if key in by_id),
                "quick": self.quick(volume, user),
                "address": self._address(volume),
            }
            for volume in resources
        ]

    def part(self, request: HttpRequest, resource: Volume) -> dict[str, Any]:
        again = f"{reverse('volumes:create')}?again={resource.problem_job}"
        may_create = allowed(request.user, "volume.create", resource)
        return {
            "badge": volume_badge(resource),
            "path": resource.path,
            "users": self.users(request, resource),
            "overlays": self._overlays(request, resource),
            "base": self._base(request, resource),
            "attachable": _attachable(request, resource),
            "again_address": again if may_create and resource.is_wanted and resource.problem_job else "",
        }

    def users(self, request: HttpRequest, resource: Volume) -> Users:
        machines = machines_at([resource.provider_id], person=user_of(request), external_ids=set(resource.used_by))
        return users_of(machines)

    def _overlays(self, request: HttpRequest, volume: Volume) -> dict[str, Any]:
        """Volumes that build on this one: those the person sees by name, the others by number."""
        keys = [key for key in (volume.external_id, volume.path) if key]
        there = Volume.objects.filter(provider=volume.provider_id, backing__in=keys)
        seen = list(self.visible_to(user_of(request)).filter(pk__in=there.values("pk"))[:50]) if keys else []
        return {"named": seen, "others": there.count() - len(seen) if keys else 0}

    def _base(self, request: HttpRequest, volume: Volume) -> str:
        """What it overlays, in the words of the page: the image's or volume's name."""
        if not volume.backing:
            return ""
        same = Q(external_id=volume.backing) | Q(name=volume.backing.rpartition("/")[2])
        image = Image.objects.filter(same, provider=volume.provider_id).first()
        if image is not None:
            return f"the image “{image}”"
        base = self.visible_to(user_of(request)).filter(provider=volume.provider_id, external_id=volume.backing).first()
        return f"the volume “{base}”" if base else "a volume of somebody else"

    def list_context(self, request: HttpRequest, page: Page[Volume], filters: Filters) -> dict[str, Any]:
        del page
        user = user_of(request)
        may_create = allowed_somewhere(user, "volume.create")
        chosen = filters.more["pool"]
        return {
            "create_address": reverse("volumes:create") if may_create else "",
            "create_label": "Create volume",
            "reading_address": reverse("volumes:read"),
            "pool": Pool.objects.filter(uuid__in=valid_uuids([chosen])).first() if chosen else None,
            "is_administrator": user.is_superuser,
        }


def _users_keys(volume: Volume) -> list[tuple[int, str]]:
    return [(volume.provider_id, name) for name in volume.used_by]


def _attachable(request: HttpRequest, volume: Volume) -> list[Machine]:
    """Machines of its project that it could be attached to, in their own dialog."""
    is_free = not (volume.is_used or volume.is_wanted or volume.is_missing) and volume.project_id is not None
    can = volume.can.disks
    if not is_free or can is None or not can.existing or not allowed(request.user, "vm.change", volume):
        return []
    machines = machines_at([volume.provider_id], person=user_of(request))
    return sorted((one for one in machines if one.project_id == volume.project_id), key=lambda one: one.name)[:MOST]


def _pools(user: User) -> list[Pool]:
    """Pools in which this person can make volumes."""
    found = pools_visible_to(user).filter(is_active=True, missing_since=None, provider__is_enabled=True)
    return [pool for pool in found if pool.can.volumes is not None and pool.can.volumes.create]


@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    """The form for a new volume; what is wrong stands beside its field."""
    user = user_of(request)
    if not allowed_somewhere(user, "volume.create"):
        raise Http404
    job = Job.objects.filter(
        uuid__in=valid_uuids([request.GET.get("again", "")]), kind="volume.create", user=user
    ).first()
    form = VolumeForm(
        request.POST if request.method == "POST" else None,
        projects=projects_with(user, "volume.create").filter(is_unassigned=False),
        pools=_pools(user),
        is_administrator=user.is_superuser,
        initial={**(job.form if job else {}), **{name: request.GET[name] for name in ("pool",) if name in request.GET}},
    )
    if form.is_bound and form.is_valid():
        retried = Volume.objects.filter(external_id="", problem_job=job.uuid).first() if job else None
        pool = form.cleaned_data["pool"]
        volume, _ = services.create(
            project=form.cleaned_data["project"],
            provider=pool.provider,
            pool=pool,
            spec=form.spec,
            user=user,
            form=form.typed,
            retry_of=retried,
        )
        messages.info(request, f"The volume “{volume.name}” is being made.")
        return redirect("volumes:detail", uuid=volume.uuid)
    context = {"form": form, "failed": job.reason if job and not form.is_bound else ""}
    return render(request, "storage/volumes/create.html", context, status=422 if form.is_bound else 200)


@require_GET
def upload(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """The page that sends a file into a volume; the transfer process takes the pieces."""
    volume = PAGES.find(request, uuid)
    check = ACTIONS["upload"].check(volume, user_of(request))
    if check.is_hidden:
        raise Http404("There is no such page.")
    context = {"one": volume, "reason": check.reason, "chunk_bytes": CHUNK_BYTES}
    return render(request, "storage/volumes/upload.html", context)


@require_POST
def read(request: HttpRequest) -> HttpResponse:
    """Somebody looks at the volumes: read those that were not read just now, in the background."""
    for provider in providers.visible_to(user_of(request)).filter(is_enabled=True):
        services.read_if_old(provider)
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=204)
    messages.info(request, "The volumes are being read.")
    return redirect("volumes:list")


PAGES = VolumePages()
