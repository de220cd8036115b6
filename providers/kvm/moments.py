"""A VM's snapshots as the portal's records."""

from __future__ import annotations

from typing import Any

from providers.base import PowerState, SnapshotRecord
from providers.kvm.errors import has_code
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.qcow2 import memory_of_snapshots
from providers.kvm.xml.snapshots import SeenSnapshot, read_snapshot

#: Words of libvirt's documents for a state; a disk alone is what a VM finds that was switched off hard.
_POWER = {
    "running": PowerState.RUNNING,
    "paused": PowerState.PAUSED,
    "shutoff": PowerState.STOPPED,
    "disk-snapshot": PowerState.STOPPED,
}


def snapshot_records(domain: Any) -> tuple[SnapshotRecord, ...]:
    """All snapshots, the oldest first; one call when there are none, else one for each and three more."""
    if not domain.snapshotNum(0):
        return ()
    raw = domain.connect()
    current = domain.snapshotCurrent(0).getName() if domain.hasCurrentSnapshot(0) else ""
    seen = {each.name: each for each in (read_snapshot(each.getXMLDesc(0)) for each in domain.listAllSnapshots(0))}

    def age(each: SeenSnapshot) -> tuple[float, int, str]:
        # Times are whole seconds, so a child may be as old as its parent.
        depth, parent = 0, each.parent
        while parent in seen and depth < len(seen):
            depth, parent = depth + 1, seen[parent].parent
        return each.created_at.timestamp() if each.created_at else 0.0, depth, each.name

    ordered = sorted(seen.values(), key=age)
    return tuple(_record(raw, each, is_current=each.name == current) for each in ordered)


def _record(raw: Any, seen: SeenSnapshot, *, is_current: bool) -> SnapshotRecord:
    return SnapshotRecord(
        external_id=seen.name,
        name=seen.name,
        description=seen.description,
        created_at=seen.created_at,
        parent=seen.parent or None,
        is_current=is_current,
        has_memory=seen.has_memory,
        power=_POWER.get(seen.state, PowerState.UNKNOWN),
        size_bytes=_bytes_of(raw, seen),
        is_external=seen.is_external,
    )


def _bytes_of(raw: Any, seen: SeenSnapshot) -> int | None:
    """The files that an external snapshot keeps, or the memory of one inside a disk, whose share of that is untold."""
    try:
        volumes = [raw.storageVolLookupByPath(path) for path in seen.files.values()]
        if seen.is_external:
            return sum(int(volume.info()[2]) for volume in volumes)
        if seen.has_memory:
            return sum(memory_of_snapshots(raw, volume).get(seen.name, 0) for volume in volumes) or None
    except LibvirtError as exc:
        if not has_code(exc, libvirt.VIR_ERR_NO_STORAGE_VOL):
            raise
    return None
