"""Taking a moment of a VM and going back to it: shape, disks and their content, and memory when it was kept."""

from __future__ import annotations

from providers.base import Conflict, NotFound, PowerState
from providers.fake.state import Disk, Nic, SavedVolume, Snapshot, Vm, Volume
from providers.fake.store import Transaction


def take(tx: Transaction, vm: Vm, name: str, *, description: str, memory: bool, external: bool = False) -> Snapshot:
    """Add a snapshot to the document of the VM; the caller stores it."""
    made = Snapshot(
        name=name,
        description=description,
        created_at=tx.now,
        parent=vm.current_snapshot,
        has_memory=memory,
        is_external=external,
        power=vm.power if memory else PowerState.STOPPED,
        vcpus=vm.vcpus,
        memory_mib=vm.memory_mib,
        disks=[disk.model_copy() for disk in vm.disks],
        volumes=[_saved(tx.get(Volume, disk.volume)) for disk in vm.disks if disk.volume],
    )
    vm.snapshots.append(made)
    vm.current_snapshot = name
    return made


def _saved(volume: Volume) -> SavedVolume:
    return SavedVolume(volume=volume.id, size_gib=volume.size_gib, content=volume.content)


def restore(tx: Transaction, vm: Vm, snapshot: Snapshot) -> None:
    """Put the VM and its volumes back as they were; raises Conflict when a disk of then is gone."""
    for saved in snapshot.volumes:
        try:
            volume = tx.get(Volume, saved.volume)
        except NotFound as exc:
            raise Conflict("A disk of this snapshot does not exist any more.") from exc
        volume.size_gib, volume.content = saved.size_gib, saved.content
        tx.put(volume)
    vm.vcpus, vm.memory_mib = snapshot.vcpus, snapshot.memory_mib
    vm.disks = [disk.model_copy() for disk in snapshot.disks]
    vm.power, vm.then = snapshot.power, None
    if snapshot.has_memory:
        vm.booted_at = tx.now
    vm.current_snapshot = snapshot.name


def remove(vm: Vm, snapshot: Snapshot) -> None:
    """Take a snapshot out of the tree: its children become its parent's."""
    vm.snapshots.remove(snapshot)
    for child in vm.snapshots:
        if child.parent == snapshot.name:
            child.parent = snapshot.parent
    if vm.current_snapshot == snapshot.name:
        vm.current_snapshot = snapshot.parent


def copy_of_nics(nics: list[Nic], macs: list[str], addresses: list[str]) -> list[Nic]:
    """The same cards with identities of their own."""
    return [
        nic.model_copy(update={"mac": mac, "address": address, "is_fixed": False})
        for nic, mac, address in zip(nics, macs, addresses, strict=True)
    ]


def keeps(vm: Vm, volume_id: str) -> bool:
    """Whether a snapshot of the VM needs the volume."""
    return any(saved.volume == volume_id for snapshot in vm.snapshots for saved in snapshot.volumes)


def first_disk(vm: Vm) -> Disk | None:
    return next((disk for disk in vm.disks if disk.volume), None)
