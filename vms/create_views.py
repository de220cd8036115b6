"""The page on which machines are made: shown, brought up to date while one chooses, checked and sent."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from kvweb.accounts.access import allowed
from kvweb.accounts.models import User
from kvweb.jobs import selectors as jobs
from kvweb.jobs.models import Job
from kvweb.ui.htmx import is_htmx
from providers.models import Provider
from vms import create_memory
from vms.choices import Presence
from vms.create_choices import EMPTY, OWN
from vms.create_names import free_name, name_is_taken, taken
from vms.create_rows import FORMSETS
from vms.forms import CreateForm
from vms.models import VirtualMachine
from vms.specs import Wish

#: Parameters that a link may fill in: "Create from this image", "Create at this provider".
LINK = ("project", "provider", "image", "name", "zone", "size")

#: Parts of the page that another provider changes; what was typed elsewhere is not touched by the browser.
DEPENDENT = ",".join(
    f"#create-{part}" for part in ("image", "zone", "size", "nics", "storage", "firmware", "options", "machine")
)


@login_required
@sensitive_post_parameters("password", "user_data", "commands")
@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    """GET shows the form, POST creates. A POST with `refresh`, `add` or `remove` only shows it again, as typed."""
    assert isinstance(request.user, User)  # noqa: S101 - login_required saw to it
    user = request.user
    if request.method == "GET":
        return _fresh(request, user)
    again = _again(user, request.POST.get("again", ""))
    retry_of = _row_to_use_again(user, again)
    if {"refresh", "add", "remove"} & set(request.POST):
        return _show(request, CreateForm(user, typed=_rearranged(request), retry_of=retry_of), again)
    if made := _made_already(user, request.POST.get("ticket", "")):
        return _to_machine(made)
    form = CreateForm(user, data=request.POST, retry_of=retry_of)
    if not form.is_valid():
        return _show(request, form, again, status=422)
    vm = _make(form, form.wish(start=request.POST.get("then") != "stay"))
    if vm is None:
        return _show(request, form, again, status=422)
    return _to_machine(vm)


def _make(form: CreateForm, wish: Wish) -> VirtualMachine | None:
    """In one transaction with the last look at the name, so that of two people who ask at once one gets it."""
    provider: Provider = form.cleaned_data["provider"]
    with transaction.atomic():
        # On SQLite the transaction itself is exclusive; on PostgreSQL this row is what both wait for.
        Provider.objects.select_for_update().get(pk=provider.pk)
        if name_is_taken(provider, wish.name, besides=form.retry_of):
            form.add_error("name", ValidationError(taken(provider), code="taken"))
            return None
        vm, _job = form.create(wish)
    return vm


def _fresh(request: HttpRequest, user: User) -> HttpResponse:
    """The form with defaults, with what a link says, or with what was typed for an earlier machine."""
    typed: dict[str, Any] = {name: request.GET[name] for name in LINK if request.GET.get(name)}
    again = _again(user, request.GET.get("again", ""))
    retry_of = _row_to_use_again(user, again)
    if again is not None:
        typed = {**create_memory.remembered(again, user), **typed}
    form = CreateForm(user, typed=typed, retry_of=retry_of)
    if again is not None:
        if retry_of is not None:
            form.initial["again"] = str(again.uuid)
        else:
            form.initial["name"] = free_name(form.offer.provider, str(form.initial.get("name", "")))
    return _show(request, form, again)


def _show(request: HttpRequest, form: CreateForm, again: Job | None, *, status: int = 200) -> HttpResponse:
    if not form.offer.projects:
        return render(request, "vms/create_none.html", status=403)
    context = {
        "form": form,
        "offer": form.offer,
        "again": again if again is not None and again.has_failed else None,
        "EMPTY": EMPTY,
        "OWN": OWN,
        "DEPENDENT": DEPENDENT,
        "may_add_providers": allowed(request.user, "provider.change"),
    }
    is_part = is_htmx(request) and request.method == "POST" and status == 200
    return render(request, "vms/_create_form.html" if is_part else "vms/create.html", context, status=status)


def _rearranged(request: HttpRequest) -> dict[str, Any]:
    """What was typed so far, with a row of cards or disks more or fewer when that was asked for."""
    typed = create_memory.typed(request.POST)
    if "refresh" in request.POST and not typed.get("nics"):
        # The provider before may have had no networks; another one's usual card is wanted more often than none.
        typed.pop("nics", None)
    add, remove = request.POST.get("add", ""), request.POST.get("remove", "")
    for name, (prefix, _) in FORMSETS.items():
        rows: list[dict[str, Any]] = typed.get(name, [])
        if add == prefix:
            typed[name] = [*rows, {}]
        elif remove.startswith(f"{prefix}-"):
            typed[name] = [row for index, row in enumerate(rows) if remove != f"{prefix}-{index}"]
    return typed


def _again(user: User, wanted: str) -> Job | None:
    """The earlier creation that a link names, when the person may see it."""
    try:
        uuid = UUID(wanted)
    except ValueError:
        return None
    return jobs.visible_to(user).filter(uuid=uuid, kind="vm.create").first()


def _row_to_use_again(user: User, job: Job | None) -> VirtualMachine | None:
    """The row whose creation failed, so that trying again leaves no second one; None when it has become something."""
    if job is None or job.is_active:
        return None
    vm = VirtualMachine.objects.filter(uuid=job.subject.partition(":")[2], presence=Presence.WANTED).first()
    if vm is None or not allowed(user, "vm.create", vm) or jobs.active_for([vm.subject]):
        return None
    return vm


def _made_already(user: User, ticket: str) -> VirtualMachine | None:
    """The machine of an earlier press of the same button, so that a double click is one machine."""
    if not ticket:
        return None
    job = Job.objects.filter(user=user, kind="vm.create", form__ticket=ticket).first()
    return VirtualMachine.objects.filter(uuid=job.subject.partition(":")[2]).first() if job else None


def _to_machine(vm: VirtualMachine) -> HttpResponse:
    try:
        return HttpResponseRedirect(reverse("vms:detail", args=[vm.uuid]))
    except NoReverseMatch:
        return HttpResponseRedirect(reverse("vms:list"))
