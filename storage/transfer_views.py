"""What the transfer process serves: chunks of uploads on their way in, and images on their way out.

These views wait for providers. A process of its own runs them, so that no page does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from kvweb.accounts.access import allowed
from kvweb.audit.services import record
from providers.base import Conflict, InvalidRequest, ProviderError, Rejected
from providers.resource_views import user_of
from providers.resources import ready
from storage import image_services as services
from storage.image_forms import takes
from storage.models import Image, Upload
from storage.selectors import images_visible_to
from storage.uploads import content_of, take_chunk

#: Small enough to be hashed and written while it is still in the processor's cache.
_PIECE_BYTES = 512 * 1024
#: A script tries again after 409 and 503, and gives up with the sentence after 422.
_STATUS: tuple[tuple[type[ProviderError], int], ...] = ((Conflict, 409), (Rejected, 422))


def _upload(request: HttpRequest, uuid: UUID) -> Upload:
    """Of this person: nobody sends pieces into what somebody else has begun."""
    found = Upload.objects.select_related("image__provider", "image__project", "user")
    upload = found.filter(image__uuid=uuid, user=user_of(request)).first()
    if upload is None:
        raise Http404
    if not (
        request.user.is_superuser or (upload.image.project and allowed(request.user, "image.create", upload.image))
    ):
        raise PermissionDenied
    return upload


def _state(upload: Upload) -> dict[str, Any]:
    return {
        "received": upload.received,
        "size": upload.size,
        "chunk_bytes": upload.chunk_bytes,
        "chain": upload.chain,
        "file_name": upload.file_name,
        "modified_ms": upload.modified_ms,
    }


def _refusal(exc: ProviderError, upload: Upload) -> JsonResponse:
    """What is wrong, and where the file stands, so that a script can go on from there."""
    status = next((status for kind, status in _STATUS if isinstance(exc, kind)), 503)
    upload.refresh_from_db()
    return JsonResponse({"reason": exc.reason, **_state(upload)}, status=status)


@require_GET
def upload_state(request: HttpRequest, uuid: UUID) -> JsonResponse:
    return JsonResponse(_state(_upload(request, uuid)))


@require_POST
def upload_chunk(request: HttpRequest, uuid: UUID, offset: int) -> JsonResponse:
    upload = _upload(request, uuid)
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > upload.chunk_bytes:
        return JsonResponse({"reason": "This piece is too large."}, status=413)
    digest = request.headers.get("X-Chunk-SHA256", "")
    pieces = _pieces(request)
    try:
        upload = take_chunk(upload, offset=offset, length=int(length), pieces=pieces, digest=digest)
    except ProviderError as exc:
        # Answered before all is read, nginx would take the line for broken.
        with suppress(InvalidRequest):
            for _ in pieces:
                pass
        return _refusal(exc, upload)
    return JsonResponse(_state(upload))


def _pieces(request: HttpRequest) -> Iterator[bytes]:
    """The body as it comes; raises InvalidRequest when the browser goes away."""
    try:
        while piece := request.read(_PIECE_BYTES):
            yield piece
    except OSError as exc:
        raise InvalidRequest("This piece of the file is not whole.", str(exc)) from exc


@require_POST
def upload_finish(request: HttpRequest, uuid: UUID) -> JsonResponse:
    """All is there: the rest is a worker's. `chain` is what the browser's hashes of all pieces come to."""
    upload = _upload(request, uuid)
    chain = request.POST.get("chain", "")
    if chain and chain != upload.chain:
        return JsonResponse({"reason": "What arrived is not what was sent."}, status=409)
    try:
        services.finish_upload(upload, user=user_of(request))
    except ProviderError as exc:
        return _refusal(exc, upload)
    return JsonResponse({"page": reverse("images:detail", args=[uuid])})


@require_GET
def download(request: HttpRequest, uuid: UUID) -> HttpResponse | StreamingHttpResponse:
    """The image as it lies in its pool. For administrators, and for members of its project who may add images."""
    user = user_of(request)
    image = images_visible_to(user).filter(uuid=uuid).exclude(external_id="").first()
    if image is None:
        raise Http404
    if not allowed(user, "image.create", image) or not takes(image.provider, "download") or ready(image) is not True:
        raise PermissionDenied
    record("image.download", subject=image.subject, subject_name=image.name, actor=user, project_id=image.project_id)
    pieces = content_of(image.provider, image)
    response = StreamingHttpResponse(pieces, content_type="application/octet-stream")
    response.headers["Content-Disposition"] = f'attachment; filename="{_file_name(image)}"'
    return response


def _file_name(image: Image) -> str:
    """Its name came from a provider: only what is harmless in a header is kept of it."""
    clean = "".join(
        character for character in image.name if character.isascii() and (character.isalnum() or character in "._-")
    )
    return clean or "image"
