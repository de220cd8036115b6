"""The one way facts about networks enter the database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from networking.models import Network
from providers.base import NetworkRecord
from providers.inventory import Outcome, reconcile
from providers.models import Provider


def _values(record: NetworkRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "mode": record.mode.value,
        "type": record.type,
        "cidrs": list(record.cidrs),
        "dhcp": record.dhcp,
        "domain": record.domain,
        "is_active": record.is_active,
    }


def apply(provider: Provider, records: Iterable[NetworkRecord]) -> Outcome[Network]:
    return reconcile(
        Network.objects.filter(provider=provider),
        records,
        key=lambda record: record.external_id,
        values=_values,
        make=lambda record: Network(provider=provider, external_id=record.external_id, **_values(record)),
    )
