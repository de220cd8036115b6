"""The one way facts about machines enter the database: full sync, events and the records of jobs all come here."""

from __future__ import annotations

import json
from collections.abc import Container, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from hashlib import blake2b
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from kvweb.accounts.services import unassigned_project
from kvweb.events.services import News, publish, publish_many
from providers.base import DiskDevice, PowerState, VmRecord
from providers.inventory import write_columns
from providers.models import Provider
from storage.volume_moves import Move, note_moves
from vms.choices import Presence
from vms.models import VirtualMachine


def _plain(items: Iterable[Any] | None) -> list[dict[str, Any]] | None:
    """Records as JSON-safe dicts; None ("not read") stays None."""
    if items is None:
        return None
    return [{name: _jsonable(getattr(item, name)) for name in _names(cast("Hashable", type(item)))} for item in items]


@cache
def _names(record: Hashable) -> tuple[str, ...]:
    """Field names of a record's class, looked up once: `dataclasses.asdict` would copy every value in depth."""
    return tuple(field.name for field in fields(cast("type[Any]", record)))


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
        "options": dict(record.options) if record.options is not None else None,
        "pending": list(record.pending),
        "consoles": sorted(kind.value for kind in record.consoles) if record.consoles is not None else None,
        "addresses": " ".join(record.addresses)[:500] if record.nics is not None else None,
        "disk_gib": (
            round(sum(disk.size_gib for disk in record.disks if disk.device is DiskDevice.DISK), 4)
            if record.disks is not None
            else None
        ),
    }
    values.update({name: value for name, value in told.items() if value is not None})
    return values


def _keep_known_addresses(row: Any, values: dict[str, Any]) -> None:
    """A running machine's address may be known from a detailed reading (agent, ARP) that a list cannot repeat."""
    if (
        values.get("addresses") == ""
        and row.addresses
        and row.power == values.get("power", row.power) == PowerState.RUNNING
        and row.nics
        and values.get("nics")
        and [nic.get("mac") for nic in row.nics] == [nic.get("mac") for nic in values["nics"]]
    ):
        values.pop("addresses")
        values.pop("nics")


def _update(row: Any, record: VmRecord, facts: Container[str] | None = None) -> set[str]:
    """Put the record, or only these columns of it, into the row (not saved); returns the columns that differ."""
    told = _told(row.provider_id, record).values
    values = {name: value for name, value in told.items() if facts is None or name in facts}
    _keep_known_addresses(row, values)
    values.update(external_id=record.external_id, presence=Presence.PRESENT.value, missing_since=None)
    if row.power != told["power"]:
        values["power_since"] = timezone.now()
    differing = {name for name, value in values.items() if getattr(row, name) != value}
    for name in differing:
        setattr(row, name, values[name])
    return differing


@dataclass(frozen=True, slots=True)
class _Told:
    """A record as columns, with a short text that is equal for equal records, also in another process."""

    record: VmRecord
    values: dict[str, Any]
    fingerprint: str
    before: tuple[str, dict[str, Any]] | None = None
    """Fingerprint and columns of what was told before this: a row that still has them differs in nothing else."""


#: What was told last of each machine, per process. A sync of two thousand machines of which none changed then costs
#: comparisons of records and one narrow query, not the making and comparing of two thousand rows.
_last_told: dict[tuple[int, str], _Told] = {}


def _told(provider_id: int, record: VmRecord) -> _Told:
    key = (provider_id, record.external_id)
    last = _last_told.get(key)
    if last is not None and (last.record is record or last.record == record):
        return last
    values = values_of(record)
    text = json.dumps(values, sort_keys=True, default=str).encode()
    before = (last.fingerprint, last.values) if last is not None else None
    told = _last_told[key] = _Told(record, values, blake2b(text, digest_size=16).hexdigest(), before)
    return told


def _new_facts(provider_id: int, records: Mapping[int, VmRecord], fingerprints: Mapping[int, str]) -> set[str]:
    """The columns in which these records may differ from their rows; `fingerprints` are the rows' own, by key."""
    facts: set[str] = set()
    for pk, record in records.items():
        told = _told(provider_id, record)
        if told.before is None or told.before[0] != fingerprints.get(pk):
            facts.update(told.values)
        else:
            facts.update(name for name, value in told.values.items() if told.before[1].get(name, ...) != value)
    if "power" in facts:
        # What stops loses an address that was kept while it ran, although no list has ever told of it.
        facts.update(("addresses", "nics"))
    return facts


