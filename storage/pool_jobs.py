"""Handlers of pool jobs: open the driver, call one facet, apply the record."""

from __future__ import annotations

import json
import logging
from typing import Any

from kvweb.jobs.handlers import handler
from kvweb.jobs.models import Job
from kvweb.jobs.progress import Reporter
from providers.base import AlreadyExists, Driver, NotFound, PoolRecord, PoolSpec
from providers.base.facets.pools import Pools
from providers.pool import open_driver
from providers.resource_jobs import clear_problem, facet, note_problem, resource_of, take_away, take_identity
from providers.secrets import unseal
from storage import inventory, volume_inventory
from storage.models import Pool, Volume

logger = logging.getLogger(__name__)

NOUN = "pools"


def _pools(driver: Driver) -> Pools:
    return facet(driver.pools, NOUN)


def _forget_wish(job: Job) -> None:
    """The sealed wish may hold a secret; trying again starts from the form."""
    Job.objects.filter(pk=job.pk).update(params={})


def after_failed_create(job: Job) -> None:
    _forget_wish(job)
    note_problem(Pool)(job)


@handler("pool.create", limit_s=600, on_failure=after_failed_create)
def create(job: Job, reporter: Reporter) -> dict[str, Any]:
    pool = resource_of(Pool, job)
    spec = PoolSpec.model_validate(json.loads(unseal(job.params["spec"])["spec"]))
    reporter.report(10, "Making the pool")
    with open_driver(pool.provider) as driver:
        try:
            made = _pools(driver).create(spec)
        except AlreadyExists:
            if job.attempt < 2:
                raise
            # The attempt before this one may have made it and died before it could say so.
            made = next((one for one in _pools(driver).list() if _is_as_wished(one, spec)), None) or _raise(spec)
        if job.params.get("autostart") is False and pool.can.pools and pool.can.pools.update:
            made = _pools(driver).update(made.external_id, autostart=False)
    take_identity(pool, made.external_id)
    inventory.apply_pools(pool.provider, [made], is_complete=False)
    _forget_wish(job)
    return {"external_id": made.external_id}


def _is_as_wished(record: PoolRecord, spec: PoolSpec) -> bool:
    return (record.name, record.type) == (spec.name, spec.type) and (not spec.path or record.path == spec.path)


def _raise(spec: PoolSpec) -> PoolRecord:
    raise AlreadyExists(f"There is another pool called “{spec.name}” already.", field="name")


@handler("pool.update", retries=1, on_failure=note_problem(Pool))
def update(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter
    pool = resource_of(Pool, job)
    active, autostart = job.params.get("active"), job.params.get("autostart")
    with open_driver(pool.provider) as driver:
        record = _pools(driver).update(pool.external_id, active=active, autostart=autostart)
    inventory.apply_pools(pool.provider, [record], is_complete=False)
    clear_problem(pool)
    return {"is_active": record.is_active}


@handler("pool.refresh", retries=1, limit_s=600)
def refresh(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Look at the pool's content, then read all volumes anew: one that moved there was in another pool before."""
    pool = resource_of(Pool, job)
    with open_driver(pool.provider) as driver:
        reporter.report(10, "Looking at the pool")
        record = _pools(driver).refresh(pool.external_id)
        inventory.apply_pools(pool.provider, [record], is_complete=False)
        count = 0
        if driver.volumes is not None:
            reporter.report(40, "Reading the volumes")
            volumes = driver.volumes.list()
            volume_inventory.apply(pool.provider, volumes, is_complete=True)
            count = sum(volume.pool == pool.external_id for volume in volumes)
    clear_problem(pool)
    return {"volumes": count}


@handler("pool.delete", retries=1, limit_s=600, on_failure=note_problem(Pool))
def delete(job: Job, reporter: Reporter) -> dict[str, Any]:
    """A pool that is gone already is as good as deleted."""
    reporter.report(10, "Deleting")
    pool = resource_of(Pool, job)
    with open_driver(pool.provider) as driver:
        try:
            _pools(driver).delete(pool.external_id, with_volumes=bool(job.params.get("with_volumes")))
        except NotFound:
            logger.info("It was gone already.")
    inside = Volume.objects.filter(pool=pool).values_list("external_id", flat=True)
    volume_inventory.forget(pool.provider, list(inside))
    take_away(pool)
    return {}
