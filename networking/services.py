"""What changes networks: the row or the wish, the audit entry, the job. Administrators come here through actions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from kvweb.accounts.models import Project, User
from kvweb.audit.services import record
from kvweb.events.services import publish_many
from kvweb.jobs import services as jobs
from kvweb.jobs.models import Job
from networking.models import Network
from providers.base import NetworkSpec
from providers.models import Provider
from providers.resource_news import news_of
from providers.resource_services import start_job

#: Leases that were read later than this are not read again, whoever looks.
FRESH = timedelta(seconds=10)


@transaction.atomic
def create(
    *,
    provider: Provider,
    spec: NetworkSpec,
    projects: Iterable[Project] = (),
    user: User,
    form: dict[str, Any] | None = None,
    retry_of: Network | None = None,
) -> tuple[Network, Job]:
    """Write the row (wanted) and start the job that makes the network. `retry_of` is a row whose creation failed."""
    network = retry_of or Network()
    network.provider, network.name, network.mode = provider, spec.name, spec.mode.value
    network.cidrs = [cidr for cidr in (spec.cidr, spec.ipv6_cidr) if cidr]
    network.is_active, network.problem, network.problem_job = False, "", None
    network.save()
    network.projects.set(projects)
    job = start_job(
        network,
        "network.create",
        verb="Create the network",
        doing="Creating",
        user=user,
        params={"spec": spec.model_dump(mode="json")},
        details={"provider": provider.name, "mode": spec.mode.value, "ranges": network.cidrs},
        form=form,
    )
    publish_many(news_of([network], "created"))
    return network, job


def change(network: Network, *, changes: dict[str, Any], user: User | None = None) -> Job:
    """Change these fields of its spec; everything else stays as the provider has it then."""
    return start_job(
        network, "network.change", verb="Change the network", doing="Changing", user=user, params={"changes": changes}
    )


def start(network: Network, *, user: User | None = None) -> Job:
    return start_job(
        network, "network.switch", verb="Start the network", doing="Starting", user=user, params={"active": True}
    )


def stop(network: Network, *, user: User | None = None) -> Job:
    return start_job(
        network, "network.switch", verb="Stop the network", doing="Stopping", user=user, params={"active": False}
    )


def restart(network: Network, *, user: User | None = None) -> Job:
    """Switch it off and on, so that what was changed takes effect."""
    return start_job(network, "network.restart", verb="Restart the network", doing="Restarting", user=user)


def reserve(network: Network, *, mac: str, address: str, name: str = "", user: User | None = None) -> Job:
    """Keep an address for a card from now on."""
    params = {"mac": mac, "address": address, "name": name}
    return start_job(network, "network.reserve", verb="Keep an address in", doing="Keeping", user=user, params=params)


def release(network: Network, *, mac: str, user: User | None = None) -> Job:
    return start_job(
        network, "network.release", verb="Release an address in", doing="Releasing", user=user, params={"mac": mac}
    )


def set_dns_hosts(network: Network, *, hosts: list[dict[str, Any]], user: User | None = None) -> Job:
    """The names that the network's DNS answers besides those of its machines."""
    return change(network, changes={"dns_hosts": hosts}, user=user)


def delete(network: Network, *, user: User | None = None) -> Job:
    return start_job(network, "network.delete", verb="Delete the network", doing="Deleting", user=user)


@transaction.atomic
def offer(network: Network, *, projects: Iterable[Project], user: User | None = None) -> None:
    """Say which projects may plug machines into it; none named is all. Nothing is touched at the provider."""
    chosen, before = list(projects), news_of([network])
    network.projects.set(chosen)
    record(
        "network.offer",
        subject=network.subject,
        subject_name=network.name,
        actor=user,
        details={"projects": sorted(project.name for project in chosen)},
    )
    # Those who may use it no more hear of it too, so that it leaves their pages.
    publish_many({*before, *news_of([network])})


def settle_later(network: Network, *, after: str) -> None:
    """Find out what an interrupted job, of the kind `after`, has left."""
    jobs.start(
        "network.settle",
        title=f"Clear up after “{network.name}”",
        subject=network.subject,
        subject_name=network.name,
        doing="Clearing up",
        place=network.provider.place,
        params={"after": after},
        is_background=True,
    )


def read_if_old(network: Network) -> Job | None:
    """Read leases and details in the background, unless that was done just now or cannot be done."""
    if network.is_wanted or network.is_missing or not network.provider.is_reachable:
        return None
    if network.read_at is not None and timezone.now() - network.read_at < FRESH:
        return None
    return jobs.start(
        "network.read",
        title=f"Read the network “{network.name}”",
        subject=f"reading:{network.subject}",
        subject_name=network.name,
        place=network.provider.place,
        is_background=True,
    )
