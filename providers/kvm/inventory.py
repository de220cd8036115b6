"""What is known about every VM of a connection, kept so that listing again costs hardly more than asking for states.

One bulk call tells which VMs there are and in what state. Everything else (cards, drives, name, size, description,
metadata) comes from each VM's document, which costs a round trip and a parse: 0.5 ms each, a second for 2000. Documents
are therefore kept, and read again when

1. an event named the VM (all changes through libvirt's own API except those to the configuration of a stopped VM
   that have no event, such as `virsh attach-device --config` or `setmem --config`),
2. it changed between running and stopped, since both have a document of their own, or the bulk call tells another name,
   number of vCPUs or memory than the document (both come at no extra cost for stopped VMs only: a running VM would be
   asked over its monitor, 4 ms each),
3. the document is older than `GOOD_FOR_S`; a fixed share per listing is read again, so no listing pays for all,
4. it was read by `get`, which always reads and refreshes what is kept.

So what has no event is stale for at most half an hour in a list, and never in `get`. In a process without events
(see `eventloop`) documents are good for `GOOD_WITHOUT_EVENTS_S` only. Which VMs start with the host is in no document:
that list is read anew with every document, and otherwise after `_AUTOSTART_GOOD_FOR_S`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from providers.base import EventTopic, ProviderError, ProviderEvent, VmRecord
from providers.kvm.connection import Connection
from providers.kvm.errors import has_code, still_there
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.xml.domain_reader import SeenDrive, SeenMachine, read_machine
from providers.kvm.xml.storage import read_pool

_log = logging.getLogger(__name__)

GOOD_FOR_S = 1800.0
GOOD_WITHOUT_EVENTS_S = 30.0
_POOLS_GOOD_FOR_S = 60.0
_AUTOSTART_GOOD_FOR_S = 300.0

#: No listing waits for a VM's monitor: a stuck QEMU must not hold up all the others.
_FLAGS = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
_ACTIVE = _FLAGS | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
_INACTIVE = _FLAGS | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_INACTIVE
_STATE = libvirt.VIR_DOMAIN_STATS_STATE
_SIZE = libvirt.VIR_DOMAIN_STATS_VCPU | libvirt.VIR_DOMAIN_STATS_BALLOON
_BLOCK = libvirt.VIR_DOMAIN_STATS_BLOCK


@dataclass(slots=True)
class Known:
    """One VM's document as it was read."""

    machine: SeenMachine
    was_active: bool
    read_at: float
    sizes: Mapping[str, int] = field(default_factory=dict)
    made_from: tuple[object, ...] = ()
    """What beside this the record was made from; a list of 2000 would spend half its time making the same again."""
    record: VmRecord | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A VM in the bulk answer."""

    domain: Any
    uuid: str
    state: int
    reason: int
    is_active: bool
    vcpus: int | None
    memory_kib: int | None


class Inventory:
    """The documents of one connection's VMs. Safe to use from several threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._known: dict[str, Known] = {}
        self._changed: set[str] = set()
        self._subscribed = False
        self._pools: tuple[float, dict[str, str]] | None = None
        self._autostart: tuple[float, frozenset[str]] | None = None

    @classmethod
    def of(cls, connection: Connection) -> Inventory:
        """The connection's own inventory."""
        return connection.remembered(cls, lambda: cls(connection))

    # -- the listener's side ----------------------------------------------------------------------------------------

    def changed(self, event: ProviderEvent) -> None:
        if event.topic is EventTopic.VM:
            self.forget(event.external_id)
        elif event.topic is EventTopic.POOL:
            self._pools = None

    def closed(self, reason: str) -> None:
        del reason
        with self._lock:
            self._known.clear()

    def forget(self, uuid: str) -> None:
        """Read this VM again at the next question."""
        with self._lock:
            self._changed.add(uuid)

    def forget_pools(self) -> None:
        """Ask for the pools' folders again at the next question."""
        self._pools = None

    # -- questions --------------------------------------------------------------------------------------------------

    def everything(self) -> list[tuple[Standing, Known]]:
        """Every VM with its state now and its document; raises libvirt's errors."""
        self._subscribe()
        standing = self._standing()
        to_read = self._to_read(standing)
        self._read_all(to_read)
        with self._lock:
            here = {vm.uuid for vm in standing}
            for uuid in self._known.keys() - here:
                del self._known[uuid]
            self._changed &= here
            return [(vm, self._known[vm.uuid]) for vm in standing if vm.uuid in self._known]

    def one(self, domain: Any) -> Known:
        """One VM, read now; raises libvirt's errors."""
        self._subscribe()
        uuid = domain.UUIDString()
        known = self._read(domain, uuid, sizes=_sizes_of(domain))
        with self._lock:
            self._known[uuid] = known
        return known

    def pools(self) -> Mapping[str, str]:
        """Folder → pool, at most a minute old."""
        found = self._pools
        if found is None or time.monotonic() - found[0] > _POOLS_GOOD_FOR_S:
            pools = self._connection.raw.listAllStoragePools()
            seen = still_there(pools, lambda pool: read_pool(pool.XMLDesc()))
            found = (time.monotonic(), {pool.path.rstrip("/"): pool.name for pool in seen if pool.path})
            self._pools = found
        return found[1]

    def autostarting(self) -> frozenset[str]:
        """The uuids of VMs that start with the host, as they were when a document was last read or a while ago."""
        found = self._autostart
        good_for = _AUTOSTART_GOOD_FOR_S if self._connection.has_events else 0.0
        if found is None or time.monotonic() - found[0] > good_for:
            domains = self._connection.raw.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)
            found = (time.monotonic(), frozenset(domain.UUIDString() for domain in domains))
            self._autostart = found
        return found[1]

    def users_of(self, *paths: str) -> dict[str, tuple[str, ...]]:
        """For each path the uuids of the VMs that have it as a drive, or below one as far as documents tell."""
        wanted = set(paths)
        found: dict[str, list[str]] = {path: [] for path in paths}
        for vm, known in self.everything():
            for drive in known.machine.all_drives:
                for path in {drive.source, *drive.backing} & wanted:
                    found[path].append(vm.uuid)
        return {path: tuple(dict.fromkeys(users)) for path, users in found.items()}

    # -- the work ---------------------------------------------------------------------------------------------------

    def _subscribe(self) -> None:
        if not self._subscribed:
            # Before the first document is read: a change in between is then an event, and not lost.
            self._connection.subscribe(self)
            self._subscribed = True

    def _standing(self) -> list[Standing]:
        raw = self._connection.raw
        active = [_standing(domain, stats, is_active=True) for domain, stats in raw.getAllDomainStats(_STATE, _ACTIVE)]
        stopped = raw.getAllDomainStats(_STATE | _SIZE, _INACTIVE)
        found = {vm.uuid: vm for vm in active}
        # A VM that stopped between the two calls is in both: the second is newer.
        found.update({vm.uuid: vm for vm in (_standing(domain, stats, is_active=False) for domain, stats in stopped)})
        with self._lock:
            missed = self._known.keys() - found.keys()
        for uuid in missed:
            # One that started between the two is in neither, which must not look like a VM that is gone.
            domain = _look_up(raw, uuid)
            if domain is not None:
                state, reason = domain.state()
                found[uuid] = Standing(domain, uuid, state, reason, bool(domain.isActive()), None, None)
        return list(found.values())

    def _to_read(self, standing: Iterable[Standing]) -> list[Standing]:
        now = time.monotonic()
        good_for = GOOD_FOR_S if self._connection.has_events else GOOD_WITHOUT_EVENTS_S
        with self._lock:
            due: list[Standing] = []
            old: list[tuple[float, Standing]] = []
            for vm in standing:
                known = self._known.get(vm.uuid)
                if known is None or vm.uuid in self._changed or _differs(vm, known):
                    due.append(vm)
                elif now - known.read_at > good_for:
                    old.append((known.read_at, vm))
            share = max(20, len(self._known) // 20) if self._connection.has_events else len(old)
            old.sort(key=lambda pair: pair[0])
            return due + [vm for _, vm in old[:share]]

    def _read_all(self, wanted: list[Standing]) -> None:
        if not wanted:
            return
        sizes = _sizes(self._connection.raw, wanted)
        for vm in wanted:
            try:
                known = self._read(vm.domain, vm.uuid, sizes.get(vm.uuid, {}))
            except (LibvirtError, ProviderError) as exc:
                if has_code(exc, libvirt.VIR_ERR_NO_DOMAIN):
                    # Deleted since the bulk call.
                    with self._lock:
                        self._known.pop(vm.uuid, None)
                    continue
                if not self._connection.is_alive:
                    raise
                # One VM that cannot be read must not hide all the others.
                _log.warning("The document of %s cannot be read: %s", vm.uuid, exc)
                bare = SeenMachine(uuid=vm.uuid, name=vm.domain.name())
                known = Known(bare, vm.is_active, time.monotonic())
            with self._lock:
                self._known[vm.uuid] = known

    def _read(self, domain: Any, uuid: str, sizes: Mapping[str, int]) -> Known:
        with self._lock:
            # Before it is read: what changes meanwhile comes back by its event.
            self._changed.discard(uuid)
            self._autostart = None
        active = domain.ID() != -1
        try:
            # A running VM starts from another document next time.
            after = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) if active else ""
            machine = placed(self._connection.raw, read_machine(domain.XMLDesc(0), after))
            return Known(machine, active, time.monotonic(), self._all_sizes(uuid, machine, sizes))
        except (LibvirtError, ProviderError):
            self.forget(uuid)
            raise

    def _all_sizes(self, uuid: str, machine: SeenMachine, told: Mapping[str, int]) -> Mapping[str, int]:
        """What the bulk call told, and for the other drives what their pools know.

        The call passes over whatever it would have to wait for, so a VM whose monitor is busy has no sizes in it.
        """
        missing = [drive for drive in machine.drives if drive.source and not told.get(drive.target)]
        if not missing:
            return told
        with self._lock:
            before = self._known.get(uuid)
        raw = self._connection.raw
        found = dict(told)
        for drive in missing:
            was_same = before is not None and any(
                (old.target, old.source) == (drive.target, drive.source) for old in before.machine.drives
            )
            size = _size_in_pool(raw, drive) or (before.sizes.get(drive.target, 0) if before and was_same else 0)
            if size:
                found[drive.target] = size
        return found


