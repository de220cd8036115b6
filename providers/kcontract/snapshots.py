"""Snapshots: heading 1.4 of the contract. `name` is the snapshot, `base` the VM."""

from __future__ import annotations

from providers.base import Conflict
from providers.kcontract.core import Core, Result, changes


class Snapshots(Core):
    """Moments of a VM."""

    @changes
    def create_snapshot(self, name: str, base: str) -> Result | None:
        """With memory where the VM runs and the provider can keep it; as layers where the VM allows nothing else."""
        snapshots, vm = self.facet(self.driver.snapshots, "snapshots"), self.vm(base)
        can = self.can.snapshots
        memory = bool(can and can.memory and vm.power == "running")
        try:
            snapshots.create(vm.external_id, name, memory=memory)
        except Conflict:
            if can is None or not can.external:
                raise
            snapshots.create(vm.external_id, name, external=True)
        return None

    @changes
    def delete_snapshot(self, name: str, base: str) -> Result | None:
        self.facet(self.driver.snapshots, "snapshots").delete(self.vm(base).external_id, name)
        return None

    @changes
    def revert_snapshot(self, name: str, base: str) -> Result | None:
        self.facet(self.driver.snapshots, "snapshots").revert(self.vm(base).external_id, name)
        return None

    def list_snapshots(self, base: str) -> list[str]:
        """Names, the oldest first; empty for a VM that is not there or a provider without snapshots."""
        vm = self.vm_or_none(base)
        if vm is None or self.driver.snapshots is None:
            return []
        return [snapshot.name for snapshot in self.driver.snapshots.list(vm.external_id)]
