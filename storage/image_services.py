"""What changes images: the row or the wish, the audit entry, the job. Pages come here through actions and forms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from kvweb.accounts.models import Project, User
from kvweb.audit.services import record
from kvweb.events.services import publish_many
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job
from providers import resource_services
from providers.base import Conflict, FetchRules, ImageSpec, InvalidRequest, QuotaExceeded
from providers.models import Provider
from providers.resource_news import news_of
from providers.resource_services import start_job
from storage.models import Image, Upload

#: A chunk is held in memory while it is checked; larger files come in larger ones.
CHUNK_BYTES, LARGE_CHUNK_BYTES = 8 * 1024 * 1024, 16 * 1024 * 1024
_LARGE_BYTES = 2 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody says of an image that is to be added."""

    provider: Provider
    project: Project | None
    """None: for everybody who may use the provider."""
    pool: str
    """external_id; empty: the provider's default."""
    name: str
    title: str = ""
    os: str = ""
    default_user: str = ""
    min_memory_mib: int = 0
    is_iso: bool = False


def fetch_rules() -> FetchRules:
    """What the portal's settings allow."""
    return FetchRules(
        http=settings.IMAGE_HTTP,
        networks=tuple(settings.IMAGE_NETWORKS),
        most_bytes=int(settings.IMAGE_MAX_GIB * 1024**3),
    )


def _wished(wish: Wish, *, source: str, user: User) -> Image:
    image = Image.objects.create(
        provider=wish.provider,
        project=wish.project,
        pool=wish.pool,
        name=wish.name,
        title=wish.title,
        os=wish.os,
        default_user=wish.default_user,
        min_memory_mib=wish.min_memory_mib,
        is_iso=wish.is_iso,
        source=source[:500],
        created_by=user,
    )
    publish_many(news_of([image], "created"))
    return image


def _spec(wish: Wish, image: Image, **more: Any) -> ImageSpec:
    return ImageSpec(
        name=wish.name,
        pool=wish.pool,
        is_iso=wish.is_iso,
        os=wish.os,
        default_user=wish.default_user,
        portal_uuid=str(image.uuid),
        fetch=fetch_rules(),
        **more,
    )


@transaction.atomic
def add_from_url(
    wish: Wish,
    *,
    url: str,
    checksum: str = "",
    checksum_url: str = "",
    user: User,
    form: dict[str, Any] | None = None,
    retry_of: Image | None = None,
) -> tuple[Image, Job]:
    """Write the row (wanted) and start the job that fetches the image. `retry_of` is a row whose creation failed."""
    if retry_of is not None:
        publish_many(news_of([retry_of], "gone"))
        retry_of.delete()
    # Its query may hold a key that the vendor gave to one person; the row is for all who may use the image.
    shown = urlsplit(url)._replace(query="", fragment="").geturl()
    image = _wished(wish, source=shown, user=user)
    spec = _spec(wish, image, url=url, checksum=checksum, checksum_url=checksum_url)
    job = start_job(
        image,
        "image.fetch",
        verb="Add the image",
        doing="Adding",
        user=user,
        params={"spec": spec.model_dump(mode="json")},
        details={"provider": wish.provider.name, "url": shown, "checksum": checksum or checksum_url},
        form=form,
    )
    return image, job


@transaction.atomic
def begin_upload(
    wish: Wish, *, file_name: str, size: int, modified_ms: int = 0, checksum: str = "", user: User
) -> Upload:
    """Write the row (wanted) and its upload; nothing is at the provider yet.

    Raises QuotaExceeded when the person has too many, InvalidRequest for one that is empty or too large.
    """
    if size <= 0:
        raise InvalidRequest("The file is empty.", field="file")
    if size > settings.IMAGE_MAX_GIB * 1024**3:
        raise InvalidRequest(f"Images may have {settings.IMAGE_MAX_GIB:g} GiB at most.", field="file")
    if Upload.objects.filter(user=user).count() >= settings.IMAGE_UPLOADS_PER_USER:
        raise QuotaExceeded("You have begun several uploads already; finish or cancel one of them first.")
    image = _wished(wish, source=file_name, user=user)
    upload = Upload.objects.create(
        image=image,
        user=user,
        file_name=file_name[:255],
        size=size,
        modified_ms=modified_ms,
        checksum=checksum,
        chunk_bytes=CHUNK_BYTES if size <= _LARGE_BYTES else LARGE_CHUNK_BYTES,
    )
    record(
        "image.upload",
        subject=image.subject,
        subject_name=image.name,
        actor=user,
        project_id=image.project_id,
        details={"provider": wish.provider.name, "file": file_name, "bytes": size},
    )
    return upload


