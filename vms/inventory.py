"""The one way facts about machines enter the database: full sync, events and the records of jobs all come here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
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
    "nics",
    "disks",
    "snapshots",
    "consoles",
    "addresses",
    "fingerprint",
    "told_at",
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


#: The last record of each machine and its fingerprint, per process. A sync of two thousand machines of which none
#: changed then costs comparisons of records and one narrow query, not the making and comparing of two thousand rows.
_fingerprints: dict[tuple[int, str], tuple[VmRecord, str]] = {}


def fingerprint_of(provider: Provider, record: VmRecord) -> str:
    """A short text that is equal for equal records, also in another process."""
    key = (provider.pk, record.external_id)
    known = _fingerprints.get(key)
    if known is not None and known[0] == record:
        return known[1]
    told = json.dumps(values_of(record), sort_keys=True, default=str).encode()
    fingerprint = blake2b(told, digest_size=16).hexdigest()
    _fingerprints[key] = (record, fingerprint)
    return fingerprint


@dataclass(frozen=True, slots=True)
class _Known:
    """What a comparison needs of a row."""

    pk: int
    fingerprint: str
    presence: str
    told_at: datetime | None

    def is_newer_than(self, moment: datetime) -> bool:
        return self.told_at is not None and self.told_at > moment


def _known_rows(provider: Provider, records: Sequence[VmRecord], *, is_complete: bool) -> dict[str, _Known]:
    """The provider's rows by external id and by uuid; only those that are told of unless the records are complete."""
    rows = VirtualMachine.objects.filter(provider=provider).order_by()
    if is_complete:
        # Deleted rows are history and many; those of the last hour may still be told of by an answer that is older.
        rows = rows.exclude(presence=Presence.DELETED, told_at__lt=timezone.now() - timedelta(hours=1))
    else:
        uuids = [record.portal_uuid for record in records if is_uuid(record.portal_uuid)]
        rows = rows.filter(Q(external_id__in=[record.external_id for record in records]) | Q(uuid__in=uuids))
    known: dict[str, _Known] = {}
    columns = ("pk", "external_id", "uuid", "fingerprint", "presence", "told_at")
    for pk, external_id, uuid, fingerprint, presence, told_at in rows.values_list(*columns):
        row = _Known(pk, fingerprint, presence, told_at)
        known[str(uuid)] = row
        if external_id:
            known[external_id] = row
    return known


def is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


@transaction.atomic
def apply(
    provider: Provider, records: Sequence[VmRecord], *, is_complete: bool = False, asked_at: datetime | None = None
) -> list[VirtualMachine]:
    """Write what differs and tell open pages; with `is_complete` rows that were not told become missing.

    `asked_at` is the time just before the provider was asked: rows that were written from a later answer are left
    alone, so a slow list cannot undo what a quick job has just reported. Returns the rows that were created or changed.
    A record with a portal uuid that we know becomes that row, also when the worker that made it died before it could
    say so. Unknown machines go to the unassigned project.
    """
    asked_at = asked_at or timezone.now()
    known = _known_rows(provider, records, is_complete=is_complete)
    differing: dict[int, VmRecord] = {}
    unknown: list[VmRecord] = []
    seen: set[int] = set()
    for record in records:
        row = known.get(record.external_id) or known.get(record.portal_uuid)
        if row is None:
            unknown.append(record)
            continue
        seen.add(row.pk)
        if row.is_newer_than(asked_at):
            continue
        if row.fingerprint != fingerprint_of(provider, record) or row.presence != Presence.PRESENT:
            differing[row.pk] = record
    changed = _write(provider, differing, asked_at)
    created = [_adopt(provider, record, asked_at) for record in unknown]
    VirtualMachine.objects.bulk_create(created)
    if is_complete:
        unseen = {
            row.pk
            for row in known.values()
            if row.pk not in seen and row.presence == Presence.PRESENT and not row.is_newer_than(asked_at)
        }
        changed.extend(_mark_missing(unseen))
    publish_many(
        [
            *(News(row.subject, row.project_id, "created") for row in created),
            *(News(row.subject, row.project_id) for row in changed),
        ]
    )
    return [*created, *changed]


def _write(provider: Provider, differing: dict[int, VmRecord], asked_at: datetime) -> list[VirtualMachine]:
    """Load the rows whose record is another than last time, write the columns that differ, return those that did."""
    if not differing:
        return []
    changed: list[VirtualMachine] = []
    touched: list[VirtualMachine] = []
    for row in VirtualMachine.objects.filter(pk__in=differing).defer("description"):
        if _update(row, differing[row.pk]):
            changed.append(row)
        row.fingerprint, row.told_at = fingerprint_of(provider, differing[row.pk]), asked_at
        touched.append(row)
    VirtualMachine.objects.bulk_update(touched, COLUMNS, batch_size=100)
    return changed


def _mark_missing(pks: set[int]) -> list[VirtualMachine]:
    if not pks:
        return []
    VirtualMachine.objects.filter(pk__in=pks).update(presence=Presence.MISSING, missing_since=timezone.now())
    return list(VirtualMachine.objects.filter(pk__in=pks).only("pk", "uuid", "project_id"))


def _adopt(provider: Provider, record: VmRecord, asked_at: datetime) -> VirtualMachine:
    row = VirtualMachine(provider=provider, project=unassigned_project(), description=record.description)
    _update(row, record)
    row.fingerprint, row.told_at = fingerprint_of(provider, record), asked_at
    return row


@transaction.atomic
def forget(provider: Provider, external_id: str) -> None:
    """The provider says that the machine is gone: it was deleted there, or by a job of ours that will say so itself."""
    row = VirtualMachine.objects.filter(provider=provider, external_id=external_id, presence=Presence.PRESENT).first()
    if row is not None:
        row.presence, row.missing_since, row.told_at = Presence.MISSING, timezone.now(), timezone.now()
        row.save(update_fields=["presence", "missing_since", "told_at"])
        publish_many([News(row.subject, row.project_id)])
