"""Making a VM: cloned from a template and then changed, or made empty in one call; undone when anything goes wrong."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from providers.base import (
    AlreadyExists,
    Conflict,
    DiskSpec,
    InvalidRequest,
    NicSpec,
    NotFound,
    NotSupported,
    Progress,
    VmSpec,
)
from providers.vsphere import guestinfo, note
from providers.vsphere.config import VsphereOptions
from providers.vsphere.devices import Layout, own_mac
from providers.vsphere.errors import vendor_calls
from providers.vsphere.native import vim, vmodl
from providers.vsphere.part import Part
from providers.vsphere.properties import below, children, read_one, typed
from providers.vsphere.records import KIB_PER_GIB, note_of
from providers.vsphere.site import Site, read_site, vm_folder

FIRMWARES = {"bios": "bios", "uefi": "efi"}
_ANY_LINUX = "otherLinux64Guest"
#: What a lost answer may have begun shows within this.
_SETTLE_S = 3.0


class Creation(Part):
    """One creation; `run` answers with the VM's external_id, or leaves nothing behind."""

    def run(self, spec: VmSpec, progress: Progress) -> str:
        progress.report(2, "Checking the request")
        options = read_options(spec.options)
        check_name(spec.name)
        check_memory(spec.memory_mib)
        if spec.firmware and spec.firmware not in FIRMWARES:
            raise InvalidRequest(f"There is no firmware “{spec.firmware}”.", field="firmware")
        instance = note.instance_of(spec.portal_uuid)
        existing = self.made_before(instance)
        if existing:
            return self._completed(existing, spec, progress)
        site = read_site(self.connection)
        refuse_taken_name(self, spec.name)
        nics = tuple(_with_mac(nic) for nic in spec.nics)
        refuse_taken_macs(self, [nic.mac for nic in spec.nics])
        progress.checkpoint()
        plan = _Plan(self, spec, options, site, instance, nics)
        try:
            external_id = plan.clone(progress) if plan.image else plan.make(progress)
            progress.checkpoint()
            if spec.start:
                progress.report(90, "Starting it")
                self.run_task(self.handle(external_id).PowerOnVM_Task(None), progress)
            progress.checkpoint()
        except BaseException:
            self.undo(instance)
            raise
        return external_id

    # -- what is there ----------------------------------------------------------------------------------------------

    def made_before(self, instance: str) -> str:
        """The VM with this instance uuid, empty when there is none."""
        index = self.connection.content.searchIndex
        found = index.FindByUuid(self.connection.datacenter, instance, True, True)
        return str(found._moId) if found is not None else ""

    def _completed(self, external_id: str, spec: VmSpec, progress: Progress) -> str:
        """The VM of an earlier run of the same job; one that was left half made is cleared away and made anew."""
        found, _ = self.look(external_id)
        known = note_of(found)
        if known.portal_uuid != spec.portal_uuid:
            raise AlreadyExists("Another VM has this identity already.")
        if known.is_unfinished:
            self.destroy(external_id)
            return self.run(spec, progress)
        if spec.start and found.text("runtime.powerState") == "poweredOff":
            self.run_task(self.handle(external_id).PowerOnVM_Task(None), progress)
        return external_id

    # -- undoing ----------------------------------------------------------------------------------------------------

    def undo(self, instance: str) -> bool:
        """Remove the VM that was being made, if it got so far. Never raises: the first error is what is told."""
        until = time.monotonic() + _SETTLE_S
        while True:
            try:
                with vendor_calls():
                    external_id = self.made_before(instance)
                    if external_id:
                        self.destroy(external_id)
                        return True
                return False
            except Exception:
                if time.monotonic() > until:
                    return False
                time.sleep(0.3)

    def destroy(self, external_id: str) -> None:
        """Switch off and delete, with its disks."""
        vm = self.handle(external_id)
        found = read_one(self.connection, vm, "runtime.powerState")
        if found.text("runtime.powerState") != "poweredOff":
            self.run_task(vm.PowerOffVM_Task(), can_stop=False)
        self.run_task(vm.Destroy_Task(), can_stop=False)


