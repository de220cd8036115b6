"""The console's page, its state while it is open, and the grant that its script asks for before each connection."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from kvweb.accounts.access import Person, allowed
from kvweb.accounts.models import User
from kvweb.audit.context import address_of
from providers.base import CARRIED_CONSOLES, ConsoleKind
from vms import typing_keys
from vms.console import grants
from vms.console.closing import Code, Refused
from vms.models import VirtualMachine
from vms.selectors import visible_to, with_jobs
from vms.typing_layouts import LAYOUTS

LABELS = {ConsoleKind.VNC: "Screen", ConsoleKind.SERIAL: "Serial console"}
STATUS = {Code.NO_SESSION: 401, Code.NOT_ALLOWED: 403, Code.GONE: 404, Code.NOT_RUNNING: 409, Code.TOO_MANY: 429}


def _user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def _asked_for(
    request: HttpRequest, uuid: UUID, kind: str, kinds: Collection[ConsoleKind] = CARRIED_CONSOLES
) -> tuple[VirtualMachine, ConsoleKind]:
    """404 for what does not exist and for what is not the user's to see, in the same way."""
    vms = with_jobs(visible_to(_user(request)).filter(uuid=uuid))
    if not vms or kind not in kinds:
        raise Http404("There is no such console.")
    return vms[0], ConsoleKind(kind)


def context_of(vm: VirtualMachine, kind: ConsoleKind, user: Person) -> dict[str, Any]:
    """What `vms/console_part.html` needs to show this console."""
    return {
        "vm": vm,
        "kind": kind.value,
        "label": LABELS[kind],
        "others": [(other.value, label) for other, label in LABELS.items() if other != kind and vm.has_console(other)],
        "has_console": vm.has_console(kind),
        "may_start": vm.can.power is not None and allowed(user, "vm.operate", vm),
        "grant_address": reverse("vms:console_grant", args=[vm.uuid, kind.value]),
        "sends_keys": vm.can.consoles is not None and vm.can.consoles.send_keys,
        "layouts": LAYOUTS,
        **typing_keys.ON_THE_PAGE,
    }


@require_GET
def page(request: HttpRequest, uuid: UUID, kind: str) -> HttpResponse:
    vm, console = _asked_for(request, uuid, kind)
    user = _user(request)
    if not allowed(user, "vm.console", vm):
        raise PermissionDenied("Your role in this project may not open consoles.")
    return render(request, "vms/console.html", context_of(vm, console, user))


@require_GET
def state(request: HttpRequest, uuid: UUID, kind: str) -> HttpResponse:
    """The machine's badge, fetched anew when the machine changed."""
    vm, console = _asked_for(request, uuid, kind)
    return render(request, "vms/console_state.html", {"vm": vm, "kind": console.value})


@require_POST
def grant(request: HttpRequest, uuid: UUID, kind: str) -> JsonResponse:
    """One connection's right: {token, path, expires_s}; or {code, sentence} in the words of a closing console."""
    vm, console = _asked_for(request, uuid, kind, set(ConsoleKind))
    try:
        issued = grants.issue(
            vm,
            console,
            user=_user(request),
            session_key=request.session.session_key or "",
            address=address_of(request),
            view_only=request.POST.get("view_only") == "1",
        )
    except Refused as refused:
        closing = refused.closing
        told = {"code": int(closing.code), "sentence": closing.reason}
        return JsonResponse(told, status=STATUS.get(closing.code, 409))
    seconds = round((issued.grant.expires_at - issued.grant.created_at).total_seconds())
    return JsonResponse(
        {
            "token": issued.token,
            "path": f"/ws/console/{issued.grant.uuid}",
            "expires_s": seconds,
            "view_only": issued.grant.view_only,
        }
    )
