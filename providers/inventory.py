"""Comparing what a provider told with our rows: write only what differs. Every app's inventory.apply is built on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from django.db.models import Model, QuerySet
from django.utils import timezone

M = TypeVar("M", bound=Model)
R = TypeVar("R")


@dataclass
class Outcome(Generic[M]):
    """What a comparison found and wrote."""

    created: list[M] = field(default_factory=list)
    changed: list[M] = field(default_factory=list)
    missing: list[M] = field(default_factory=list)


def reconcile(
    rows: QuerySet[M],
    records: Iterable[R],
    *,
    key: Callable[[R], str],
    values: Callable[[R], Mapping[str, Any]],
    make: Callable[[R], M],
    is_complete: bool = True,
) -> Outcome[M]:
    """Bring `rows` (those of one provider) in line with `records`.

    New records become rows by `make`, differing columns are written with one bulk_update, and, when the records are
    complete, rows that were not told get `missing_since`; they are kept. Two queries when nothing changed.
    """
    outcome: Outcome[M] = Outcome()
    known: dict[str, Any] = {row.external_id: row for row in rows}  # type: ignore[attr-defined]
    written: set[str] = set()
    told: set[str] = set()
    for record in records:
        told.add(key(record))
        row = known.get(key(record))
        if row is None:
            outcome.created.append(make(record))
            continue
        wanted = {**values(record), "missing_since": None}
        differing = [name for name, value in wanted.items() if getattr(row, name) != value]
        if differing:
            for name in differing:
                setattr(row, name, wanted[name])
            written.update(differing)
            outcome.changed.append(row)
    if is_complete:
        now = timezone.now()
        for external_id, row in known.items():
            if external_id not in told and row.missing_since is None:
                row.missing_since = now
                written.add("missing_since")
                outcome.missing.append(row)
    model = rows.model
    if outcome.created:
        model._default_manager.bulk_create(outcome.created)
    if written:
        model._default_manager.bulk_update([*outcome.changed, *outcome.missing], sorted(written), batch_size=200)
    return outcome
