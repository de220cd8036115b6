"""The one way facts about networks enter the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from django.db import transaction
from django.utils import timezone

from kvweb.events.services import publish_many
from networking.models import Network
from providers.base import LeaseRecord, NetworkRecord
from providers.inventory import Outcome, reconcile
from providers.models import Provider
from providers.resource_news import news_of


def _values(record: NetworkRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "mode": record.mode.value,
        "type": record.type,
        "cidrs": list(record.cidrs),
        "dhcp": record.dhcp,
        "domain": record.domain,
        "is_active": record.is_active,
        "autostart": record.autostart,
        "bridge": record.bridge,
        "gateway": record.gateway,
        "dhcp_start": record.dhcp_start,
        "dhcp_end": record.dhcp_end,
        "forward_device": record.forward_device,
        "vlan": record.vlan,
        "mtu": record.mtu,
        "reservations": [asdict(lease) for lease in record.leases],
        "dns_hosts": [{"address": host.address, "names": list(host.names)} for host in record.dns_hosts],
        "pending": list(record.pending),
    }


@transaction.atomic
def apply(provider: Provider, records: Iterable[NetworkRecord], *, is_complete: bool = True) -> Outcome[Network]:
    """Write what differs and tell open pages; with `is_complete` rows that were not told become missing."""
    outcome = reconcile(
        Network.objects.filter(provider=provider).exclude(external_id=""),
        records,
        key=lambda record: record.external_id,
        values=_values,
        make=lambda record: Network(provider=provider, external_id=record.external_id, **_values(record)),
        is_complete=is_complete,
    )
    publish_many([*news_of(outcome.created, "created"), *news_of((*outcome.changed, *outcome.missing))])
    return outcome


#: A row of the database holds them all, and is read with each list of networks.
MOST_LEASES = 2000


@transaction.atomic
def apply_leases(network: Network, leases: Sequence[LeaseRecord]) -> None:
    """Who has which address now, the first of them where they are very many; news only when the answer is another."""
    told = sorted(
        (
            {**asdict(lease), "expires_at": lease.expires_at.isoformat() if lease.expires_at else None}
            for lease in leases
        ),
        key=lambda lease: (lease["address"], lease["mac"]),
    )[:MOST_LEASES]
    has_changed = told != network.leases or network.read_at is None
    Network.objects.filter(pk=network.pk).update(leases=told, read_at=timezone.now())
    if has_changed:
        publish_many(news_of([network]))