def _forget_all_but(provider_id: int, records: Sequence[VmRecord]) -> None:
    """Let go of machines that are not there any more, once they are many."""
    if len(_last_told) < 2 * len(records) + 1000:
        return
    there = {record.external_id for record in records}
    for key in [key for key in _last_told if key[0] == provider_id and key[1] not in there]:
        del _last_told[key]


@dataclass(frozen=True, slots=True)
class _Known:
    """What a comparison needs of a row."""

    pk: int
    fingerprint: str
    presence: str


def _known_rows(provider: Provider, external_ids: Iterable[str] | None) -> dict[str, _Known]:
    """The provider's machines by external id; None for all of them. Four narrow columns, because this is read often."""
    if external_ids is None:
        with connection.cursor() as cursor:
            cursor.execute(_all_rows_statement(), [provider.pk])
            columns = cursor.fetchall()
    else:
        rows = VirtualMachine.objects.filter(provider=provider, external_id__in=external_ids).order_by()
        told = rows.exclude(presence=Presence.DELETED).values_list("external_id", "pk", "fingerprint", "presence")
        columns = list(told)
    return {external_id: _Known(pk, fingerprint, presence) for external_id, pk, fingerprint, presence in columns}


@cache
def _all_rows_statement() -> str:
    """The query for all rows of one provider, put together once: that takes as long as reading a hundred rows."""
    model, quote = VirtualMachine._meta, connection.ops.quote_name
    column_of = {field.name: quote(str(field.column)) for field in model.concrete_fields}
    columns = ", ".join(column_of[name] for name in ("external_id", "id", "fingerprint", "presence"))
    # Only names of our own model's columns are put into the text; values travel as parameters.
    return (
        f"SELECT {columns} FROM {quote(model.db_table)}"  # noqa: S608
        f" WHERE provider_id = %s AND presence <> '{Presence.DELETED.value}' AND external_id <> ''"
    )


def _recognised(provider: Provider, records: list[VmRecord]) -> dict[str, int]:
    """Of records without a known row: external id → pk of the row that waits for it, or that was deleted with it."""
    if not records:
        return {}
    uuids = {record.portal_uuid: record.external_id for record in records if is_uuid(record.portal_uuid)}
    external_ids = [record.external_id for record in records]
    rows = VirtualMachine.objects.filter(provider=provider).order_by()
    found: dict[str, int] = {}
    for pk, external_id, uuid in rows.filter(Q(external_id__in=external_ids) | Q(uuid__in=list(uuids))).values_list(
        "pk", "external_id", "uuid"
    ):
        found[uuids.get(str(uuid)) or external_id] = pk
    return found


def is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def apply(
    provider: Provider, records: Sequence[VmRecord], *, is_complete: bool = False, asked_at: datetime | None = None
) -> list[News]:
    """Write what differs and tell open pages; with `is_complete` rows that were not told become missing.

    `asked_at` is the time just before the provider was asked: rows that were written from a later answer are left
    alone, so a slow list cannot undo what a quick job has just reported. A record with a portal uuid that we know
    becomes that row, also when the worker that made it died before it could say so. Unknown machines go to the
    unassigned project. Returns what open pages were told.
    """
    asked_at = asked_at or timezone.now()
    known = _known_rows(provider, None if is_complete else [record.external_id for record in records])
    differing: dict[int, VmRecord] = {}
    unknown: list[VmRecord] = []
    seen: set[int] = set()
    for record in records:
        row = known.get(record.external_id)
        if row is None:
            unknown.append(record)
            continue
        seen.add(row.pk)
        if row.fingerprint != _told(provider.pk, record).fingerprint or row.presence != Presence.PRESENT:
            differing[row.pk] = record
    if is_complete:
        _forget_all_but(provider.pk, records)
    unseen = {row.pk for row in known.values() if row.pk not in seen and row.presence == Presence.PRESENT}
    if not differing and not unknown and not (is_complete and unseen):
        # The usual case by far: nothing to write, so nobody has to wait for a lock.
        return []
    fingerprints = {row.pk: row.fingerprint for row in known.values() if row.pk in differing}
    return _take_over(provider, differing, fingerprints, unknown, unseen if is_complete else set(), asked_at)


