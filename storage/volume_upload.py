"""Files on their way into volumes, piece by piece: served by the transfer process.

The pieces come in order. The row says how much has arrived, so the same file can be sent on after the page was loaded
again; until its end the volume's page says that the content is not whole.
"""

from __future__ import annotations

import hashlib
import io
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from kvweb.audit.services import record
from kvweb.events.services import publish
from kvweb.ui.parameters import whole_number
from providers.base import InvalidRequest, NotSupported, ProviderError, Transient
from providers.pool import connect
from providers.resource_views import user_of
from providers.resources import with_jobs
from storage import volume_inventory
from storage.models import Volume
from storage.selectors import volumes_visible_to
from storage.volume_actions import UPLOAD

CHUNK_BYTES = 8 * 1024 * 1024
NOT_WHOLE = "A file is on its way into it: its content is not whole."
LONGEST_KEY = 300


class _Refused(Exception):
    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.answer = JsonResponse({"reason": reason}, status=status)


def _volume(request: HttpRequest, uuid: UUID) -> Volume:
    """The volume, if this person may replace its content now."""
    found = with_jobs(volumes_visible_to(user_of(request)).filter(uuid=uuid))
    if not found:
        raise Http404("There is no such volume.")
    check = UPLOAD.check(found[0], user_of(request))
    if not check.is_allowed:
        raise _Refused(check.reason or "You may not do this here.", 403 if check.is_hidden else 409)
    return found[0]


def _row(volume: Volume) -> QuerySet[Volume]:
    return Volume.objects.filter(pk=volume.pk)


@require_GET
def state(request: HttpRequest, uuid: UUID) -> JsonResponse:
    """How much has arrived of the file that was begun."""
    try:
        volume = _volume(request, uuid)
    except _Refused as refused:
        return refused.answer
    return JsonResponse({"key": volume.upload_key, "received": volume.upload_received})


@require_POST
def take(request: HttpRequest, uuid: UUID, offset: int) -> JsonResponse:
    """One piece; the first begins anew, each other must be the next one of the same file."""
    try:
        volume, content = _volume(request, uuid), _piece(request)
    except _Refused as refused:
        return refused.answer
    key = request.headers.get("X-File-Key", "")[:LONGEST_KEY]
    if offset == 0:
        _begin(volume, key)
    elif (volume.upload_key, volume.upload_received) != (key, offset):
        return JsonResponse(
            {"reason": "Another piece is the next one.", "received": volume.upload_received}, status=409
        )
    try:
        _write(volume, offset, content)
    except ProviderError as exc:
        if offset == 0 and not isinstance(exc, Transient):
            # It was refused before anything was written.
            _row(volume).update(upload_key="", problem="")
        return JsonResponse({"reason": exc.reason}, status=422 if isinstance(exc, InvalidRequest) else 409)
    received = offset + len(content)
    if _row(volume).filter(upload_key=key, upload_received=offset).update(upload_received=received) != 1:
        return JsonResponse({"reason": "The volume is being written from another window."}, status=409)
    return JsonResponse({"key": key, "received": received})


def _piece(request: HttpRequest) -> bytes:
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > CHUNK_BYTES:
        raise _Refused("This piece is too large.", 413)
    content = request.read(CHUNK_BYTES + 1)
    digest = request.headers.get("X-Chunk-SHA256", "")
    if len(content) != int(length) or not content:
        raise _Refused("This piece is not whole.", 422)
    if digest and hashlib.sha256(content).hexdigest() != digest.lower():
        raise _Refused("This piece was damaged on its way.", 422)
    return content


def _begin(volume: Volume, key: str) -> None:
    _row(volume).update(upload_key=key, upload_received=0, problem=NOT_WHOLE, problem_job=None)
    record("volume.upload", subject=volume.subject, subject_name=volume.name, project_id=volume.project_id)
    publish(volume.subject, project_id=volume.project_id)


def _write(volume: Volume, offset: int, content: bytes) -> None:
    source = io.BytesIO(content)
    with connect(volume.provider) as driver:
        if driver.volumes is None:
            raise NotSupported
        driver.volumes.upload(volume.external_id, source.read, offset=offset, length=len(content))


@require_POST
def finish(request: HttpRequest, uuid: UUID) -> JsonResponse:
    """All has arrived: the volume is read anew, for it may be of another size or format now."""
    try:
        volume = _volume(request, uuid)
        size = whole_number(request.POST.get("size", ""), -1)
        if not volume.upload_key or size != volume.upload_received:
            return JsonResponse({"reason": "Not all of the file has arrived."}, status=409)
        with connect(volume.provider) as driver:
            if driver.volumes is None:
                raise NotSupported
            volume_inventory.apply(volume.provider, [driver.volumes.get(volume.external_id)])
    except _Refused as refused:
        return refused.answer
    except ProviderError as exc:
        return JsonResponse({"reason": exc.reason}, status=409)
    _row(volume).update(upload_key="", upload_received=0, problem="", problem_job=None)
    publish(volume.subject, project_id=volume.project_id)
    return JsonResponse({"page": reverse("volumes:detail", args=[uuid])})
