"""The one way facts about machines enter the database: full sync, events and the records of jobs all come here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from django.db import transaction
from django.utils import timezone

from kvweb.accounts.services import unassigned_project
from kvweb.events.services import News, publish_many
from providers.base import DiskDevice, PowerState, VmRecord
from providers.models import Provider
from vms.choices import Presence
from vms.models import VirtualMachine

#: Columns that a record may change.
COLUMNS = [
    "name",
    "power",
    "raw_state",
    "power_since",
    "presence",
    "missing_since",
    "external_id",
    "vcpus",
    "memory_mib",
    "disk_gib",
    "flavor",
    "autostart",
    "host",
    "description",
    "nics",
    "disks",
    "snapshots",
    "consoles",
    "addresses",
    "problem",
    "problem_job",
]


def _plain(items: Iterable[Any] | None) -> list[dict[str, Any]] | None:
    """Records as JSON-safe dicts; None ("not read") stays None."""
    if items is None:
        return None
    return [{key: _jsonable(value) for key, value in asdict(item).items()} for item in items]


def _jsonable(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def values_of(record: VmRecord) -> dict[str, Any]:
    """The columns that a record tells; what it does not know (None) is left out, so that it keeps its value."""
    values: dict[str, Any] = {"name": record.name, "power": record.power.value, "raw_state": record.raw_state}
    told: dict[str, Any] = {
        "vcpus": record.vcpus,
        "memory_mib": record.memory_mib,
        "autostart": record.autostart,
        "flavor": record.flavor or None,
        "host": record.host or None,
        "nics": _plain(record.nics),
        "disks": _plain(record.disks),
        "snapshots": _plain(record.snapshots),
        "consoles": sorted(kind.value for kind in record.consoles) if record.consoles is not None else None,
        "addresses": " ".join(record.addresses)[:500] if record.nics is not None else None,
        "disk_gib": (
            round(sum(disk.size_gib for disk in record.disks if disk.device is DiskDevice.DISK), 2)
            if record.disks is not None
            else None
        ),
    }
    values.update({name: value for name, value in told.items() if value is not None})
    return values


def _keep_known_addresses(row: VirtualMachine, values: dict[str, Any]) -> None:
    """A running machine's address may be known from a detailed reading (agent, ARP) that a list cannot repeat."""
    if (
        values.get("addresses") == ""
        and row.addresses
        and row.power == values["power"] == PowerState.RUNNING
        and row.nics
        and values.get("nics")
        and [nic.get("mac") for nic in row.nics] == [nic.get("mac") for nic in values["nics"]]
    ):
        values.pop("addresses")
        values.pop("nics")


def _update(row: VirtualMachine, record: VmRecord) -> bool:
    """Put the record's facts into the row (not saved); True when something differs."""
    values = values_of(record)
    _keep_known_addresses(row, values)
    values.update(external_id=record.external_id, presence=Presence.PRESENT.value, missing_since=None)
    if row.power != values["power"]:
        values["power_since"] = timezone.now()
    changed = False
    for name, value in values.items():
        if getattr(row, name) != value:
            setattr(row, name, value)
            changed = True
    return changed


@transaction.atomic
def apply(provider: Provider, records: Sequence[VmRecord], *, is_complete: bool = False) -> list[VirtualMachine]:
    """Write what differs and tell open pages; with `is_complete` rows that were not told become missing.

    Returns the rows that were created or changed. A record with a portal uuid that we know becomes that row, also when
    the worker that made it died before it could say so. Unknown machines go to the unassigned project.
    """
    rows = list(
        VirtualMachine.objects.filter(provider=provider).exclude(presence=Presence.DELETED).defer("description")
    )
    if not is_complete:
        told = {record.external_id for record in records} | {record.portal_uuid for record in records}
        rows = [row for row in rows if row.external_id in told or str(row.uuid) in told]
    by_id = {row.external_id: row for row in rows if row.external_id}
    by_uuid = {str(row.uuid): row for row in rows}
    changed: list[VirtualMachine] = []
    created: list[VirtualMachine] = []
    seen: set[int] = set()
    for record in records:
        row = by_id.get(record.external_id) or by_uuid.get(record.portal_uuid)
        if row is None:
            created.append(_adopt(provider, record))
            continue
        seen.add(row.pk)
        if _update(row, record):
            changed.append(row)
    if is_complete:
        now = timezone.now()
        for row in rows:
            if row.pk not in seen and row.presence == Presence.PRESENT:
                row.presence, row.missing_since = Presence.MISSING, now
                changed.append(row)
    if created:
        VirtualMachine.objects.bulk_create(created)
    if changed:
        columns = [name for name in COLUMNS if name != "description"]
        VirtualMachine.objects.bulk_update(changed, columns, batch_size=100)
    publish_many(
        [
            *(News(row.subject, row.project_id, "created") for row in created),
            *(News(row.subject, row.project_id) for row in changed),
        ]
    )
    return [*created, *changed]


def _adopt(provider: Provider, record: VmRecord) -> VirtualMachine:
    row = VirtualMachine(provider=provider, project=unassigned_project(), description=record.description)
    _update(row, record)
    return row


@transaction.atomic
def forget(provider: Provider, external_id: str) -> None:
    """The provider says that the machine is gone: it was deleted there, or by a job of ours that will say so itself."""
    row = VirtualMachine.objects.filter(provider=provider, external_id=external_id, presence=Presence.PRESENT).first()
    if row is not None:
        row.presence, row.missing_since = Presence.MISSING, timezone.now()
        row.save(update_fields=["presence", "missing_since"])
        publish_many([News(row.subject, row.project_id)])
