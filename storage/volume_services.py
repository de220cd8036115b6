"""What changes volumes: the row or the wish, the audit entry, the job. Pages come here through actions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from kvweb.accounts.models import Project, User
from kvweb.audit.services import record
from kvweb.events.services import publish
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job
from providers.base import VolumeSpec
from providers.models import Provider
from providers.resource_services import start_job
from storage.models import Pool, Volume

#: A reading of volumes that is younger is not repeated, whoever looks.
FRESH = timedelta(seconds=30)


def _wished(
    *, project: Project, provider: Provider, pool: Pool | None, name: str, size_gib: float, user: User
) -> Volume:
    return Volume(project=project, provider=provider, pool=pool, name=name, size_gib=size_gib, created_by=user)


@transaction.atomic
def create(
    *,
    project: Project,
    provider: Provider,
    pool: Pool | None,
    spec: VolumeSpec,
    user: User,
    form: dict[str, Any] | None = None,
    retry_of: Volume | None = None,
) -> tuple[Volume, Job]:
    """Write the row (wanted) and start the job that makes the volume. `retry_of` is a row whose creation failed."""
    if retry_of is not None:
        publish(retry_of.subject, project_id=retry_of.project_id, topic="gone")
        retry_of.delete()
    volume = _wished(project=project, provider=provider, pool=pool, name=spec.name, size_gib=spec.size_gib, user=user)
    volume.format = spec.format
    volume.save()
    job = start_job(
        volume,
        "volume.create",
        verb="Create the volume",
        doing="Creating",
        user=user,
        params={"spec": spec.model_dump(mode="json")},
        details={"provider": provider.name, "pool": str(pool or ""), "size_gib": spec.size_gib},
        form=form,
    )
    publish(volume.subject, project_id=project.pk, topic="created")
    return volume, job


def grow(volume: Volume, *, size_gib: int, user: User | None = None) -> Job:
    return start_job(
        volume, "volume.grow", verb="Grow the volume", doing="Growing", user=user, params={"size_gib": size_gib}
    )


@transaction.atomic
def clone(volume: Volume, *, name: str, pool: Pool | None = None, user: User) -> Job:
    """Copy the volume into one of its own; the copy belongs to the same project."""
    project = volume.project
    assert project is not None, "The action sees to it."  # noqa: S101
    copy = _wished(
        project=project,
        provider=volume.provider,
        pool=pool or volume.pool,
        name=name,
        size_gib=volume.size_gib,
        user=user,
    )
    copy.format = volume.format
    copy.save()
    publish(copy.subject, project_id=project.pk, topic="created")
    # The job is the copy's: the original stays as it is, and may be cloned again meanwhile.
    return start_job(
        copy,
        "volume.clone",
        verb="Create the copy",
        doing="Copying",
        user=user,
        params={"of": str(volume.uuid), "pool": copy.pool.external_id if copy.pool else ""},
        details={"of": volume.name},
    )


def delete(volume: Volume, *, user: User | None = None) -> Job:
    return start_job(volume, "volume.delete", verb="Delete the volume", doing="Deleting", user=user)


@transaction.atomic
def assign(volume: Volume, *, project: Project, user: User | None = None) -> None:
    """Hand a volume to a project without touching it; both projects' pages hear of it."""
    before = volume.project_id
    volume.project = project
    volume.save(update_fields=["project"])
    record(
        "volume.assign",
        subject=volume.subject,
        subject_name=volume.name,
        actor=user,
        project=project,
        details={"from": before},
    )
    if before is not None and before != project.pk:
        publish(volume.subject, project_id=before, topic="gone")
    publish(volume.subject, project_id=project.pk, topic="created")


def read(provider: Provider) -> Job:
    """A background job that reads the provider's volumes; while one is active no second one is started."""
    return jobs.start(
        "volumes.read",
        title=f"Read the volumes of “{provider.name}”",
        subject=f"volumes:{provider.uuid}",
        subject_name=provider.name,
        place=provider.place,
        is_background=True,
    )


def read_if_old(provider: Provider, *, older_than: timedelta = FRESH) -> Job | None:
    """Read the volumes when that was not done just now; None where it is not needed or not possible."""
    if not provider.is_reachable or provider.can.volumes is None:
        return None
    last = Pool.objects.filter(provider=provider).order_by("-volumes_at").values_list("volumes_at", flat=True)
    times = [moment for moment in last if moment is not None]
    if times and timezone.now() - max(times) < older_than:
        return None
    return read(provider)
