"""Network cards of simulated VMs; everything works on a running VM too."""

from __future__ import annotations

from providers.base import (
    AlreadyExists,
    Conflict,
    NetworkMode,
    NicChange,
    Nics,
    NicSpec,
    NotFound,
    OutOfCapacity,
    VmRecord,
)
from providers.fake.addresses import lease, plug, unplug
from providers.fake.cards import check_card
from providers.fake.cloud import Part
from providers.fake.records import vm_record
from providers.fake.state import Network, Nic, Vm
from providers.fake.store import Transaction
from providers.fake.vms import saved, vm_of

#: Below those of load balancers.
PUBLIC_ADDRESSES = tuple(f"203.0.113.{last}" for last in range(1, 200))


def nic_of(vm: Vm, nic_id: str) -> Nic:
    for nic in vm.nics:
        if nic.id == nic_id:
            return nic
    raise NotFound(f"“{vm.name}” has no network card “{nic_id}”.")


class FakeNics(Part, Nics):
    def add(self, external_id: str, nic: NicSpec) -> VmRecord:
        with self.cloud.writing("nics.add", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            mac = nic.mac.lower()
            if any((old.mac, old.network) == (mac, nic.network) for old in vm.nics):
                return vm_record(tx, vm, self.cloud.config.lease_s)
            if mac:
                _refuse_taken(tx, mac)
            vm.nics.append(plug(tx, nic, {taken.id for taken in vm.nics}))
            return saved(self.cloud, tx, vm, "card added")

    def remove(self, external_id: str, nic_id: str) -> VmRecord:
        with self.cloud.writing("nics.remove", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            nic = nic_of(vm, nic_id)
            vm.nics.remove(nic)
            unplug(tx, nic)
            return saved(self.cloud, tx, vm, "card removed")

    def update(self, external_id: str, nic_id: str, change: NicChange) -> VmRecord:
        """All at once. In another network the card gets an address of that one."""
        with self.cloud.writing("nics.update", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            nic = nic_of(vm, nic_id)
            check_card(model=change.model, filter_=change.filter)
            if change.network is not None and change.network != nic.network:
                _move(tx, nic, tx.get(Network, change.network))
            nic.model = change.model or nic.model
            nic.filter = nic.filter if change.filter is None else change.filter
            nic.isolated = nic.isolated if change.isolated is None else change.isolated
            nic.vlan = nic.vlan if change.vlan is None else change.vlan or None
            nic.is_linked = nic.is_linked if change.is_linked is None else change.is_linked
            return saved(self.cloud, tx, vm, "card changed")

    def give_public_address(self, external_id: str, nic_id: str) -> VmRecord:
        """The lowest free one of a small range."""
        with self.cloud.writing("nics.give_public_address", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            nic = nic_of(vm, nic_id)
            if nic.public_address:
                return vm_record(tx, vm, self.cloud.config.lease_s)
            if tx.get(Network, nic.network).mode is NetworkMode.ISOLATED:
                raise Conflict("The card's network leads nowhere.")
            taken = {card.public_address for each in tx.all(Vm) for card in each.nics}
            free = (address for address in PUBLIC_ADDRESSES if address not in taken)
            nic.public_address = next(free, "")
            if not nic.public_address:
                raise OutOfCapacity("There is no public address left.")
            return saved(self.cloud, tx, vm, "address given")

    def take_public_address(self, external_id: str, nic_id: str) -> VmRecord:
        with self.cloud.writing("nics.take_public_address", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            nic = nic_of(vm, nic_id)
            if not nic.public_address:
                raise NotFound("The card has no public address.")
            nic.public_address = ""
            return saved(self.cloud, tx, vm, "address taken")


def _move(tx: Transaction, nic: Nic, other: Network) -> None:
    if not other.is_active:
        raise Conflict(f"The network “{other.name}” is switched off.", field="network")
    unplug(tx, nic)
    nic.network, nic.is_fixed = other.id, False
    nic.address = lease(other, nic.mac)
    tx.put(other)


def _refuse_taken(tx: Transaction, mac: str) -> None:
    for vm in tx.all(Vm):
        if any(nic.mac == mac for nic in vm.nics):
            raise AlreadyExists(f"“{vm.name}” has a card with this MAC already.", field="mac")
