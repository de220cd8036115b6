"""Snapshots of a VM as they lie at AWS: one snapshot of each of its disks, held together by tags.

Every snapshot of a set carries the VM's id, the name, and the device that its disk was. A set is complete when all of
its parts carry their device; what a broken-off job left is not, and is not listed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from providers.aws import tags
from providers.aws.cloud import Cloud
from providers.base import PowerState, SnapshotRecord

NAME = "kvweb:snapshot"
SET = "kvweb:snapshot-set"
PARENT = "kvweb:snapshot-parent"
POWER = "kvweb:snapshot-power"
SIZE = "kvweb:snapshot-flavor"
ABOUT = "kvweb:snapshot-about"
DEVICE = "kvweb:snapshot-device"
#: On the VM: the set at which it stands.
CURRENT = "kvweb:snapshot-current"


@dataclass(frozen=True, slots=True)
class Moment:
    """One set of snapshots: what can be gone back to."""

    key: str
    name: str
    parent: str
    power: PowerState
    flavor: str
    about: str
    created_at: datetime | None
    parts: Mapping[str, Mapping[str, Any]]
    """Device ("/dev/sda1") → snapshot."""
    is_complete: bool

    @property
    def snapshot_ids(self) -> list[str]:
        return [part["SnapshotId"] for part in self.parts.values()]


def read(cloud: Cloud, vm: str) -> list[Moment]:
    """All sets of one VM, oldest first, complete or not."""
    told = cloud.pages("ec2", "describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=[tags.tagged(tags.VM, vm)])
    sets: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for one in told:
        key = tags.read(one).get(SET)
        if key:
            sets[key].append(one)
    found = [_moment(key, parts) for key, parts in sets.items()]
    return sorted(found, key=lambda one: (str(one.created_at), one.key))


def _moment(key: str, parts: list[Mapping[str, Any]]) -> Moment:
    own = tags.read(parts[0])
    by_device = {tags.read(part).get(DEVICE) or f"?{number}": part for number, part in enumerate(parts)}
    try:
        power = PowerState(own.get(POWER, ""))
    except ValueError:
        power = PowerState.UNKNOWN
    times = [part["StartTime"] for part in parts if isinstance(part.get("StartTime"), datetime)]
    return Moment(
        key=key,
        name=own.get(NAME, key),
        parent=own.get(PARENT, ""),
        power=power,
        flavor=own.get(SIZE, ""),
        about=own.get(ABOUT, ""),
        created_at=min(times).astimezone(UTC) if times else None,
        parts=by_device,
        is_complete=all(DEVICE in tags.read(part) for part in parts),
    )


def records(moments: list[Moment], current: str) -> list[SnapshotRecord]:
    """Complete ones, with parents by name; a parent that was deleted hands its children to nobody."""
    names = {one.key: one.name for one in moments if one.is_complete}
    return [
        SnapshotRecord(
            external_id=one.key,
            name=one.name,
            description=one.about,
            created_at=one.created_at,
            parent=names.get(one.parent),
            is_current=one.key == current,
            power=one.power,
        )
        for one in moments
        if one.is_complete
    ]


def moments_of(cloud: Cloud, vm: str, current: str | None = None) -> list[SnapshotRecord]:
    """The snapshots of a VM; the newest is the current one unless the VM's tag says otherwise."""
    moments = [one for one in read(cloud, vm) if one.is_complete]
    if moments and not any(one.key == current for one in moments):
        current = moments[-1].key
    return records(moments, current or "")