class _Plan:
    """What is known when the making begins."""

    def __init__(
        self,
        part: Creation,
        spec: VmSpec,
        options: VsphereOptions,
        site: Site,
        instance: str,
        nics: tuple[NicSpec, ...],
    ) -> None:
        self.part, self.spec, self.options, self.site = part, spec, options, site
        self.instance, self.nics = instance, nics
        self.connection = part.connection
        self.image = spec.disks[0].image if spec.disks else ""
        if any(disk.image for disk in spec.disks[1:]):
            raise InvalidRequest("Only the first disk can begin with an image.", field="disks")
        self.cluster = site.cluster(spec.zone or part.config.cluster)
        self.pool = site.pool(self.cluster, options.resource_pool)
        self.host = site.host(self.cluster)
        self.home = site.datastore(spec.disks[0].pool if spec.disks else "")
        # Asked for now, so that a network or datastore that is not there is found before anything is made.
        self.backings = [site.card_backing(nic.network) for nic in nics]
        self.stores = [site.datastore(disk.pool) for disk in spec.disks]
        self.iso = _iso(spec.iso)
        self.folder = vm_folder(self.connection)

    def note(self, *, unfinished: bool) -> Mapping[str, str]:
        text = note.Note(
            portal_uuid=self.spec.portal_uuid,
            image=self.image,
            metadata=self.spec.metadata,
            attached=tuple(disk.volume for disk in self.spec.disks if disk.volume),
            is_unfinished=unfinished,
            instance=self.instance,
        ).to_text()
        return {note.KEY: text}

    def size(self) -> Any:
        """CPUs, memory, what is said about it, and its identity."""
        spec = self.spec
        config = vim.vm.ConfigSpec(
            instanceUuid=self.instance,
            numCPUs=spec.vcpus,
            memoryMB=spec.memory_mib,
            annotation=spec.description,
            cpuHotAddEnabled=self.options.hot_add,
            memoryHotAddEnabled=self.options.hot_add,
            nestedHVEnabled=self.options.nested or None,
        )
        if spec.firmware:
            config.firmware = FIRMWARES[spec.firmware]
        return config

    def guest(self) -> Mapping[str, str]:
        if self.spec.cloud_init is None or self.spec.cloud_init.is_empty:
            return {}
        return guestinfo.values(self.spec.cloud_init, name=self.spec.name, instance_id=self.instance, nics=self.nics)

    # -- empty ------------------------------------------------------------------------------------------------------

    def make(self, progress: Progress) -> str:
        """Everything in one call."""
        layout = Layout()
        self._furnish(layout, self.spec.disks)
        config = self.size()
        config.name = self.spec.name
        config.guestId = self.options.guest_id or _ANY_LINUX
        config.files = vim.vm.FileInfo(vmPathName=f"[{self.home.text('name')}]")
        config.deviceChange = layout.changes
        config.extraConfig = guestinfo.pairs({**self.note(unfinished=False), **self.guest()})
        task = self.folder.CreateVM_Task(config, self.pool, self.host)
        return self.part.run_task(task, progress, part=(10, 85), sentence="Making the VM")

    # -- from a template --------------------------------------------------------------------------------------------

    def clone(self, progress: Progress) -> str:
        template = self.part.handle(self.image)
        original = self._template(template)
        config = self.size()
        config.extraConfig = guestinfo.pairs(self.note(unfinished=True))
        location = vim.vm.RelocateSpec(
            pool=self.pool,
            datastore=self.connection.object(vim.Datastore, self.home.id),
            host=self.host,
        )
        spec = vim.vm.CloneSpec(location=location, config=config, powerOn=False, template=False)
        if self.options.linked:
            snapshot = typed(self.connection, template, "snapshot")
            if snapshot is None or snapshot.currentSnapshot is None:
                raise Conflict("The template has no snapshot that a linked clone can build on.")
            spec.snapshot = snapshot.currentSnapshot
            location.diskMoveType = "createNewChildDiskBacking"
        else:
            location.disk = _locators(original, location.datastore, thin=self.spec.disks[0].thin)
        task = template.CloneVM_Task(self.folder, self.spec.name, spec)
        external_id = self.part.run_task(task, progress, part=(10, 70), sentence="Copying the template")
        progress.checkpoint()
        progress.report(72, "Plugging in disks and network")
        layout = Layout(typed(self.connection, self.part.handle(external_id), "config.hardware.device") or ())
        self._grow(layout, self.spec.disks[0])
        for card in layout.cards:
            layout.remove(card)
        self._furnish(layout, self.spec.disks[1:])
        change = vim.vm.ConfigSpec(
            deviceChange=layout.changes,
            extraConfig=guestinfo.pairs({**self.note(unfinished=False), **self.guest()}),
        )
        self.part.reconfigure(external_id, change)
        return external_id

    def _template(self, template: Any) -> list[Any]:
        """Its disks; raises NotFound for one that is gone, or is none."""
        paths = ("config.template", "config.hardware.device")
        spec_error = NotFound(f"There is no image “{self.image}” any more.", field="image")
        try:
            found = read_one(self.connection, template, *paths)
        except vmodl.fault.ManagedObjectNotFound as exc:
            raise spec_error from exc
        if not found.is_true("config.template"):
            raise spec_error
        if not self.connection.is_vcenter:
            raise NotSupported("A single ESXi host cannot clone templates; a vCenter can.")
        disks = Layout(typed(self.connection, template, "config.hardware.device") or ()).disks
        if not disks:
            raise InvalidRequest("This template has no disk.", field="image")
        wished = self.spec.disks[0].size_gib
        if wished is not None and wished * KIB_PER_GIB < disks[0].capacityInKB:
            raise InvalidRequest(
                f"The disk must have at least {-(-disks[0].capacityInKB // KIB_PER_GIB)} GiB for this image.",
                field="disks",
            )
        return disks

    @staticmethod
    def _grow(layout: Layout, spec: DiskSpec) -> None:
        disk = layout.disks[0] if layout.disks else None
        if disk is not None and spec.size_gib and spec.size_gib * KIB_PER_GIB > disk.capacityInKB:
            grow(layout, disk, spec.size_gib)

    def _furnish(self, layout: Layout, disks: tuple[DiskSpec, ...]) -> None:
        stores = self.stores[len(self.stores) - len(disks) :]
        for disk, store in zip(disks, stores, strict=True):
            if disk.cache:
                raise NotSupported("vSphere has no choice of caches.")
            if not disk.volume and disk.size_gib is None:
                raise InvalidRequest("An empty disk needs a size.", field="disks")
            layout.add_disk(
                datastore=store.text("name"),
                size_gib=disk.size_gib or 0,
                file=disk.volume,
                thin=disk.thin,
                bus=disk.bus,
                shared=disk.shareable,
            )
        for nic, backing in zip(self.nics, self.backings, strict=True):
            layout.add_card(backing, mac=nic.mac, model=nic.model)
        if self.iso:
            layout.insert(self.iso)


