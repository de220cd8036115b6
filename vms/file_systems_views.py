"""The part of a machine's page with its file systems, asked for again and again while somebody looks."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from vms import file_systems
from vms.selectors import visible_to
from vms.view_parts import user_of


@require_GET
def part(request: HttpRequest, uuid: UUID) -> HttpResponse:
    vm = visible_to(user_of(request)).filter(uuid=uuid).first()
    if vm is None:
        raise Http404("There is no such machine.")
    return render(request, "vms/_file_systems.html", {"vm": vm, **file_systems.context_of(vm)})
