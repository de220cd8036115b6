"""Migration between simulated clouds: the VM is written there complete, and only then forgotten here."""

from __future__ import annotations

from typing import TypeVar

from providers.base import (
    QUIET,
    Conflict,
    Driver,
    EventTopic,
    InvalidRequest,
    Migration,
    PowerState,
    Progress,
    VmRecord,
)
from providers.fake import vms
from providers.fake.addresses import lease
from providers.fake.blocks import check_pool_room
from providers.fake.cloud import Cloud, Part, forget_vm
from providers.fake.records import vm_record
from providers.fake.state import Disk, Flavor, Image, Network, Nic, Pool, Thing, Vm, Volume
from providers.fake.store import Transaction

T = TypeVar("T", bound=Thing)


class FakeMigration(Part, Migration):
    """A VM with the same portal_uuid at the target was moved by an earlier run: what is left is to forget it here.

    Two clouds share a pool when both have one with this name and path.
    """

    def migrate(
        self,
        external_id: str,
        target: Driver,
        *,
        live: bool = True,
        copy_storage: bool = False,
        progress: Progress = QUIET,
    ) -> VmRecord:
        """Takes `create_s`."""
        there = self._cloud_of(target)
        with self.cloud.reading("migration.migrate", vm=external_id) as tx:
            vm = vms.vm_of(tx, external_id)
            if vm.snapshots:
                raise Conflict("Delete its snapshots first: they cannot travel.")
            if not vm.is_stopped and not live:
                raise Conflict("Stop the VM first, or move it while it runs.")
            if not vm.is_stopped and vm.power is not PowerState.RUNNING:
                raise Conflict("Only a running or a stopped VM can be moved.")
            volumes = {disk.volume: tx.get(Volume, disk.volume) for disk in vm.disks if disk.volume}
            pools = {volume.pool: tx.get(Pool, volume.pool) for volume in volumes.values()}
            networks = {nic.network: tx.get(Network, nic.network) for nic in vm.nics}
            image = tx.get(Image, vm.image).name if vm.image else ""
            flavor = tx.get(Flavor, vm.flavor).name if vm.flavor else ""
        progress.report(20, "Copying the disks." if copy_storage else "Moving the machine.")
        self.cloud.wait(self.cloud.config.create_s, progress)
        with there.writing("migration.migrate:half", progress=progress) as tx:
            moved = next((each for each in tx.all(Vm) if vm.portal_uuid and each.portal_uuid == vm.portal_uuid), None)
            if moved is None:
                vms.check_name(tx, vm.name)
                moved = _arrived(tx, vm, image=image, flavor=flavor)
                vms.check_room(there, tx, vcpus=vm.vcpus, memory_mib=vm.memory_mib)
                moved.disks = [_disk(tx, disk, volumes, pools, moved, copy_storage=copy_storage) for disk in vm.disks]
                moved.nics = [_nic(tx, nic, networks[nic.network]) for nic in vm.nics]
                vms.saved(there, tx, moved, "migrated in")
            record = vm_record(tx, moved, there.config.lease_s)
        progress.report(95, "Removing it here.")
        with self.cloud.writing("migration.migrate:end") as tx:
            forget_vm(tx, external_id)
        progress.report(100, "Moved.")
        return record

    def discard(self, external_id: str, target: Driver) -> bool:
        there = self._cloud_of(target)
        with self.cloud.reading("migration.discard", vm=external_id) as tx:
            vm = next((each for each in tx.all(Vm) if each.id == external_id), None)
        if vm is None:
            # It went as the last step of its move, and leaves nothing.
            return False
        portal_uuid = vm.portal_uuid
        with there.writing("migration.discard") as tx:
            left = [vm.id for vm in tx.all(Vm) if portal_uuid and vm.portal_uuid == portal_uuid]
            for each in left:
                forget_vm(tx, each)
        return bool(left)

    def _cloud_of(self, target: Driver) -> Cloud:
        there = getattr(target, "cloud", None)
        if not isinstance(there, Cloud):
            raise InvalidRequest("A VM can only move to a provider of the same kind.", field="target")
        mine, other = self.cloud.config.path, there.config.path
        if there is self.cloud or (mine and mine == other):
            raise InvalidRequest("It is there already: choose another provider.", field="target")
        return there


def _arrived(tx: Transaction, vm: Vm, *, image: str, flavor: str) -> Vm:
    """The VM's document for the target, without what is plugged in; image and flavor by their names there."""
    its_image, its_flavor = _called(tx.all(Image), image), _called(tx.all(Flavor), flavor)
    changes = {
        "id": f"vm-{tx.next_number('vm')}",
        "image": its_image.id if its_image else "",
        "flavor": its_flavor.id if its_flavor else "",
        "firewalls": [],
    }
    return vm.model_copy(deep=True, update=changes)


def _disk(
    tx: Transaction,
    disk: Disk,
    volumes: dict[str, Volume],
    pools: dict[str, Pool],
    moved: Vm,
    *,
    copy_storage: bool,
) -> Disk:
    """The disk with its volume at the target; an ISO stays where it is, so its drive is empty there."""
    if not disk.volume:
        return disk.model_copy(update={"image": ""})
    volume = volumes[disk.volume]
    old = pools[volume.pool]
    pool = _called(tx.all(Pool), old.name)
    if not copy_storage and (pool is None or pool.path != old.path):
        raise Conflict(f"The target does not have the storage pool “{old.name}”; copy the disks.", field="target")
    if pool is None:
        pool = next(iter(tx.all(Pool)), None)
    if pool is None:
        raise Conflict("The target has no storage pool.", field="target")
    check_pool_room(tx, pool, size_gib=volume.size_gib, allocation_gib=volume.allocation_gib)
    copy = volume.model_copy(
        update={
            "id": f"vol-{tx.next_number('volume')}",
            "pool": pool.id,
            "owner": moved.id,
            # It arrives with all its content: what it built on stays behind.
            "backing": "",
        }
    )
    tx.put(copy)
    tx.note(EventTopic.POOL, copy.pool, "volume created")
    return disk.model_copy(update={"volume": copy.id})


def _nic(tx: Transaction, nic: Nic, old: Network) -> Nic:
    """The card with its MAC, on the target's network of the same name."""
    network = _called(tx.all(Network), old.name)
    if network is None:
        raise Conflict(f"The target has no network “{old.name}”.", field="target")
    address = nic.address if nic.is_fixed else lease(network, nic.mac)
    tx.put(network)
    return nic.model_copy(update={"network": network.id, "address": address})


def _called(things: list[T], name: str) -> T | None:
    return next((each for each in things if each.name == name), None)
