"""Chunks of an upload on their way to the provider: the one place outside of workers that talks to one.

It runs in the transfer process, which serves nothing but transfers, so a slow hypervisor makes no page wait. A chunk is
held in memory until its hash is right, then written at its offset; the row says how far the file is only afterwards.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Iterator

from django.utils import timezone

from kvweb.events.services import publish_many
from providers.base import Conflict, Images, InvalidRequest, NotSupported
from providers.models import Provider
from providers.pool import connect
from providers.resource_news import news_of
from providers.transfer.headers import HEAD_BYTES
from providers.transfer.source import demand_image
from storage.image_services import upload_spec
from storage.models import Image, Upload

#: How long a chunk waits for the one before it; another process may take that one, so the row is looked at again.
TURN_S, _LOOK_EVERY_S = 20.0, 0.25
_turn = threading.Condition()


def take_chunk(upload: Upload, *, offset: int, length: int, pieces: Iterable[bytes], digest: str = "") -> Upload:
    """Write one chunk; the same one twice is taken as it is. `digest` is its SHA-256 as the browser found it.

    Raises Conflict for a chunk that is not the next one, InvalidRequest for one that is damaged or has another length
    than it must, and for a beginning that is no disk's, and what the driver raises.
    """
    expected = min(upload.chunk_bytes, upload.size - offset)
    if offset % upload.chunk_bytes or length != expected or expected <= 0:
        raise InvalidRequest("This piece of the file does not fit.", f"{offset} {length} {expected}")
    own, held = _held(pieces, length)
    if digest and own.hex() != digest.lower():
        raise InvalidRequest("This piece was damaged on its way.", field="digest")
    _await_turn(upload, offset)
    chain = hashlib.sha256(bytes.fromhex(upload.chain) + own).hexdigest()
    driver = connect(upload.image.provider)
    try:
        if driver.images is None:
            raise NotSupported
        if offset == 0:
            # Better now than when all of it has arrived; what counts is what the driver finds at the end.
            demand_image(b"".join(held)[:HEAD_BYTES])
        key = upload.key or _begun(upload, driver.images)
        driver.images.write(key, offset, iter(held))
    finally:
        driver.close()
    moved = Upload.objects.filter(pk=upload.pk, received=offset).update(
        received=offset + length, chain=chain, touched_at=timezone.now()
    )
    if moved != 1:
        raise Conflict("The same file is being sent from another window.")
    _tell_next()
    before = upload.percent
    upload.received, upload.chain = offset + length, chain
    # The page that sends knows by itself; for others' a step now and then is enough.
    if upload.percent // 10 != before // 10:
        publish_many(news_of([upload.image]))
    return upload


def _held(pieces: Iterable[bytes], length: int) -> tuple[bytes, list[bytes]]:
    """Their hash, made as they come, and all of them; raises InvalidRequest when they are not as long as was said."""
    digest, held, count = hashlib.sha256(), [], 0
    for piece in pieces:
        count += len(piece)
        if count > length:
            break
        digest.update(piece)
        held.append(piece)
    if count != length:
        raise InvalidRequest("This piece of the file is not whole.", f"{count} of {length}")
    return digest.digest(), held


def _await_turn(upload: Upload, offset: int) -> None:
    """Wait for the chunk before this one, which may be on its way to the provider: browsers send two at a time."""
    end = time.monotonic() + TURN_S
    is_near = offset - upload.received <= upload.chunk_bytes
    while upload.received < offset and is_near and time.monotonic() < end:
        with _turn:
            upload.refresh_from_db(fields=["received", "chain", "key"])
            if upload.received < offset:
                _turn.wait(_LOOK_EVERY_S)
    if upload.received != offset:
        raise Conflict("Another piece of the file is the next one.", f"{offset} instead of {upload.received}")


def _tell_next() -> None:
    with _turn:
        _turn.notify_all()


def _begun(upload: Upload, images: Images) -> str:
    upload.key = images.begin(upload_spec(upload), upload.size)
    Upload.objects.filter(pk=upload.pk).update(key=upload.key)
    return upload.key


def content_of(provider: Provider, image: Image) -> Iterator[bytes]:
    """An image's bytes for a download."""
    driver = connect(provider)
    try:
        if driver.images is None:
            raise NotSupported
        yield from driver.images.read(image.external_id)
    finally:
        driver.close()
