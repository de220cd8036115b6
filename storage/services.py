"""What changes images: bringing one in from a file of the portal's own machine."""

from __future__ import annotations

from pathlib import Path

from django.db import transaction

from kvweb.accounts.models import User
from kvweb.audit.services import record
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job
from providers.models import Provider


@transaction.atomic
def add_image_from_file(
    provider: Provider,
    *,
    path: Path,
    name: str,
    title: str,
    os: str = "",
    default_user: str = "",
    min_memory_mib: int = 0,
    user: User | None = None,
) -> Job:
    """Start a job that copies a local file into the provider's default pool; administrators and set-up only."""
    record("image.add", subject=provider.subject, subject_name=name, actor=user)
    return jobs.start(
        "image.add",
        title=f"Add the image “{title or name}” to “{provider.name}”",
        subject=f"image:{provider.uuid}:{name}"[:80],
        subject_name=title or name,
        doing="Adding",
        place=provider.place,
        user=user,
        params={
            "provider": str(provider.uuid),
            "path": str(path),
            "name": name,
            "title": title,
            "os": os,
            "default_user": default_user,
            "min_memory_mib": min_memory_mib,
        },
    )
