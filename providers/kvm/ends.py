"""The two ends of a migration: what the target must have, what both see, and leaving the host that a VM was on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

from providers.base import Conflict, NotFound, VmRecord
from providers.kvm import storage
from providers.kvm.creation import attempt
from providers.kvm.deletion import Deletion
from providers.kvm.inventory import Inventory
from providers.kvm.layers import Layers
from providers.kvm.machines import KvmMachines
from providers.kvm.native import libvirt
from providers.kvm.ownership import note_of, write_note
from providers.kvm.part import Part
from providers.kvm.xml.build import read
from providers.kvm.xml.domain_reader import SeenMachine

INACTIVE = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE

#: In the note of a VM that is complete at the target and not yet gone here.
ARRIVING = "kvweb:arriving"
#: In the note of a VM on its way that starts with its host: libvirt keeps that beside its document, so it stays behind.
AUTOSTART = "kvweb:autostart"


class There(Part):
    """The other end."""

    def record(self, domain: Any) -> VmRecord:
        Inventory.of(self.connection).forget(domain.UUIDString())
        return KvmMachines(self.connection, self.config).record(domain)

    def pool_for(self, name: str) -> Any:
        """The pool with this name, else the one for disks; it must keep files."""
        try:
            found = self.any_pool(name) if name else None
        except NotFound:
            found = None
        if found is None or not found.isActive() or storage.pool_type(found) not in storage.FILE_POOLS:
            found = self.pool("")
        if storage.pool_type(found) not in storage.FILE_POOLS:
            raise Conflict("The target has no storage pool that keeps files.", field="target")
        return found

    def settle(self, domain: Any) -> None:
        """Bring about what its marks say that is still to do, and forget that it was on its way; twice is fine."""
        known = note_of(domain)
        marks = {name for name, _ in known.values} & {ARRIVING, AUTOSTART}
        if AUTOSTART in marks:
            domain.setAutostart(1)
        if marks:
            values = tuple(pair for pair in known.values if pair[0] not in marks)
            write_note(domain, replace(known, values=values))

    @property
    def migration_uri(self) -> str:
        """Where the other hypervisor reaches this one; empty leaves it to libvirt, which takes the host's own name."""
        host = self.config.migration_host or ("" if self.config.is_local else self.config.host)
        return f"tcp:[{host}]" if ":" in host else f"tcp:{host}" if host else ""


def is_shared(here: Part, there: Part, path: str) -> bool:
    """Whether both hosts see this very file at this path."""
    volume, other = _layers(here).volume_at(path), _layers(there).volume_at(path)
    if volume is None or other is None:
        return False
    return is_same_storage(volume.storagePoolLookupByVolume(), other.storagePoolLookupByVolume())


def is_same_storage(pool: Any, other: Any) -> bool:
    """Whether two pools of two hosts are the same files.

    Equal names and paths prove nothing: two hosts often keep the same images at the same places. So something new is
    put into the one, and looked for in the other.
    """
    name = f"kvweb-{uuid4().hex[:12]}.mark"
    mark = storage.blank(pool, name=name, capacity=512, format_="raw")
    try:
        storage.refreshed(other)
        return name in other.listVolumes()
    finally:
        storage.remove(mark)
        storage.refreshed(other)


def shares_any(here: Part, there: Part, paths: Iterable[str]) -> bool:
    """Whether both hosts see one of these files: then nothing here may be removed that the VM has there."""
    return any(is_shared(here, there, path) for path in paths)


def leave(here: Part, domain: Any, machine: SeenMachine, *, keep: bool = False) -> None:
    """Take a stopped VM away here, with its own disks unless they stay where they are."""
    domain.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
    Inventory.of(here.connection).forget(machine.uuid)
    attempt(partial(clear, here, machine, keep=keep))


def clear(here: Part, machine: SeenMachine, *, keep: bool) -> None:
    """Remove what the VM owned here."""
    Inventory.of(here.connection).forget(machine.uuid)
    if not keep:
        Deletion(here.connection, here.config).remove_own(machine)


def is_moving(domain: Any) -> bool:
    """Whether libvirt is just carrying the running VM away, whoever asked for it."""
    operation = domain.jobStats(0).get(libvirt.VIR_DOMAIN_JOB_OPERATION)
    return bool(operation == libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT)


def host_uuid(raw: Any) -> str:
    return (read(raw.getCapabilities()).findtext("host/uuid") or "").strip()


def _layers(part: Part) -> Layers:
    return Layers(part.connection, part.config)