def placed(raw: Any, machine: SeenMachine) -> SeenMachine:
    """The same with paths for the drives that name a pool and a volume, as documents of other tools do."""
    if not any(drive.volume for drive in machine.all_drives):
        return machine
    drives = tuple(_with_path(raw, drive) for drive in machine.drives)
    return replace(machine, drives=drives, later_drives=tuple(_with_path(raw, each) for each in machine.later_drives))


def _with_path(raw: Any, drive: SeenDrive) -> SeenDrive:
    if not drive.volume:
        return drive
    try:
        volume = raw.storagePoolLookupByName(drive.pool).storageVolLookupByName(drive.volume)
        return replace(drive, source=volume.path())
    except LibvirtError as exc:
        _log.debug("Where %s is, is not known: %s", drive.source, exc)
        return drive


def _size_in_pool(raw: Any, drive: SeenDrive) -> int:
    """Bytes; 0 for what is in no pool that is switched on."""
    try:
        if drive.volume:
            volume = raw.storagePoolLookupByName(drive.pool).storageVolLookupByName(drive.volume)
        else:
            volume = raw.storageVolLookupByPath(drive.source)
        return int(volume.info()[1])
    except LibvirtError as exc:
        _log.debug("The size of %s is not known: %s", drive.source, exc)
        return 0


