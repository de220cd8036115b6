"""Lifecycle: list, read, create, delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from providers.base import QUIET, GuestRecord, Machines, NotFound, PowerState, Progress, VmRecord, VmSpec
from providers.kvm import addresses, agent, creation, deletion
from providers.kvm.errors import vendor_calls
from providers.kvm.inventory import Inventory, Known, Standing
from providers.kvm.moments import snapshot_records
from providers.kvm.part import Part
from providers.kvm.records import Seen, power_of, vm_record


class KvmMachines(Part, Machines):
    """A VM's identity is its libvirt uuid, which is the portal's own where that is a uuid."""

    def list(self) -> Sequence[VmRecord]:
        """All VMs: two calls for states, one for each network while any VM runs, documents only of what changed."""
        with vendor_calls():
            inventory = Inventory.of(self.connection)
            everything = inventory.everything()
            autostart = inventory.autostarting()
            leases = addresses.leases(self.raw) if any(vm.is_active for vm, _ in everything) else {}
            pools = inventory.pools()
        return [_listed(vm, known, vm.uuid in autostart, leases, pools) for vm, known in everything]

    def get(self, external_id: str) -> VmRecord:
        """One VM, read anew with the addresses that its agent and the ARP table know; up to a second for an agent."""
        with vendor_calls():
            return self.record(self.domain(external_id))

    def guest(self, external_id: str) -> GuestRecord:
        """What the guest agent tells, in one call of libvirt's."""
        with vendor_calls():
            return agent.ask(self.domain(external_id))

    def find(self, name: str) -> VmRecord:
        with vendor_calls():
            domain = self.domain_named(name)
            if domain is None:
                raise NotFound(f"There is no VM called “{name}”.")
            return self.record(domain)

    def create(self, spec: VmSpec, progress: Progress = QUIET) -> VmRecord:
        with vendor_calls():
            domain = creation.Creation(self.connection, self.config).run(spec, progress)
            record = self.record(domain)
        progress.report(100, "Done")
        return record

    def delete(
        self,
        external_id: str,
        *,
        keep_disks: bool = False,
        with_snapshots: bool = False,
        progress: Progress = QUIET,
    ) -> None:
        with vendor_calls():
            deletion.Deletion(self.connection, self.config).run(
                external_id, keep_disks=keep_disks, with_snapshots=with_snapshots, progress=progress
            )

    def discard(self, portal_uuid: str) -> bool:
        """Remove the volumes that a create left when its worker died; never those that a VM uses."""
        with vendor_calls():
            return deletion.Deletion(self.connection, self.config).discard(portal_uuid)

    def record(self, domain: Any) -> VmRecord:
        """The record of a domain that is at hand; inside `vendor_calls()`."""
        inventory = Inventory.of(self.connection)
        known = inventory.one(domain)
        state, reason = domain.state()
        running = power_of(state)[0] is PowerState.RUNNING
        record = vm_record(
            Seen(
                machine=known.machine,
                state=state,
                reason=reason,
                autostart=bool(domain.autostart()) if domain.isPersistent() else False,
                sizes=known.sizes,
                addresses=addresses.of_one(domain, known.machine) if running else {},
                pools=inventory.pools(),
            )
        )
        return replace(record, snapshots=snapshot_records(domain))


def _listed(
    vm: Standing, known: Known, autostart: bool, leases: addresses.Addresses, pools: Mapping[str, str]
) -> VmRecord:
    """The record for a list; the same object again while nothing has changed."""
    # A lease outlives the VM's run, and what is off has no address.
    given = tuple(leases.get(card.mac) for card in known.machine.cards) if vm.is_active else ()
    made_from = (vm.state, vm.reason, autostart, given, pools)
    if known.record is None or known.made_from != made_from:
        known.record = vm_record(
            Seen(
                machine=known.machine,
                state=vm.state,
                reason=vm.reason,
                autostart=autostart,
                sizes=known.sizes,
                addresses=leases if vm.is_active else {},
                pools=pools,
            )
        )
        known.made_from = made_from
    return known.record
