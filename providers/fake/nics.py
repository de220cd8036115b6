"""Network cards of simulated VMs; everything works on a running VM too."""

from __future__ import annotations

from providers.base import Nics, NicSpec, NotFound, VmRecord
from providers.fake.addresses import lease, plug, unplug
from providers.fake.cloud import Part
from providers.fake.state import Network, Nic, Vm
from providers.fake.vms import saved, vm_of


def nic_of(vm: Vm, nic_id: str) -> Nic:
    for nic in vm.nics:
        if nic.id == nic_id:
            return nic
    raise NotFound(f"“{vm.name}” has no network card “{nic_id}”.")


class FakeNics(Part, Nics):
    def add(self, external_id: str, nic: NicSpec) -> VmRecord:
        with self.cloud.writing("nics.add", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            vm.nics.append(plug(tx, nic, {taken.id for taken in vm.nics}))
            return saved(self.cloud, tx, vm, "card added")

    def remove(self, external_id: str, nic_id: str) -> VmRecord:
        with self.cloud.writing("nics.remove", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            nic = nic_of(vm, nic_id)
            vm.nics.remove(nic)
            unplug(tx, nic)
            return saved(self.cloud, tx, vm, "card removed")

    def change_network(self, external_id: str, nic_id: str, network: str) -> VmRecord:
        """The card keeps its MAC and gets an address of the other network."""
        with self.cloud.writing("nics.change_network", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            nic = nic_of(vm, nic_id)
            other = tx.get(Network, network)
            if other.id != nic.network:
                unplug(tx, nic)
                nic.network, nic.is_fixed = other.id, False
                nic.address = lease(other, nic.mac)
                tx.put(other)
            return saved(self.cloud, tx, vm, "card moved")
