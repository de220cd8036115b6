"""Volumes on their way out: served by the transfer process, so that no page waits for a provider."""

from __future__ import annotations

import queue
import threading
from collections.abc import AsyncIterator, Iterator
from uuid import UUID

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_GET

from kvweb.accounts.actions import ActionRefused
from kvweb.audit.services import record
from providers.base import NotSupported, ProviderError
from providers.pool import connect
from providers.resource_views import user_of
from storage.models import Volume
from storage.selectors import volumes_visible_to
from storage.volume_actions import DOWNLOAD

#: Pieces that wait for the browser; a slow one stops the reading and takes no more memory than this.
MOST_WAITING = 8


class _Left(Exception):
    """The browser went away."""


def content_of(volume: Volume) -> Iterator[bytes]:
    """The volume's bytes as they are stored. Drivers push them, browsers pull: a thread stands between the two."""
    pieces: queue.Queue[bytes | BaseException | None] = queue.Queue(MOST_WAITING)
    has_left = threading.Event()
    # Read here: the thread has no connection to the database.
    provider = volume.provider

    def give(piece: bytes | BaseException | None) -> None:
        while not has_left.is_set():
            try:
                pieces.put(piece, timeout=0.5)
            except queue.Full:
                continue
            return
        raise _Left

    def carry() -> None:
        try:
            with connect(provider) as driver:
                if driver.volumes is None:
                    raise NotSupported
                driver.volumes.download(volume.external_id, give)
            give(None)
        except _Left:
            return
        except Exception as exc:
            if not has_left.is_set():
                give(exc)

    thread = threading.Thread(target=carry, name=f"download-{volume.uuid}", daemon=True)
    thread.start()
    try:
        while (piece := pieces.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        has_left.set()
        thread.join(timeout=5)


@require_GET
def download(request: HttpRequest, uuid: UUID) -> HttpResponseBase:
    """The volume as a file. A refusal leads back to its page, with the reason."""
    user = user_of(request)
    volume = volumes_visible_to(user).filter(uuid=uuid).first()
    if volume is None:
        raise Http404("There is no such volume.")
    try:
        DOWNLOAD.perform(volume, user)
        pieces = content_of(volume)
        # The first piece tells whether there will be any.
        first = next(pieces, b"")
    except (ActionRefused, ProviderError) as refusal:
        messages.error(request, f"“{volume.name}”: {refusal.reason}")
        return redirect("volumes:detail", uuid=uuid)
    record(
        "volume.download", subject=volume.subject, subject_name=volume.name, actor=user, project_id=volume.project_id
    )
    return _answer(request, volume, first, pieces)


def _answer(request: HttpRequest, volume: Volume, first: bytes, pieces: Iterator[bytes]) -> HttpResponse:
    is_async = hasattr(request, "scope")
    content = _in_turn(first, pieces) if is_async else _all(first, pieces)
    response = StreamingHttpResponse(content, content_type="application/octet-stream")
    response.headers["Content-Disposition"] = f'attachment; filename="{_file_name(volume)}"'
    return response  # type: ignore[return-value]


def _all(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from pieces


async def _in_turn(first: bytes, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Django would read a plain iterator to its end before it sends anything."""
    yield first
    step = sync_to_async(lambda: next(pieces, b""), thread_sensitive=False)
    try:
        while piece := await step():
            yield piece
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            await sync_to_async(close, thread_sensitive=False)()


def _file_name(volume: Volume) -> str:
    """Its name came from a provider: only what is harmless in a header is kept of it."""
    kept = "".join(one for one in volume.name if one.isascii() and (one.isalnum() or one in "._-"))
    return kept if "." in kept else f"{kept or 'volume'}.{volume.format or 'raw'}"
