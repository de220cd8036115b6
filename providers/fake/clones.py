"""Clones of simulated VMs, and images made from them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from providers.base import (
    QUIET,
    AlreadyExists,
    Clones,
    Conflict,
    EventTopic,
    ImageRecord,
    NotFound,
    Progress,
    VmRecord,
)
from providers.fake.addresses import lease, next_mac
from providers.fake.blocks import THIN_GIB, check_pool_room
from providers.fake.cloud import Part
from providers.fake.moments import first_disk
from providers.fake.records import image_record, vm_record
from providers.fake.reshape import refuse_running
from providers.fake.state import Disk, Image, Network, Nic, Pool, Vm, Volume
from providers.fake.store import Transaction
from providers.fake.vms import check_name, power_on, saved, vm_of


class FakeClones(Part, Clones):
    def clone(
        self,
        external_id: str,
        name: str,
        *,
        full: bool = False,
        start: bool = False,
        portal_uuid: str = "",
        progress: Progress = QUIET,
    ) -> VmRecord:
        """Takes `create_s`; the copy appears when it is complete."""
        with self.cloud.reading("clones.clone", vm=external_id) as tx:
            refuse_running(vm_of(tx, external_id))
        progress.report(20, "Copying the disks." if full else "Laying new disks over the old ones.")
        self.cloud.wait(self.cloud.config.create_s, progress)
        with self.cloud.writing("clones.clone:half", vm=external_id, progress=progress) as tx:
            existing = next((vm for vm in tx.all(Vm) if portal_uuid and vm.portal_uuid == portal_uuid), None)
            if existing is not None:
                return vm_record(tx, existing, self.cloud.config.lease_s)
            vm = vm_of(tx, external_id)
            refuse_running(vm)
            check_name(tx, name)
            made = vm.model_copy(
                deep=True,
                update={
                    "id": f"vm-{tx.next_number('vm')}",
                    "name": name,
                    "portal_uuid": portal_uuid,
                    "created_at": tx.now,
                    "snapshots": [],
                    "current_snapshot": None,
                    "boots": 0,
                    "runs": 0,
                },
            )
            made.disks = [self._copy_disk(tx, disk, made, full=full) for disk in vm.disks]
            made.nics = [self._copy_nic(tx, nic) for nic in vm.nics]
            if start:
                power_on(self.cloud, tx, made)
            progress.report(100, "Cloned.")
            return saved(self.cloud, tx, made, "created")

    def _copy_disk(self, tx: Transaction, disk: Disk, made: Vm, *, full: bool) -> Disk:
        if not disk.volume:
            return disk.model_copy()
        volume = tx.get(Volume, disk.volume)
        allocation_gib = volume.allocation_gib if full else min(THIN_GIB, volume.size_gib)
        check_pool_room(tx, tx.get(Pool, volume.pool), size_gib=volume.size_gib, allocation_gib=allocation_gib)
        number = tx.next_number("volume")
        copy = volume.model_copy(
            update={
                "id": f"vol-{number}",
                "name": f"{made.name}_{number}.{volume.format}",
                "owner": made.id,
                "backing": volume.backing if full else volume.id,
                "allocation_gib": allocation_gib,
            }
        )
        tx.put(copy)
        tx.note(EventTopic.POOL, copy.pool, "volume created")
        return disk.model_copy(update={"volume": copy.id})

    @staticmethod
    def _copy_nic(tx: Transaction, nic: Nic) -> Nic:
        mac = next_mac(tx)
        try:
            network = tx.get(Network, nic.network)
        except NotFound:
            return nic.model_copy(update={"mac": mac, "address": "", "is_fixed": False})
        address = lease(network, mac)
        tx.put(network)
        return nic.model_copy(update={"mac": mac, "address": address, "is_fixed": False})

    def export(self, external_id: str, image_name: str, progress: Progress = QUIET) -> ImageRecord:
        """Takes `create_s`."""
        with self.cloud.reading("clones.export", vm=external_id) as tx:
            refuse_running(vm_of(tx, external_id))
        progress.report(20, "Copying the disk.")
        self.cloud.wait(self.cloud.config.create_s, progress)
        with self.cloud.writing("clones.export:half", vm=external_id, progress=progress) as tx:
            vm = vm_of(tx, external_id)
            refuse_running(vm)
            if tx.named(Image, image_name) is not None:
                raise AlreadyExists(f"There is an image “{image_name}” already.", field="name")
            disk = first_disk(vm)
            if disk is None:
                raise Conflict("The VM has no disk to export.")
            volume = tx.get(Volume, disk.volume)
            origin = tx.get(Image, vm.image) if vm.image else None
            image = Image(
                id=f"image-{tx.next_number('image')}",
                name=image_name,
                pool=volume.pool,
                size_gib=volume.size_gib,
                stored_bytes=int(volume.allocation_gib * 1024**3) + len(volume.content),
                os=origin.os if origin else "",
                default_user=origin.default_user if origin else "",
                created_at=tx.now,
                content=volume.content,
            )
            tx.put(image)
            tx.note(EventTopic.IMAGE, image.id, "created")
            progress.report(100, "Exported.")
            return image_record(image, {pool.id: pool for pool in tx.all(Pool)})

    def to_template(self, external_id: str) -> ImageRecord:
        with self.cloud.writing("clones.to_template", vm=external_id) as tx:
            vm = vm_of(tx, external_id)
            refuse_running(vm)
            if vm.snapshots:
                raise Conflict("The VM has snapshots; delete them first.")
            first = first_disk(vm)
            if first is None:
                raise Conflict("The VM has no disk.")
            if tx.named(Image, vm.name) is not None:
                raise AlreadyExists(f"There is an image “{vm.name}” already.", field="name")
            volumes = [tx.get(Volume, disk.volume) for disk in vm.disks if disk.volume]
            _refuse_shared(tx, vm, volumes)
            main = tx.get(Volume, first.volume)
            kept = {"vm": vm.model_dump(mode="json"), "volumes": [each.model_dump(mode="json") for each in volumes]}
            image = Image(
                id=f"image-{tx.next_number('image')}",
                name=vm.name,
                pool=main.pool,
                size_gib=main.size_gib,
                stored_bytes=int(main.allocation_gib * 1024**3) + len(main.content),
                created_at=tx.now,
                content=main.content,
                template=json.dumps(kept),
            )
            for volume in volumes:
                tx.drop(volume)
                tx.note(EventTopic.POOL, volume.pool, "volume became an image")
            tx.drop(vm)
            tx.note(EventTopic.VM, vm.id, "became an image", gone=True)
            tx.put(image)
            tx.note(EventTopic.IMAGE, image.id, "created")
            return image_record(image, {pool.id: pool for pool in tx.all(Pool)})

    def to_vm(self, image: str) -> VmRecord:
        with self.cloud.writing("clones.to_vm") as tx:
            found = tx.get(Image, image)
            if not found.template:
                raise NotFound("This image never was a VM.")
            if any(volume.backing == found.id for volume in tx.all(Volume)):
                raise Conflict("Disks build on this image.")
            kept = json.loads(found.template)
            vm = Vm.model_validate(kept["vm"])
            check_name(tx, vm.name)
            for each in kept["volumes"]:
                volume = Volume.model_validate(each)
                tx.put(volume)
                tx.note(EventTopic.POOL, volume.pool, "volume created")
            tx.drop(found)
            tx.note(EventTopic.IMAGE, found.id, "became a VM", gone=True)
            return saved(self.cloud, tx, vm, "created")


def _refuse_shared(tx: Transaction, vm: Vm, volumes: Sequence[Volume]) -> None:
    own = {volume.id for volume in volumes}
    for other in tx.all(Vm):
        if other.id != vm.id and any(disk.volume in own for disk in other.disks):
            raise Conflict(f"“{other.name}” has one of its disks too.")
    if any(each.backing in own for each in tx.all(Volume)):
        raise Conflict("Disks of others build on those of this VM.")
