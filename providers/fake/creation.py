"""Making a VM in steps: reserve the name, make the disks, plug in the cards, start; undone when anything goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from providers.base import (
    QUIET,
    Conflict,
    DiskDevice,
    DiskSpec,
    EventTopic,
    InvalidRequest,
    NotFound,
    Progress,
    VmRecord,
    VmSpec,
)
from providers.fake.addresses import plug, unplug
from providers.fake.blocks import iso_of, plugged
from providers.fake.cloud import Cloud
from providers.fake.config import ZONES, FakeOptions
from providers.fake.faults import fault_in_name
from providers.fake.records import vm_record
from providers.fake.state import Disk, Firewall, Flavor, Image, Network, Vm, Volume
from providers.fake.store import Transaction
from providers.fake.vms import check_name, check_room, power_on, saved

FIRMWARES = frozenset({"bios", "uefi"})
#: A half-made VM older than this beyond its creation time belongs to a process that died.
GRACE_S = 60.0


class Creation:
    """One creation on its way; `run` returns the VM or leaves nothing behind."""

    def __init__(self, cloud: Cloud, spec: VmSpec, progress: Progress = QUIET) -> None:
        self.cloud = cloud
        self.spec = spec
        self.progress = progress
        self.options = read_options(spec)

    def run(self) -> VmRecord:
        self.progress.report(5, "Checking the request.")
        with self.cloud.writing("machines.create", progress=self.progress) as tx:
            existing = self._existing(tx)
            if existing is not None:
                return vm_record(tx, existing, self.cloud.config.lease_s)
            vm = self._reserve(tx)
        try:
            return self._build(vm.id)
        except BaseException:
            self._undo(vm.id)
            raise

    def _build(self, vm_id: str) -> VmRecord:
        self._step("machines.create:after-check", vm_id)
        for number, disk in enumerate(self.spec.disks, start=1):
            self.progress.report(15 + 30 * number // len(self.spec.disks), f"Making disk {number}.")
            with self.cloud.store.writing() as tx:
                self._add_disk(tx, tx.get(Vm, vm_id), disk, is_first=number == 1)
            self.progress.checkpoint()
        fault = fault_in_name(self.spec.name)
        if fault is not None:
            self.cloud.suffer(fault, vm=vm_id, progress=self.progress)
        self._step("machines.create:after-disk", vm_id)
        self.progress.report(60, "Plugging in the network.")
        with self.cloud.store.writing() as tx:
            self._add_nics(tx, tx.get(Vm, vm_id))
        self._step("machines.create:after-nic", vm_id)
        self.progress.report(80, "Writing the first-boot data.")
        self._step("machines.create:before-start", vm_id)
        with self.cloud.store.writing() as tx:
            vm = tx.get(Vm, vm_id)
            vm.is_building = False
            vm.created_at = tx.now
            if self.spec.start:
                power_on(self.cloud, tx, vm)
            record = saved(self.cloud, tx, vm, "created")
        self.progress.report(100, "Created.")
        return record

    def _step(self, place: str, vm_id: str) -> None:
        self.cloud.wait(self.cloud.config.create_s / 4, self.progress)
        self.cloud.enter(place, vm=vm_id, progress=self.progress)

    # -- the first step ---------------------------------------------------------------------------------------------

    def _existing(self, tx: Transaction) -> Vm | None:
        """The VM that an earlier run of the same job made; what a dead process left half-made is cleared away."""
        for vm in tx.all(Vm):
            if vm.is_building and tx.now > vm.building_until:
                undo(tx, vm)
            elif self.spec.portal_uuid and vm.portal_uuid == self.spec.portal_uuid:
                if vm.is_building:
                    raise Conflict("This VM is being made by another process.")
                return vm
        return None

    def _reserve(self, tx: Transaction) -> Vm:
        """Check everything that can be checked and keep the name; others see the VM only when it is complete."""
        spec = self.spec
        check_name(tx, spec.name)
        flavor = tx.get(Flavor, spec.flavor) if spec.flavor else None
        vcpus = flavor.vcpus if flavor else spec.vcpus
        memory_mib = flavor.memory_mib if flavor else spec.memory_mib
        if spec.firmware and spec.firmware not in FIRMWARES:
            raise InvalidRequest(f"There is no firmware “{spec.firmware}”.", field="firmware")
        if spec.zone and spec.zone not in ZONES:
            raise InvalidRequest(f"There is no zone “{spec.zone}”.", field="zone")
        if spec.start:
            check_room(self.cloud, tx, vcpus=vcpus, memory_mib=memory_mib)
        for nic in spec.nics:
            tx.get(Network, nic.network)
        image = spec.disks[0].image if spec.disks else ""
        if image:
            tx.get(Image, image)
        vm = Vm(
            id=f"vm-{tx.next_number('vm')}",
            name=spec.name,
            portal_uuid=spec.portal_uuid,
            is_building=True,
            building_until=tx.now + self.cloud.config.create_s + GRACE_S,
            vcpus=vcpus,
            memory_mib=memory_mib,
            flavor=spec.flavor,
            description=spec.description,
            image=image,
            zone=spec.zone,
            firmware=spec.firmware or "bios",
            autostart=spec.autostart,
            metadata=dict(spec.metadata),
            tags=list(spec.tags),
            cloud_init=spec.cloud_init,
            vnc_password=self.options.vnc_password,
            ignores_shutdown=self.options.ignores_shutdown,
            firewalls=[firewall_called(tx, name).id for name in self.options.firewalls],
            cpu_model=self.options.cpu_model,
            cpu_flags=list(self.options.cpu_flags),
            max_vcpus=self.options.max_vcpus,
            max_memory_mib=self.options.max_memory_mib,
        )
        if spec.iso:
            iso_of(tx, spec.iso)
            vm.disks.append(Disk(target="sda", device=DiskDevice.CDROM, image=spec.iso, bus="sata", boot=True))
        tx.put(vm)
        return vm

    # -- the other steps --------------------------------------------------------------------------------------------

    def _add_disk(self, tx: Transaction, vm: Vm, spec: DiskSpec, *, is_first: bool) -> None:
        vm.disks.append(plugged(tx, spec, vm, boot=is_first and not self.spec.iso))
        tx.put(vm)

    def _add_nics(self, tx: Transaction, vm: Vm) -> None:
        for spec in self.spec.nics:
            vm.nics.append(plug(tx, spec, {nic.id for nic in vm.nics}))
        tx.put(vm)

    def _undo(self, vm_id: str) -> None:
        with self.cloud.store.writing() as tx:
            try:
                vm = tx.get(Vm, vm_id)
            except NotFound:
                return
            undo(tx, vm)


def undo(tx: Transaction, vm: Vm) -> None:
    """Take a half-made VM away with everything that was made for it."""
    for nic in vm.nics:
        unplug(tx, nic)
    for volume in tx.all(Volume):
        if volume.owner == vm.id:
            tx.drop(volume)
            tx.note(EventTopic.POOL, volume.pool, "volume deleted")
    tx.drop(vm)


def read_options(spec: VmSpec) -> FakeOptions:
    """The typed options of a spec; raises InvalidRequest that names the wrong one."""
    return checked_options(spec.options)


def checked_options(options: Mapping[str, Any]) -> FakeOptions:
    """Typed options; raises InvalidRequest that names the wrong one."""
    try:
        return FakeOptions.model_validate(dict(options))
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"The option “{field}” is not accepted: {first['msg']}.", field="options") from None


def firewall_called(tx: Transaction, name: str) -> Firewall:
    found = tx.named(Firewall, name)
    return found if found is not None else tx.get(Firewall, name)
