"""Handlers of network jobs: open the driver, call one facet, apply the record."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.db import transaction

from kvweb.jobs.handlers import handler
from kvweb.jobs.models import Job, JobState
from kvweb.jobs.outcomes import UNCERTAIN
from kvweb.jobs.progress import Reporter
from networking import inventory, services
from networking.models import Network
from providers.base import AlreadyExists, Driver, NetworkRecord, NetworkSpec, NotFound, StaticLease
from providers.base.facets.networks import Networks
from providers.pool import open_driver
from providers.resource_jobs import clear_problem, facet, note_problem, resource_of, take_away, take_identity

logger = logging.getLogger(__name__)

#: Jobs that may switch a network off for a moment.
_SWITCH_OFF_AND_ON = ("network.change", "network.restart")


def _note_and_settle(job: Job) -> None:
    """The row says what failed; when nobody knows how far it got, it is found out."""
    note_problem(Network)(job)
    network = Network.objects.select_related("provider").filter(uuid=job.subject.partition(":")[2]).first()
    if network is not None and (job.code in UNCERTAIN or job.state == JobState.CANCELLED):
        transaction.on_commit(lambda: services.settle_later(network, after=job.kind))


def _networks(driver: Driver) -> Networks:
    return facet(driver.networks, "networks")


def _apply(network: Network, networks: Networks, record: NetworkRecord) -> None:
    inventory.apply(network.provider, [record], is_complete=False)
    features = network.can.networks
    tells = features is not None and features.leases and record.is_active
    inventory.apply_leases(network, networks.leases(record.external_id) if tells else [])


def _operate(job: Job, work: Callable[[Networks, Network], NetworkRecord]) -> dict[str, Any]:
    """Do one thing with one network and apply the record that comes back."""
    network = resource_of(Network, job)
    with open_driver(network.provider) as driver:
        networks = _networks(driver)
        record = work(networks, network)
        _apply(network, networks, record)
    clear_problem(network)
    return {"is_active": record.is_active, "pending": list(record.pending)}


@handler("network.create", limit_s=300, on_failure=_note_and_settle)
def create(job: Job, reporter: Reporter) -> dict[str, Any]:
    network = resource_of(Network, job)
    spec = NetworkSpec.model_validate({**job.params["spec"], "portal_uuid": str(network.uuid)})
    reporter.report(10, "Making the network")
    with open_driver(network.provider) as driver:
        networks = _networks(driver)
        try:
            record = networks.create(spec)
        except AlreadyExists:
            # The attempt before this one may have made it and died before it could say so.
            found = [one for one in networks.list() if one.name == spec.name] if job.attempt > 1 else []
            if not found or (spec.cidr and spec.cidr not in found[0].cidrs):
                raise
            record = found[0]
        take_identity(network, record.external_id)
        _apply(network, networks, record)
    return {"external_id": record.external_id}


@handler("network.change", retries=1, on_failure=_note_and_settle)
def change(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Begin with what the network is now, so that nothing that was not named changes."""
    del reporter
    changes = job.params["changes"]

    def work(networks: Networks, network: Network) -> NetworkRecord:
        spec = NetworkSpec.like(networks.get(network.external_id), **changes)
        return networks.update(network.external_id, spec)

    return _operate(job, work)


@handler("network.switch", retries=1, on_failure=_note_and_settle)
def switch(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter
    active = bool(job.params["active"])
    return _operate(job, lambda networks, network: networks.set_active(network.external_id, active))


@handler("network.restart", on_failure=_note_and_settle)
def restart(job: Job, reporter: Reporter) -> dict[str, Any]:
    def work(networks: Networks, network: Network) -> NetworkRecord:
        reporter.report(20, "Switching it off")
        networks.set_active(network.external_id, False)
        reporter.report(60, "Switching it on")
        return networks.set_active(network.external_id, True)

    return _operate(job, work)


@handler("network.reserve", retries=1, on_failure=_note_and_settle)
def reserve(job: Job, reporter: Reporter) -> dict[str, Any]:
    del reporter
    lease = StaticLease(mac=job.params["mac"], address=job.params["address"], name=job.params["name"])
    return _operate(job, lambda networks, network: networks.reserve(network.external_id, lease))


@handler("network.release", retries=1, on_failure=_note_and_settle)
def release(job: Job, reporter: Reporter) -> dict[str, Any]:
    """What is kept for nobody is released already."""
    del reporter

    def work(networks: Networks, network: Network) -> NetworkRecord:
        try:
            return networks.release(network.external_id, job.params["mac"])
        except NotFound:
            return networks.get(network.external_id)

    return _operate(job, work)


@handler("network.delete", retries=1, on_failure=_note_and_settle)
def delete(job: Job, reporter: Reporter) -> dict[str, Any]:
    """A network that is gone already is as good as deleted."""
    del reporter
    network = resource_of(Network, job)
    with open_driver(network.provider) as driver:
        try:
            _networks(driver).delete(network.external_id)
        except NotFound:
            logger.info("It was gone already.")
    take_away(network)
    return {}


@handler("network.settle", retries=5, limit_s=120)
def settle(job: Job, reporter: Reporter) -> dict[str, Any]:
    """After an end that tells nothing: take over the network if it was made, take away what was half made, and read
    all of them anew."""
    del reporter
    network = resource_of(Network, job)
    with open_driver(network.provider) as driver:
        networks = _networks(driver)
        records = list(networks.list())
        left = next((one for one in records if one.portal_uuid == str(network.uuid)), None)
        if network.is_wanted and left is not None:
            if left.is_active:
                take_identity(network, left.external_id)
            else:
                networks.delete(left.external_id)
                records.remove(left)
        if network.is_active and job.params.get("after") in _SWITCH_OFF_AND_ON:
            found = next((one for one in records if one.external_id == network.external_id), None)
            if found is not None and not found.is_active:
                # Its worker died between the two.
                records[records.index(found)] = networks.set_active(found.external_id, True)
        inventory.apply(network.provider, records)
    return {"was_made": left is not None and left in records}


@handler("network.read", limit_s=60)
def read(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Leases, and what a list of networks does not tell."""
    del reporter
    uuid = job.subject.rpartition(":")[2]
    network = Network.objects.select_related("provider").filter(uuid=uuid).exclude(external_id="").first()
    if network is None:
        return {}
    with open_driver(network.provider) as driver:
        networks = _networks(driver)
        _apply(network, networks, networks.get(network.external_id))
    return {}
