"""What changes pools: the row or the wish, the audit entry, the job. Administrators come here through actions."""

from __future__ import annotations

import json
from typing import Any

from django.db import transaction

from kvweb.accounts.models import User
from kvweb.audit.services import record
from kvweb.events.services import publish_many
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job
from providers.base import PoolSpec
from providers.models import Provider
from providers.resource_news import news_of
from providers.resource_services import start_job
from providers.secrets import seal
from storage.models import Pool


@transaction.atomic
def create(
    *,
    provider: Provider,
    spec: PoolSpec,
    autostart: bool = True,
    user: User,
    form: dict[str, Any] | None = None,
    retry_of: Pool | None = None,
) -> tuple[Pool, Job]:
    """Write the row (wanted) and start the job that makes the pool; the spec travels sealed, it may hold a secret."""
    pool = retry_of or Pool()
    pool.provider, pool.name, pool.type, pool.path = provider, spec.name, spec.type, spec.path[:500]
    pool.is_active, pool.autostart, pool.problem, pool.problem_job = False, autostart, "", None
    pool.save()
    record(
        "pool.create",
        subject=pool.subject,
        subject_name=pool.name,
        actor=user,
        details={"provider": provider.name, "type": spec.type, "path": spec.path},
    )
    job = jobs.start(
        "pool.create",
        title=f"Create the pool “{pool.name}”",
        subject=pool.subject,
        subject_name=pool.name,
        doing="Creating",
        place=provider.place,
        user=user,
        params={"spec": seal({"spec": json.dumps(spec.model_dump(mode="json"))}), "autostart": autostart},
        form=form,
    )
    publish_many(news_of([pool], "created"))
    return pool, job


def start(pool: Pool, *, user: User | None = None) -> Job:
    return start_job(pool, "pool.update", verb="Start the pool", doing="Starting", user=user, params={"active": True})


def stop(pool: Pool, *, user: User | None = None) -> Job:
    return start_job(pool, "pool.update", verb="Stop the pool", doing="Stopping", user=user, params={"active": False})


def set_autostart(pool: Pool, *, autostart: bool, user: User | None = None) -> Job:
    """Whether it is switched on with its host."""
    return start_job(
        pool, "pool.update", verb="Change the pool", doing="Changing", user=user, params={"autostart": autostart}
    )


def start_with_host(pool: Pool, *, user: User | None = None) -> Job:
    return set_autostart(pool, autostart=True, user=user)


def leave_off_with_host(pool: Pool, *, user: User | None = None) -> Job:
    return set_autostart(pool, autostart=False, user=user)


def refresh(pool: Pool, *, user: User | None = None) -> Job:
    """Look at the pool's content again, for what was put there by others."""
    return start_job(pool, "pool.refresh", verb="Look at the pool", doing="Looking", user=user)


def delete(pool: Pool, *, with_volumes: bool = False, user: User | None = None) -> Job:
    """Take the pool out of the provider, and what is in it only when that is asked for."""
    return start_job(
        pool,
        "pool.delete",
        verb="Delete the pool",
        doing="Deleting",
        user=user,
        params={"with_volumes": with_volumes},
    )
