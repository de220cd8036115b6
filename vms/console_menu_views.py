"""Power and media beside the screen: what may be done to a machine from its console, fetched when it is opened."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from vms import looks
from vms.view_parts import found_vm, user_of

#: What is offered there, by the names of the actions.
POWER = frozenset({"start", "resume", "stop", "restart", "pause", "reset", "force-stop"})
MEDIA = ("insert_iso", "eject_iso")


@require_GET
def menu(request: HttpRequest, uuid: UUID, kind: str) -> HttpResponse:
    del kind
    vm, user = found_vm(request, uuid), user_of(request)
    power = [button for button in looks.buttons(vm, user) if button.name in POWER]
    disks = looks.buttons_of(vm, user, "disks")
    media = [disks[name] for name in MEDIA if name in disks]
    return render(request, "vms/console_menu.html", {"vm": vm, "buttons": [*power, *media]})
