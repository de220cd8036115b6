"""What graphs ask for again and again: values as JSON, of machines that the person sees and of no others."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.http import require_GET

from kvweb.metrics.charts import drawn, range_called
from kvweb.metrics.looking import look
from vms import meters
from vms.selectors import visible_to
from vms.view_parts import MOST_ROWS, user_of


@require_GET
def data(request: HttpRequest, uuid: UUID) -> JsonResponse:
    """One machine's values in a range; asking is looking, so that it is measured often while somebody does."""
    vm = visible_to(user_of(request)).filter(uuid=uuid).first()
    if vm is None:
        raise Http404("There is no such machine.")
    if not meters.is_measured(vm):
        return JsonResponse({"nothing": "unsupported", "charts": {}})
    look([vm.provider.uuid])
    _, span = range_called(request.GET.get("range", ""))
    series = meters.series_of(vm, span)
    return JsonResponse({"nothing": meters.why_nothing(vm, series), **drawn(meters.charts_of(vm), series, span)})


@require_GET
def sparklines(request: HttpRequest) -> JsonResponse:
    """CPU of the last minutes for rows of the list, asked for when the list is there already.

    A list shows many machines at once and a minute's step is enough for it, so it makes nobody measure faster where
    history is kept.
    """
    uuids = []
    for text in request.GET.get("ids", "").split(",")[:MOST_ROWS]:
        try:
            uuids.append(UUID(text))
        except ValueError:
            continue
    vms = list(
        visible_to(user_of(request))
        .select_related(None)
        .select_related("provider")
        .only("uuid", "external_id", "provider__uuid")
        .filter(uuid__in=uuids)
    )
    if not meters.keeps_history():
        look({vm.provider.uuid for vm in vms})
    return JsonResponse(meters.sparklines(vms))
