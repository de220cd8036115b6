"""Pools: the datacenter's datastores. They are made and taken away at the hosts, not here."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import NotFound, NotSupported, PoolRecord, Pools, PoolSpec
from providers.vsphere.datastores import stores
from providers.vsphere.errors import vendor_calls
from providers.vsphere.native import vim
from providers.vsphere.part import Part
from providers.vsphere.properties import Found

_GIB = 1024**3


class VspherePools(Part, Pools):
    def list(self) -> Sequence[PoolRecord]:
        with vendor_calls():
            return [_record(found) for found in stores(self.connection)]

    def refresh(self, external_id: str) -> PoolRecord:
        with vendor_calls():
            self._one(external_id)
            self.connection.object(vim.Datastore, external_id).RefreshDatastore()
            return _record(self._one(external_id))

    def _one(self, external_id: str) -> Found:
        for found in stores(self.connection):
            if found.id == external_id:
                return found
        raise NotFound("There is no such datastore any more.")

    def create(self, spec: PoolSpec) -> PoolRecord:
        raise NotSupported("Datastores are made in vCenter.")

    def delete(self, external_id: str, *, with_volumes: bool = False) -> None:
        raise NotSupported("Datastores are taken away in vCenter.")

    def update(self, external_id: str, *, active: bool | None = None, autostart: bool | None = None) -> PoolRecord:
        raise NotSupported("Datastores are switched on and off in vCenter.")


def _record(found: Found) -> PoolRecord:
    capacity = int(found.text("summary.capacity") or 0) / _GIB
    free = min(int(found.text("summary.freeSpace") or 0) / _GIB, capacity)
    return PoolRecord(
        external_id=found.id,
        name=found.text("name"),
        type=found.text("summary.type").lower(),
        path=found.text("summary.url"),
        is_active=found.is_true("summary.accessible"),
        capacity_gib=capacity,
        allocation_gib=capacity - free,
        available_gib=free,
    )
