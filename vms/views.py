"""The page of one machine: its head, its tabs, and what is written on it."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from kvweb.accounts.access import allowed, within
from kvweb.accounts.actions import ActionRefused
from kvweb.ui.htmx import is_htmx, toast
from vms import services, tabs
from vms.choices import Presence
from vms.clone_actions import DESCRIBE
from vms.clone_forms import DescribeForm
from vms.models import VirtualMachine
from vms.selectors import visible_to, with_jobs
from vms.view_parts import as_it_is_now, found_vm, header_context, refused, user_of


@require_GET
def detail(request: HttpRequest, uuid: UUID, tab: str = "overview") -> HttpResponse:
    vm = found_vm(request, uuid)
    user = user_of(request)
    context = {**header_context(request, vm), **tabs.context_of(vm, user, tab), "tabs": tabs.bar(vm, tab)}
    return render(request, "vms/detail.html", context)


@require_GET
def header(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """The head of the page anew, for news; a machine that was deleted meanwhile says so."""
    user = user_of(request)
    vms = with_jobs(visible_to(user).filter(uuid=uuid))
    if vms:
        return render(request, "vms/_header.html", header_context(request, vms[0]))
    gone = VirtualMachine.objects.filter(within(user, "vm.view"), uuid=uuid, presence=Presence.DELETED).first()
    if gone is None:
        raise Http404("There is no such machine.")
    return render(request, "vms/_gone.html", {"vm": gone})


@require_GET
def part(request: HttpRequest, uuid: UUID, tab: str) -> HttpResponse:
    """What stands below the tabs anew, for news, and the numbers that the tabs show."""
    if tab not in tabs.TABS:
        raise Http404("There is no such part.")
    vm = found_vm(request, uuid)
    context = {**tabs.context_of(vm, user_of(request), tab), "tabs": tabs.bar(vm, tab)}
    return render(request, "vms/_part_with_counts.html", context)


@require_POST
def describe(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Keep a note about the machine; text that is refused stays in the field."""
    vm = found_vm(request, uuid)
    user = user_of(request)
    form = DescribeForm(vm, user, request.POST)
    reason = "" if form.is_valid() else str(next(iter(form.errors.values()))[0])
    if not reason:
        try:
            DESCRIBE.perform(vm, user, **form.cleaned_data)
        except ActionRefused:
            reason = "Your role in this project may not change the description."
    if not is_htmx(request) and not reason:
        messages.success(request, "The description is saved.")
        return redirect("vms:detail", uuid=uuid)
    context = {
        "vm": vm,
        "may_change": True,
        "typed": request.POST.get("description", ""),
        "error": reason,
        "is_open": bool(reason),
    }
    if not is_htmx(request):
        context = {**header_context(request, vm), **tabs.context_of(vm, user, "overview"), **context, "tabs": []}
        return render(request, "vms/detail.html", context, status=422)
    response = render(request, "vms/_description.html", context, status=422 if reason else 200)
    if not reason:
        toast(response, "The description is saved.")
    return response


@require_POST
def dismiss_problem(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Take the note of a failure away; the machine itself stays."""
    vm = found_vm(request, uuid)
    if not allowed(user_of(request), "vm.operate", vm):
        return refused(request, vm, ActionRefused("You may not do this here.", forbidden=True))
    services.dismiss_problem(vm, user=user_of(request))
    return as_it_is_now(request, uuid) if is_htmx(request) else redirect("vms:detail", uuid=uuid)
