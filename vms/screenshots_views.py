"""What pages ask for about screens: which of their machines have a picture, and the pictures. Asking is looking."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET

from vms import screenshots
from vms.selectors import visible_to
from vms.view_parts import MOST_ROWS, user_of, valid_uuids


@require_GET
def screens(request: HttpRequest) -> JsonResponse:
    """{uuid: when its picture was taken, 0 while there is none yet}, for machines whose screen this person may see."""
    user = user_of(request)
    uuids = valid_uuids(request.GET.get("ids", "").split(",")[:MOST_ROWS])
    vms = [vm for vm in visible_to(user).filter(uuid__in=uuids) if screenshots.may_see(vm, user)]
    screenshots.look(vms, place="page" if request.GET.get("place") == "page" else "list")
    return JsonResponse({str(vm.uuid): round(screenshots.taken_at(vm.uuid) or 0, 2) for vm in vms})


@require_GET
def screen(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """The picture; 404 for machines and pictures that are not there and for those that are not this person's to see."""
    user = user_of(request)
    vm = visible_to(user).filter(uuid=uuid).first()
    size = "row" if request.GET.get("size") == "row" else "page"
    data = screenshots.read(vm.uuid, size) if vm is not None and screenshots.may_see(vm, user) else None
    if data is None:
        raise Http404("There is no picture of this screen.")
    return HttpResponse(data, content_type="image/webp", headers={"X-Content-Type-Options": "nosniff"})