def _standing(domain: Any, stats: Mapping[str, Any], *, is_active: bool) -> Standing:
    return Standing(
        domain,
        domain.UUIDString(),
        stats.get("state.state", libvirt.VIR_DOMAIN_NOSTATE),
        stats.get("state.reason", 0),
        is_active,
        stats.get("vcpu.current"),
        stats.get("balloon.maximum"),
    )


def _differs(vm: Standing, known: Known) -> bool:
    machine = known.machine
    return (
        vm.is_active != known.was_active
        or vm.domain.name() != machine.name
        or (vm.vcpus is not None and vm.vcpus != machine.vcpus)
        or (vm.memory_kib is not None and vm.memory_kib // 1024 != machine.memory_built_in_mib)
    )


def _look_up(raw: Any, uuid: str) -> Any:
    try:
        return raw.lookupByUUIDString(uuid)
    except LibvirtError as exc:
        if has_code(exc, libvirt.VIR_ERR_NO_DOMAIN):
            return None
        raise


def _sizes(raw: Any, wanted: list[Standing]) -> dict[str, Mapping[str, int]]:
    """The drives' sizes of these VMs in one call; those that it cannot tell are left out."""
    try:
        answers = raw.domainListGetStats([vm.domain for vm in wanted], _BLOCK, _FLAGS)
    except LibvirtError as exc:
        # One of them may have gone since.
        if has_code(exc, libvirt.VIR_ERR_NO_DOMAIN):
            return {}
        raise
    return {domain.UUIDString(): _capacities(stats) for domain, stats in answers}


def _sizes_of(domain: Any) -> Mapping[str, int]:
    try:
        answers = domain.connect().domainListGetStats([domain], _BLOCK, _FLAGS)
    except LibvirtError:
        return {}
    return _capacities(answers[0][1]) if answers else {}


def _capacities(stats: Mapping[str, Any]) -> Mapping[str, int]:
    return {
        stats[f"block.{index}.name"]: stats[f"block.{index}.capacity"]
        for index in range(stats.get("block.count", 0))
        if f"block.{index}.capacity" in stats and f"block.{index}.name" in stats
    }
