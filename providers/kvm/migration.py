"""Migration: a VM moves to another hypervisor, running (libvirt carries memory and disks) or stopped (we do)."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from providers.base import QUIET, AlreadyExists, Driver, InvalidRequest, Migration, NotFound, Progress, VmRecord
from providers.kvm import storage
from providers.kvm.config import KvmConfig
from providers.kvm.connection import Connection
from providers.kvm.consoles import KvmConsoles
from providers.kvm.creation import mark_of, owner_mark
from providers.kvm.deletion import Deletion
from providers.kvm.ends import ARRIVING, There, host_uuid, is_moving, is_same_storage, leave, shares_any
from providers.kvm.errors import has_code, vendor_calls
from providers.kvm.inventory import Inventory
from providers.kvm.layers import Layers
from providers.kvm.native import LibvirtError, libvirt
from providers.kvm.part import Part
from providers.kvm.trip import Trip
from providers.kvm.xml.domain_reader import SeenMachine, read_machine

#: Between the end of a VM here and that of its definition.
_LEAVING_S = 0.5


class KvmMigration(Part, Migration):
    def migrate(
        self,
        external_id: str,
        target: Driver,
        *,
        live: bool = True,
        copy_storage: bool = False,
        progress: Progress = QUIET,
    ) -> VmRecord:
        """Disks that are copied stand alone at the target, whatever they build on here; its MACs and its uuid stay.

        An installer that lies in a drive is found at the target by its path or name, else the drive is empty there.
        """
        there = self._other(target)
        with vendor_calls():
            domain = self.domain_or_none(external_id)
            arrived = there.domain_or_none(external_id)
            if domain is None and arrived is not None:
                # An earlier run moved it and died before it had tidied up.
                self._tidy(there, read_machine(arrived.XMLDesc(0)))
                there.settle(arrived)
                return there.record(arrived)
            if domain is None:
                raise NotFound("The VM does not exist any more.", external_id)
            machine = read_machine(domain.XMLDesc(0))
            if arrived is not None:
                return self._finished(domain, machine, there, arrived)
            trip = Trip(self, there, domain, machine, copy_storage=copy_storage, progress=progress)
            trip.check(live=live)
            progress.checkpoint()
            # QEMU would take a SPICE viewer along, to where nobody stands for it.
            KvmConsoles(self.connection, self.config).close_viewer(external_id)
            record = trip.run()
            KvmConsoles(there.connection, there.config).close_viewer(external_id)
        progress.report(100, "Done")
        return record

    def discard(self, external_id: str, target: Driver) -> bool:
        """Where it is here: a copy that was arriving, and volumes at the target that bear its mark; none in a pool that
        is the storage of a disk that it has here. Where it is there: what it owned here.
        """
        there = self._other(target)
        with vendor_calls():
            domain = self.domain_or_none(external_id)
            arrived = there.domain_or_none(external_id)
            if domain is None and arrived is not None:
                there.settle(arrived)
                return self._tidy(there, read_machine(arrived.XMLDesc(0)))
            if domain is None or (arrived is not None and not self._is_arriving(arrived)):
                return False
            if arrived is not None:
                # Complete there, but it is here that it lives: it leaves here before anything of it does.
                arrived.undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)
                Inventory.of(there.connection).forget(external_id)
            machine = read_machine(domain.XMLDesc(0))
            layers = Layers(self.connection, self.config)
            volumes = [layers.volume_at(drive.source) for drive in machine.drives if drive.source]
            pools = {pool.name(): pool for pool in (v.storagePoolLookupByVolume() for v in volumes if v is not None)}
            mark = mark_of(UUID(machine.uuid))
            left = []
            for pool in there.active_pools():
                marked = [each for each in storage.volumes_of(pool) if owner_mark(each.name()) == mark]
                if marked and not any(is_same_storage(mine, pool) for mine in pools.values()):
                    left += marked
            removed = Deletion(there.connection, there.config).remove([volume.key() for volume in left])
            return removed or arrived is not None

    def is_under_way(self, external_id: str) -> bool:
        with vendor_calls():
            domain = self.domain_or_none(external_id)
            try:
                if domain is not None and not domain.isActive():
                    # One that has just arrived over there is still defined here for a moment.
                    time.sleep(_LEAVING_S)
                    return False
                return domain is not None and is_moving(domain)
            except LibvirtError as exc:
                if has_code(exc, libvirt.VIR_ERR_NO_DOMAIN):
                    return False
                if has_code(exc, libvirt.VIR_ERR_OPERATION_INVALID):
                    # It stopped between the two questions; the next one tells.
                    return True
                raise

    def _finished(self, domain: Any, machine: SeenMachine, there: There, arrived: Any) -> VmRecord:
        """Take it away here when an earlier run had it complete at the target; raises AlreadyExists for any other."""
        if not self._is_arriving(arrived):
            raise AlreadyExists("The target has a VM with this identity already.")
        keep = shares_any(self, there, [drive.source for drive in machine.drives if drive.source])
        leave(self, domain, machine, keep=keep)
        there.settle(arrived)
        return there.record(arrived)

    def _is_arriving(self, arrived: Any) -> bool:
        """Whether a VM at the target is the work of a move from here that did not come to its end."""
        told = dict(read_machine(arrived.XMLDesc(0)).note.values).get(ARRIVING)
        return told == self.raw.getHostname() and not arrived.isActive()

    def _tidy(self, there: There, machine: SeenMachine) -> bool:
        """Remove what the VM that lives there left here, unless that is what it has there; True when there was some."""
        if shares_any(self, there, [drive.source for drive in machine.drives if drive.source]):
            return False
        return Deletion(self.connection, self.config).discard(machine.note.portal_uuid)

    def _other(self, target: Driver) -> There:
        connection, config = getattr(target, "connection", None), getattr(target, "config", None)
        if not isinstance(connection, Connection) or not isinstance(config, KvmConfig):
            raise InvalidRequest("A VM can only move to a provider of the same kind.", field="target")
        with vendor_calls():
            if connection is self.connection or host_uuid(connection.raw) == host_uuid(self.raw):
                raise InvalidRequest("It is there already: choose another host.", field="target")
        return There(connection, config)