@transaction.atomic
def _take_over(
    provider: Provider,
    differing: dict[int, VmRecord],
    fingerprints: dict[int, str],
    unknown: list[VmRecord],
    unseen: set[int],
    asked_at: datetime,
) -> list[News]:
    """Write what a comparison found, and tell of it."""
    recognised = _recognised(provider, unknown)
    differing.update({recognised[record.external_id]: record for record in unknown if record.external_id in recognised})
    news = _write(provider, differing, fingerprints, asked_at)
    created = [_adopt(provider, record, asked_at) for record in unknown if record.external_id not in recognised]
    VirtualMachine.objects.bulk_create(created)
    note_moves(provider, [Move(row.external_id, None, row.disks) for row in created])
    news.extend(News(row.subject, row.project_id) for row in _mark_missing(unseen, asked_at))
    news = [*(News(row.subject, row.project_id, "created") for row in created), *news]
    publish_many(news)
    return news


_ALWAYS_READ = (
    *("uuid", "project_id", "provider_id", "external_id"),
    *("presence", "missing_since", "told_at", "power", "power_since"),
)


def _write(
    provider: Provider, differing: dict[int, VmRecord], fingerprints: dict[int, str], asked_at: datetime
) -> list[News]:
    """Read the rows whose record is another than last time, write what differs, return what a page shows anew."""
    if not differing:
        return []
    news: list[News] = []
    touched: list[SimpleNamespace] = []
    columns = {"fingerprint", "told_at"}
    moves: list[Move] = []
    # Only what can differ, and no objects of the model: making those would cost more than reading and writing.
    facts = _new_facts(provider.pk, differing, fingerprints)
    for values in VirtualMachine.objects.filter(pk__in=differing).order_by().values("pk", *{*_ALWAYS_READ, *facts}):
        row = SimpleNamespace(**values)
        if row.told_at is not None and row.told_at > asked_at:
            continue
        before = values.get("disks")
        if written := _update(row, differing[row.pk], facts):
            columns |= written
            if "disks" in written:
                moves.append(Move(row.external_id, before, row.disks))
            news.append(News(f"vm:{row.uuid}", row.project_id))
        row.fingerprint, row.told_at = _told(provider.pk, differing[row.pk]).fingerprint, asked_at
        touched.append(row)
    write_columns(VirtualMachine, touched, sorted(columns))
    note_moves(provider, moves)
    return news


def _mark_missing(pks: set[int], asked_at: datetime | None = None) -> list[VirtualMachine]:
    """Rows that a complete answer did not tell of, unless they were written from a later one."""
    if not pks:
        return []
    gone = VirtualMachine.objects.filter(pk__in=pks).exclude(told_at__gt=asked_at or timezone.now())
    listed = list(gone.only("pk", "uuid", "project_id"))
    # A machine that was found and never handed to anybody is nobody's loss: its row goes with it.
    unassigned = VirtualMachine.objects.filter(pk__in=[row.pk for row in listed], project__is_unassigned=True)
    unassigned.update(presence=Presence.DELETED, told_at=timezone.now())
    VirtualMachine.objects.filter(pk__in=[row.pk for row in listed], presence=Presence.PRESENT).update(
        presence=Presence.MISSING, missing_since=timezone.now(), told_at=timezone.now()
    )
    return listed


def _adopt(provider: Provider, record: VmRecord, asked_at: datetime) -> VirtualMachine:
    row = VirtualMachine(provider=provider, project=unassigned_project(), description=record.description)
    _update(row, record)
    row.fingerprint, row.told_at = _told(provider.pk, record).fingerprint, asked_at
    return row


@transaction.atomic
def forget(provider: Provider, external_id: str) -> None:
    """The provider says that the machine is gone: it was deleted there, or by a job of ours that will say so itself."""
    gone = VirtualMachine.objects.filter(provider=provider, external_id=external_id, presence=Presence.PRESENT)
    publish_many([News(row.subject, row.project_id) for row in _mark_missing(set(gone.values_list("pk", flat=True)))])


@transaction.atomic
def move(row: VirtualMachine, provider: Provider, record: VmRecord) -> None:
    """The machine is at another provider now: its row goes with it, with project, notes and history.

    A sync of that provider may have found the machine before: what it wrote down makes room.
    """
    found = VirtualMachine.objects.filter(provider=provider, external_id=record.external_id).exclude(pk=row.pk)
    publish_many([News(other.subject, other.project_id, "gone") for other in found.only("uuid", "project_id")])
    found.update(external_id="", presence=Presence.DELETED)
    image = provider.images.filter(name=row.image.name, missing_since=None).first() if row.image else None
    VirtualMachine.objects.filter(pk=row.pk).update(
        provider=provider,
        external_id=record.external_id,
        presence=Presence.PRESENT,
        missing_since=None,
        image=image,
        fingerprint="",
        told_at=None,
    )
    apply(provider, [record])
    publish(row.subject, project_id=row.project_id)