def grow(layout: Layout, disk: Any, size_gib: int) -> None:
    disk.capacityInKB = size_gib * KIB_PER_GIB
    # Of two sizes that differ the server takes the other one.
    disk.capacityInBytes = None
    layout.edit(disk)


def _locators(disks: list[Any], datastore: Any, *, thin: bool) -> list[Any]:
    """The copy's disks are thin or thick as wished, whatever the template's are."""
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo
    return [
        vim.vm.RelocateSpec.DiskLocator(
            diskId=disk.key,
            datastore=datastore,
            diskBackingInfo=backing(fileName="", diskMode="persistent", thinProvisioned=thin),
        )
        for disk in disks
    ]


def _iso(iso: str) -> str:
    if iso and not (iso.startswith("[") and iso.lower().endswith(".iso")):
        raise NotFound(f"There is no ISO image “{iso}”.", field="iso")
    return iso


def _with_mac(nic: NicSpec) -> NicSpec:
    """Cards with a fixed address need a MAC beforehand: the guest finds its card by it."""
    if nic.mac or not (nic.address or nic.address6):
        return nic
    return nic.model_copy(update={"mac": own_mac()})


def check_name(name: str) -> None:
    """vSphere keeps these encoded, as they would be parts of a path."""
    if any(char in name for char in "/\\%") or not name.isprintable() or name != name.strip():
        raise InvalidRequest(
            "The name must be printable, without slashes, percent signs and blanks around it.", field="name"
        )


def check_memory(memory_mib: int) -> None:
    """The server takes whole pages of 4 MiB only, and does not say so."""
    if memory_mib % 4:
        raise InvalidRequest("Memory is given in steps of 4 MiB.", field="memory_mib")


def refuse_taken_name(part: Part, name: str) -> None:
    """vSphere lets the same name be used in every folder; the portal's folder and those below it have it once."""
    for found in part.everybody("name"):
        if found.text("name") == name:
            raise AlreadyExists(f"There is a VM or template called “{name}” already.", field="name")


def refuse_taken_macs(part: Part, macs: list[str], *, own: str = "") -> None:
    """Raise AlreadyExists when another VM's card has one of these. vSphere itself would let both be."""
    wished = {mac.lower() for mac in macs if mac}
    if not wished:
        return
    for found in part.everybody("config.hardware.device"):
        if found.id == own:
            continue
        for device in children(found.values.get("config.hardware.device")):
            if below(device, "macAddress").lower() in wished:
                raise AlreadyExists("Another network card has this MAC address.", field="mac")


def read_options(options: Mapping[str, Any]) -> VsphereOptions:
    """The typed options of a spec; raises InvalidRequest that names the wrong one."""
    try:
        return VsphereOptions.model_validate(dict(options))
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"The option “{field}” is not accepted: {first['msg']}.", field="options") from None
