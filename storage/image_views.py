"""Pages of images: people see those for everybody and those of their projects, and add more in three ways."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Coalesce, Lower, NullIf
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from kvweb.accounts.access import Person, allowed, allowed_somewhere, projects_with
from kvweb.accounts.models import User
from kvweb.jobs.models import Job
from kvweb.jobs.views import may_cancel
from providers.base import ProviderError
from providers.machines import Machine, Users, machines_at, users_of
from providers.resource_list import Column, Filters, Page, ResourceListPages, State
from providers.resource_views import user_of, valid_uuids
from providers.resources import ready
from storage import image_services as services
from storage.catalogue import catalogue
from storage.image_actions import ACTIONS
from storage.image_forms import UploadForm, UrlForm, WhereForm, takes
from storage.image_looks import image_badge, mark_of, upload_of
from storage.models import Image, Pool
from storage.selectors import images_visible_to, pools_visible_to

#: The three ways, and what a provider must be able to do for each.
WAYS = {"catalogue": "add_from_url", "url": "add_from_url", "upload": "upload"}


class ImagePages(ResourceListPages[Image]):
    namespace = "images"
    noun = "image"
    title = "Images"
    folder = "storage/images"
    actions = ACTIONS
    search_label = "Search title, name or system"
    searched = ("title", "name", "os", "provider__name", "project__name")
    states = {
        "disk": State("Disks", Q(is_iso=False) & ~Q(external_id="")),
        "iso": State("Installers", Q(is_iso=True) & ~Q(external_id="")),
        "coming": State("On their way", Q(external_id="", problem="")),
        "problem": State("With a problem", ~Q(problem="") | Q(missing_since__isnull=False), is_alarm=True),
    }
    sorts = {
        "name": ("shown", "id"),
        "size": ("size_gib", "name"),
        "os": ("os", "name"),
        "provider": ("provider__name", "name"),
    }
    columns = (
        Column("Title", "name"),
        Column("State"),
        Column("System", "os", "rare"),
        Column("Size", "size", "number"),
        Column("Used by"),
        Column("Provider", "provider"),
        Column("For", "", "wide-only"),
    )

    def visible_to(self, user: Person) -> QuerySet[Image]:
        return images_visible_to(user).annotate(shown=Lower(Coalesce(NullIf("title", Value("")), "name")))

    def rows(self, resources: list[Image], user: User) -> list[dict[str, Any]]:
        providers = {one.provider_id for one in resources}
        names = {name for one in resources for name in one.used_by}
        machines = machines_at(providers, person=user, external_ids=names)
        by_id = {(machine.provider_id, machine.external_id): machine for machine in machines}
        return [
            {
                "one": one,
                "badge": image_badge(one),
                "mark": mark_of(one.os, is_iso=one.is_iso),
                "address": self._address(one),
                "users": users_of(_named(by_id, one)),
                "quick": self.quick(one, user),
            }
            for one in resources
        ]

    def part(self, request: HttpRequest, resource: Image) -> dict[str, Any]:
        user = user_of(request)
        upload = upload_of(resource)
        job = resource.active_job
        failed = Job.objects.filter(uuid=resource.problem_job).first() if resource.problem_job else None
        again = failed is not None and failed.kind == "image.fetch" and resource.is_wanted
        return {
            "badge": image_badge(resource),
            "mark": mark_of(resource.os, is_iso=resource.is_iso),
            "users": self.users(request, resource),
            "upload": upload if upload is not None and job is None else None,
            "is_own_upload": upload is not None and upload.user_id == user.pk,
            "job": job,
            "may_cancel_job": isinstance(job, Job) and may_cancel(user, job),
            "again_address": _again(failed) if again and failed else "",
            "may_create_vm": ready(resource) is True and allowed_somewhere(user, "vm.create"),
            "may_download": ready(resource) is True
            and takes(resource.provider, "download")
            and allowed(user, "image.create", resource),
            "pool": Pool.objects.filter(provider=resource.provider_id, external_id=resource.pool).first(),
        }

    def users(self, request: HttpRequest, resource: Image) -> Users:
        return users_of(
            machines_at([resource.provider_id], person=user_of(request), external_ids=set(resource.used_by))
        )

    def list_context(self, request: HttpRequest, page: Page[Image], filters: Filters) -> dict[str, Any]:
        del page, filters
        may_add = allowed_somewhere(user_of(request), "image.create")
        return {"create_address": reverse("images:add") if may_add else "", "create_label": "Add image"}


def _again(failed: Job) -> str:
    """The form as it was; one of the catalogue is chosen once more."""
    address = reverse("images:add")
    return f"{address}?from=url&again={failed.uuid}" if failed.form else address


def _named(by_id: dict[tuple[int, str], Machine], image: Image) -> list[Machine]:
    keys = ((image.provider_id, name) for name in image.used_by)
    return [by_id[key] for key in keys if key in by_id]


PAGES = ImagePages()


# -- adding ------------------------------------------------------------------------------------------------------------


def _where(user: User, way: str) -> dict[str, Any]:
    """What every form that adds an image chooses from."""
    pools = pools_visible_to(user).filter(is_active=True, missing_since=None, provider__is_enabled=True)
    return {
        "pools": [pool for pool in pools if takes(pool.provider, WAYS[way])],
        "projects": projects_with(user, "image.create").filter(is_unassigned=False),
        "for_everybody": user.is_superuser,
    }


def _demand_right(request: HttpRequest) -> User:
    user = user_of(request)
    if not allowed_somewhere(user, "image.create"):
        raise Http404
    return user


@require_GET
def add(request: HttpRequest) -> HttpResponse:
    """The three ways, one at a time; a link carries which."""
    user = _demand_right(request)
    way = request.GET.get("from", "")
    way = way if way in WAYS else "catalogue"
    again = _failed(request, user)
    initial = again.form if again is not None else {}
    return _page(request, user, way, _form(way)(initial=initial, **_where(user, way)), failed=again)


def _form(way: str) -> type[WhereForm]:
    return {"catalogue": WhereForm, "url": UrlForm, "upload": UploadForm}[way]


def _failed(request: HttpRequest, user: User) -> Job | None:
    found = valid_uuids([request.GET.get("again", "")])
    return Job.objects.filter(uuid__in=found, kind="image.fetch", user=user).first()


def _page(
    request: HttpRequest, user: User, way: str, form: WhereForm, *, failed: Job | None = None, status: int = 200
) -> HttpResponse:
    here = set(images_visible_to(user).filter(missing_since=None).values_list("name", flat=True))
    context = {
        "form": form,
        "way": way,
        "entries": [
            {"entry": entry, "mark": mark_of(entry.os, is_iso=entry.is_iso), "is_here": entry.name in here}
            for entry in catalogue().values()
        ]
        if way == "catalogue"
        else [],
        "failed": failed.reason if failed is not None and not form.is_bound else "",
    }
    return render(request, "storage/images/add.html", context, status=status)


@require_POST
def add_from_catalogue(request: HttpRequest) -> HttpResponse:
    """One click: the entry says all but where and for whom."""
    user = _demand_right(request)
    entry = catalogue().get(request.POST.get("entry", ""))
    form = WhereForm(request.POST, **_where(user, "catalogue"))
    if entry is None:
        raise Http404
    if not form.is_valid():
        return _page(request, user, "catalogue", form, status=422)
    if form.is_taken(entry.name):
        form.add_error("place", f"“{entry.title}” is in this pool already.")
        return _page(request, user, "catalogue", form, status=422)
    wish = form.wish_for(entry)
    image, _ = services.add_from_url(wish, url=entry.url, checksum_url=entry.checksum_url, user=user)
    return _begun(request, image)


@require_POST
def add_from_url(request: HttpRequest) -> HttpResponse:
    user = _demand_right(request)
    form = UrlForm(request.POST, **_where(user, "url"))
    if not form.is_valid():
        return _page(request, user, "url", form, status=422)
    failed = _failed(request, user)
    retried = Image.objects.filter(external_id="", problem_job=failed.uuid).first() if failed else None
    image, _ = services.add_from_url(
        form.own_wish,
        url=form.cleaned_data["url"],
        checksum=form.cleaned_data["checksum"],
        user=user,
        form=form.typed,
        retry_of=retried,
    )
    return _begun(request, image)


def _begun(request: HttpRequest, image: Image) -> HttpResponse:
    messages.info(request, f"“{image}” is being added.")
    return redirect("images:detail", uuid=image.uuid)


@require_POST
def add_from_upload(request: HttpRequest) -> JsonResponse:
    """For the script that sends the file: where it may send the pieces, or what is wrong with which field."""
    user = _demand_right(request)
    form = UploadForm(request.POST, **_where(user, "upload"))
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=422)
    values = form.cleaned_data
    try:
        upload = services.begin_upload(
            form.own_wish,
            file_name=values["file_name"],
            size=values["size"],
            modified_ms=values["modified_ms"] or 0,
            checksum=values["checksum"],
            user=user,
        )
    except ProviderError as exc:
        return JsonResponse({"errors": {exc.field or "__all__": [exc.reason]}}, status=422)
    return JsonResponse({"page": reverse("images:detail", args=[upload.image.uuid])}, status=201)
