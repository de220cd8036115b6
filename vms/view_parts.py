"""What the views of machines share: who asks, which machine, and the parts of a page that several answers send."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse

from kvweb.accounts.access import allowed, roles_of
from kvweb.accounts.actions import ActionRefused
from kvweb.accounts.models import User
from kvweb.ui.htmx import is_htmx, target, toast, trigger
from vms import listing, looks
from vms import rows as rendered
from vms.actions import ACTIONS
from vms.choices import Presence
from vms.conditions import VmAction
from vms.models import VirtualMachine
from vms.selectors import visible_to, with_jobs

#: More rows than a page has are not asked for at once.
MOST_ROWS = 200


def user_of(request: HttpRequest) -> User:
    """The person themselves: `request.user` looks up every attribute through a wrapper, hundreds of times a list."""
    # Every page here asks for a signed-in person; the question also opens the wrapper.
    assert request.user.is_authenticated  # noqa: S101
    user = getattr(request.user, "_wrapped", request.user)
    assert isinstance(user, User)  # noqa: S101
    return user


def found_vm(request: HttpRequest, uuid: UUID) -> VirtualMachine:
    """The machine with its active job; 404 for one that does not exist and for a stranger's alike."""
    vms = with_jobs(visible_to(user_of(request)).select_related("image", "created_by").filter(uuid=uuid))
    if not vms:
        raise Http404("There is no such machine.")
    return vms[0]


def action_called(name: str) -> VmAction:
    try:
        return ACTIONS[name]
    except KeyError:
        raise Http404("There is no such action.") from None


def valid_uuids(texts: list[str]) -> list[UUID]:
    found = []
    for text in texts:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found


def create_address() -> str:
    try:
        return reverse("vms:create")
    except NoReverseMatch:
        return ""


def shows_projects(user: User) -> bool:
    """Whether lists have the column of projects: a person of one project needs none."""
    return user.is_superuser or len(roles_of(user)) > 1


def header_context(request: HttpRequest, vm: VirtualMachine) -> dict[str, Any]:
    user = user_of(request)
    front, behind = looks.split_buttons(vm, user)
    again = ""
    if vm.presence == Presence.WANTED and vm.problem_job and not vm.active_job and allowed(user, "vm.create", vm):
        again = f"{create_address()}?again={vm.problem_job}"
    return {
        "vm": vm,
        "badge": looks.vm_badge(vm),
        "front_buttons": front,
        "menu_buttons": behind,
        "consoles": looks.console_links(vm, user) if vm.is_running or vm.is_paused else [],
        "again_address": again,
        "may_cancel": looks.may_cancel(vm, user),
        "rename": next((button for button in behind if button.name == "rename" and not button.reason), None),
        "may_change": allowed(user, "vm.change", vm),
        "may_delete": allowed(user, "vm.delete", vm),
    }


def as_it_is_now(request: HttpRequest, uuid: UUID, status: int = 200) -> HttpResponse:
    """The part of the page that shows this machine: its row or its header; empty when it is gone."""
    user = user_of(request)
    if target(request).startswith("header-"):
        vms = with_jobs(visible_to(user).select_related("image", "created_by").filter(uuid=uuid))
        if not vms:
            response = HttpResponse(status=200)
            response.headers["HX-Redirect"] = reverse("vms:list")
            return response
        return render(request, "vms/_header.html", header_context(request, vms[0]), status=status)
    if target(request).startswith("console-state-"):
        vms = with_jobs(visible_to(user).filter(uuid=uuid))
        # What is shown there is the same for all kinds of console.
        context = {"vm": vms[0] if vms else None, "kind": "vnc"}
        return render(request, "vms/console_state.html", context, status=status) if vms else HttpResponse(status=200)
    row = rendered.rows(listing.some(user, [uuid]), user, with_project=shows_projects(user))
    return HttpResponse(row, status=status)


def refused(request: HttpRequest, vm: VirtualMachine, refusal: ActionRefused) -> HttpResponse:
    """The reason as a sentence, and the machine as it is: it may have changed since the page was made."""
    if not is_htmx(request):
        messages.error(request, f"“{vm.name}”: {refusal.reason}")
        return redirect("vms:detail", uuid=vm.uuid)
    if target(request) == "dialog":
        # It changed while the dialog was open, and there is no place for a row in there.
        response = HttpResponse(status=204)
        trigger(response, done={"subject": vm.subject})
    else:
        response = as_it_is_now(request, vm.uuid, status=403 if refusal.forbidden else 409)
    toast(response, f"“{vm.name}”: {refusal.reason}", "warning")
    return response
