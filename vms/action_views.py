"""Buttons of one machine: the question or form before an action, and doing it."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from kvweb.accounts.actions import ActionForm, ActionRefused
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job
from kvweb.ui.htmx import is_htmx, target, toast, trigger
from vms import tabs
from vms.conditions import VmAction
from vms.models import VirtualMachine
from vms.selectors import visible_to
from vms.view_parts import action_called, as_it_is_now, found_vm, refused, user_of

#: How long a dialog's answer waits for its job's end; its button turns meanwhile.
DIALOG_WAIT_S = 0.7


@require_GET
def ask(request: HttpRequest, uuid: UUID, action: str) -> HttpResponse:
    """The question before an action: in a dialog, or as a page of its own where there are no scripts."""
    vm, chosen = found_vm(request, uuid), action_called(action)
    return _question(request, vm, chosen, _form(request, vm, chosen))


def _form(request: HttpRequest, vm: VirtualMachine, action: VmAction) -> ActionForm | None:
    """The action's form: filled in by the link's parameters, or by what was sent."""
    if action.form is None:
        return None
    user = user_of(request)
    if request.method == "POST":
        return action.form(vm, user, request.POST)
    return action.form(vm, user, typed=request.GET.dict())


def _question(
    request: HttpRequest, vm: VirtualMachine, action: VmAction, form: ActionForm | None, status: int = 200
) -> HttpResponse:
    check = action.check(vm, user_of(request))
    reason = "You may not do this here." if check.is_hidden else check.reason
    context = {
        "vm": vm,
        "action": action,
        "form": form,
        "title": (form.title if form else "") or _title(vm, action),
        "question": (form.question if form else "") or action.question.format(name=vm.name),
        "address": reverse("vms:do", args=[vm.uuid, action.name]),
        "back": _back(vm, action),
        "reason": reason or (form.reason if form else ""),
        "is_dialog": is_htmx(request),
    }
    template = "vms/_ask.html" if is_htmx(request) else "vms/ask.html"
    return render(request, template, context, status=status)


def _title(vm: VirtualMachine, action: VmAction) -> str:
    if action.title:
        return action.title.format(name=vm.name)
    return f"{action.label} “{vm.name}”" if action.form and action.confirm == "none" else f"{action.label} “{vm.name}”?"


def _back(vm: VirtualMachine, action: VmAction) -> str:
    """The page that offers the action: the machine's first, or the tab that it belongs to."""
    if action.place in tabs.TABS and action.place != "overview":
        return reverse(f"vms:{action.place}", args=[vm.uuid])
    return reverse("vms:detail", args=[vm.uuid])


def _is_confirmed(request: HttpRequest, action: VmAction, vm: VirtualMachine) -> bool:
    if action.confirm == "type":
        return request.POST.get("typed", "").strip() == vm.name
    return action.confirm == "none" or bool(request.POST.get("confirmed"))


@require_POST
def do(request: HttpRequest, uuid: UUID, action: str) -> HttpResponse:
    """Do it, wait a moment for its end, and answer with the machine as it is then."""
    vm, chosen = found_vm(request, uuid), action_called(action)
    if not _is_confirmed(request, chosen, vm):
        if is_htmx(request):
            response = as_it_is_now(request, uuid, status=409)
            toast(response, f"Nothing was done: type “{vm.name}” exactly to confirm.", "warning")
            return response
        return redirect("vms:ask", uuid=vm.uuid, action=chosen.name)
    form = _form(request, vm, chosen)
    if form is not None and chosen.check(vm, user_of(request)).is_allowed and not form.is_valid():
        return _question(request, vm, chosen, form, status=422)
    try:
        # A form that was not asked belongs to an action that refuses anyway.
        options = form.cleaned_data if form is not None and form.is_bound and hasattr(form, "cleaned_data") else {}
        outcome = chosen.perform(vm, user_of(request), **options)
    except ActionRefused as refusal:
        return refused(request, vm, refusal)
    job = jobs.wait(outcome, _patience(chosen)) if isinstance(outcome, Job) else None
    if form is not None and chosen.confirm == "none":
        return _after_form(request, vm, chosen, form, job)
    if not is_htmx(request):
        _tell(request, vm, chosen, job)
        is_there = visible_to(user_of(request)).filter(uuid=uuid).exists()
        return redirect("vms:detail", uuid=uuid) if is_there else redirect("vms:list")
    if target(request).startswith("header-") and not visible_to(user_of(request)).filter(uuid=uuid).exists():
        _tell(request, vm, chosen, job)
    response = as_it_is_now(request, uuid)
    if job is not None and job.has_failed:
        toast(response, f"{chosen.label} “{vm.name}”: {job.reason}", "error")
    elif job is not None and job.message == jobs.WAITS_FOR_QUEUE:
        toast(response, jobs.going_on(job), "warning")
    return response


def _patience(action: VmAction) -> float | None:
    """A dialog waits a little longer: what is refused at once then stands beside its field, with what was typed."""
    if not action.has_form or action.confirm != "none" or not settings.FAST_LANE_S:
        return None
    return max(float(settings.FAST_LANE_S), DIALOG_WAIT_S)


def _after_form(
    request: HttpRequest, vm: VirtualMachine, action: VmAction, form: ActionForm, job: Job | None
) -> HttpResponse:
    """What failed at once stands beside its field; otherwise the dialog goes and the page shows the rest."""
    if job is not None and job.has_failed:
        form.refuse(job.field, job.reason)
        return _question(request, vm, action, form, status=422)
    if not is_htmx(request):
        _tell(request, vm, action, job)
        is_there = visible_to(user_of(request)).filter(uuid=vm.uuid).exists()
        return redirect(_back(vm, action)) if is_there else redirect("vms:list")
    response = HttpResponse(status=204)
    trigger(response, done={"subject": vm.subject}, rows={"ids": [str(vm.uuid)]})
    if job is None or not job.is_active:
        toast(response, _done_words(vm, action, job))
    else:
        toast(response, jobs.going_on(job), "info")
    return response


def _done_words(vm: VirtualMachine, action: VmAction, job: Job | None) -> str:
    """What is said after a quick success, which may be that it is to come."""
    if action.place == "settings" and job is not None and job.result.get("pending"):
        return "It is kept, and takes effect after a restart."
    return action.done or f"{action.label} “{vm.name}”: done."


def _tell(request: HttpRequest, vm: VirtualMachine, action: VmAction, job: Job | None) -> None:
    if job is None or not job.is_active:
        if job is not None and job.has_failed:
            messages.error(request, f"{action.label} “{vm.name}”: {job.reason}")
        else:
            messages.success(request, _done_words(vm, action, job))
    else:
        messages.info(request, f"{action.doing} “{vm.name}”.")
