"""Updates of a VM: heading 1.3 of the contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from providers.base import DiskDevice, NicChange, NotFound, NotSupported, Reshape, VmRecord
from providers.kcontract.core import Core, Result, called, changes, whole_number
from providers.kcontract.option_forms import cpu_flags, merged


class Updates(Core):
    """Changing what a VM is."""

    @changes
    def update_metadata(self, name: str, metatype: str, metavalue: str | None, append: bool = False) -> Result | None:
        """Sets one key; None removes it, `append` adds the value after a comma."""
        vm, reshape = self.vm(name), self._reshape()
        old = vm.metadata.get(metatype, "")
        value = f"{old},{metavalue}" if append and old and metavalue is not None else metavalue
        reshape.set_metadata(vm.external_id, metatype, None if value is None else str(value))
        return None

    @changes
    def update_information(self, name: str, information: str) -> Result | None:
        """Sets the description."""
        self._reshape().set_description(self.vm(name).external_id, information)
        return None

    @changes
    def update_memory(self, name: str, memory: int | str) -> Result | None:
        """MiB; what a running VM cannot take is a failure that says so, or waits and is told as `pending`."""
        wanted = whole_number(memory, "memory")
        return _waiting(self._reshape().set_memory(self.vm(name).external_id, wanted))

    @changes
    def update_cpus(self, name: str, numcpus: int | str) -> Result | None:
        wanted = whole_number(numcpus, "numcpus")
        return _waiting(self._reshape().set_vcpus(self.vm(name).external_id, wanted))

    @changes
    def update_cpuflags(self, name: str, cpuflags: Sequence[Any], disable: bool = False) -> Result | None:
        """Adds these flags, or takes them away with `disable`; the others stay as they are."""
        vm, reshape = self.vm(name), self._reshape()
        there = self._option(vm.external_id, "cpu_flags", "CPU flags")
        wanted = merged(there, cpu_flags(cpuflags, disable=disable))
        return _waiting(reshape.set_options(vm.external_id, {"cpu_flags": wanted}))

    @changes
    def remove_cloudinit(self, name: str) -> Result | None:
        """Takes the first-boot data away, which may hold hashes of passwords; the guest has read it long ago."""
        self._reshape().remove_cloud_init(self.vm(name).external_id)
        return None

    def _option(self, external_id: str, option: str, words: str) -> Any:
        """An option as it will be at the next start; NotSupported for kinds that have none of this name."""
        if self.plugin is None or option not in self.plugin.options.model_fields:
            raise NotSupported(f"This provider has no {words} to change.")
        default = self.plugin.options().model_dump(mode="json")[option]
        return self._reshape().options(external_id).pending.get(option, default)

    @changes
    def update_start(self, name: str, start: bool = True) -> Result | None:
        """Whether it starts with its host."""
        self._reshape().set_autostart(self.vm(name).external_id, start)
        return None

    @changes
    def update_flavor(self, name: str, flavor: str) -> Result | None:
        flavors, vm = self.facet(self.driver.flavors, "flavors"), self.vm(name)
        wanted = called(flavors.list(), flavor, "flavor").external_id
        if vm.flavor != wanted:
            self._reshape().set_flavor(vm.external_id, wanted)
        return None

    @changes
    def update_iso(self, name: str, iso: str | None) -> Result | None:
        """Inserts an ISO image by its name, ejects with None."""
        disks, vm = self.facet(self.driver.disks, "disks to change"), self.vm(name)
        disks.set_iso(vm.external_id, self.image_id(iso) if iso else None)
        return None

    @changes
    def update_nic(self, name: str, index: int | str, network: str) -> Result | None:
        """Plugs the card of that number (from 0) into another network."""
        nics, vm = self.facet(self.driver.nics, "network cards to change"), self.vm(name)
        number, cards = whole_number(index, "index"), vm.nics or ()
        if not 0 <= number < len(cards):
            raise NotFound(f"“{name}” has no card number {number}.")
        change = NicChange(network=self.network_id(network))
        return _waiting(nics.update(vm.external_id, cards[number].external_id, change))

    @changes
    def update_pool(self, name: str, pool: str) -> Result | None:
        """Moves the disks of a stopped VM to another pool, one after the other; media stay where they are."""
        disks, vm = self.facet(self.driver.disks, "disks to change"), self.vm(name)
        target = self.pool_id(pool)
        for disk in vm.disks or ():
            if disk.device is DiskDevice.DISK:
                disks.move(vm.external_id, disk.external_id, target)
        return None

    def _reshape(self) -> Reshape:
        return self.facet(self.driver.reshape, "way to change a VM")

    @changes
    def convert_to_template(self, name: str) -> Result | None:
        """The VM becomes an image of its name, and is no VM any more."""
        self.facet(self.driver.clones, "templates").to_template(self.vm(name).external_id)
        return None

    @changes
    def convert_to_vm(self, name: str) -> Result | None:
        images = self.facet(self.driver.images, "images")
        image = called(images.list(), name, "image")
        self.facet(self.driver.clones, "templates").to_vm(image.external_id)
        return None

    # -- what no provider behind this contract offers -----------------------------------------------------------------

    @changes
    def update_attribute(self, name: str, attribute: str, value: Any) -> Result | None:
        del value
        raise NotSupported(f"The attribute “{attribute}” of “{name}” cannot be changed.")


def _waiting(record: VmRecord) -> Result | None:
    """What has not happened yet is told beside the success."""
    return {"pending": list(record.pending)} if record.pending else None