def upload_spec(upload: Upload) -> ImageSpec:
    """The wish of an upload, as the driver takes it."""
    image = upload.image
    return ImageSpec(
        name=image.name,
        pool=image.pool,
        is_iso=image.is_iso,
        os=image.os,
        default_user=image.default_user,
        portal_uuid=str(image.uuid),
        checksum=upload.checksum,
    )


def finish_upload(upload: Upload, *, user: User | None = None) -> Job:
    """Start the job that looks at what arrived. Raises Conflict while something is missing."""
    if not upload.is_complete:
        raise Conflict("The file has not arrived completely.")
    return start_job(
        upload.image, "image.finish", verb="Add the image", doing="Checking", user=user, details={"bytes": upload.size}
    )


@transaction.atomic
def cancel_upload(image: Image, *, user: User | None = None) -> None:
    """Forget an upload, and have taken away what arrived of it."""
    record(
        "image.cancel_upload", subject=image.subject, subject_name=image.name, actor=user, project_id=image.project_id
    )
    discard(image)
    publish_many(news_of([image], "gone"))
    image.delete()


def discard(image: Image, *, since: datetime | None = None) -> Job:
    """A background job that takes away what lies unfinished at the provider for this wish. `since` is when the work
    began whose worker died: an image that was finished after that becomes the wish's own."""
    return jobs.start(
        "image.discard",
        title=f"Clear up after “{image.name}”",
        subject=f"unfinished:{image.uuid}",
        subject_name=image.name,
        place=image.provider.place,
        params={
            "provider": str(image.provider.uuid),
            "portal_uuid": str(image.uuid),
            "since": since.isoformat() if since else "",
        },
        is_background=True,
    )


@transaction.atomic
def change(
    image: Image, *, title: str, os: str, default_user: str, min_memory_mib: int | None, user: User | None = None
) -> None:
    """What the portal says of it; nothing is touched at the provider."""
    image.title, image.os, image.default_user = title, os, default_user
    image.min_memory_mib = min_memory_mib or 0
    image.save(update_fields=["title", "os", "default_user", "min_memory_mib"])
    record("image.change", subject=image.subject, subject_name=image.name, actor=user, project_id=image.project_id)
    publish_many(news_of([image]))


@transaction.atomic
def share(image: Image, *, project: Project | None, user: User | None = None) -> None:
    """Say whose it is: a project's, or (None) everybody's who may use the provider."""
    before, gone = image.project_id, news_of([image], "gone")
    image.project = project
    image.save(update_fields=["project"])
    record(
        "image.share",
        subject=image.subject,
        subject_name=image.name,
        actor=user,
        project=project,
        details={"from": before},
    )
    if before != image.project_id:
        publish_many(gone)
    publish_many(news_of([image], "created"))


def delete(image: Image, *, user: User | None = None) -> Job:
    return start_job(image, "image.delete", verb="Delete the image", doing="Deleting", user=user)


@transaction.atomic
def dismiss(image: Image, *, user: User | None = None) -> None:
    """Take a row away that stands for nothing, with what may lie unfinished at the provider."""
    if image.is_wanted:
        discard(image)
    resource_services.dismiss(image, user=user)


def expire_uploads() -> int:
    """Give up uploads that have rested too long; returns how many."""
    oldest = timezone.now() - timedelta(seconds=settings.IMAGE_UPLOAD_KEEP_S)
    resting = Upload.objects.filter(touched_at__lt=oldest).select_related("image__provider")
    for upload in resting:
        cancel_upload(upload.image)
    return len(resting)
