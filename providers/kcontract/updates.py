"""Updates of a VM: heading 1.3 of the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from providers.base import NicChange, NotFound, NotSupported, Reshape
from providers.kcontract.core import Core, Result, called, changes, whole_number


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
        """MiB; a failure that says so where the VM must be stopped first."""
        wanted = whole_number(memory, "memory")
        self._reshape().set_memory(self.vm(name).external_id, wanted)
        return None

    @changes
    def update_cpus(self, name: str, numcpus: int | str) -> Result | None:
        wanted = whole_number(numcpus, "numcpus")
        self._reshape().set_vcpus(self.vm(name).external_id, wanted)
        return None

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
        nics.update(vm.external_id, cards[number].external_id, NicChange(network=self.network_id(network)))
        return None

    def _reshape(self) -> Reshape:
        return self.facet(self.driver.reshape, "way to change a VM")

    # -- what no provider behind this contract offers -----------------------------------------------------------------

    @changes
    def update_pool(self, name: str, pool: str) -> Result | None:
        raise NotSupported(f"The disks of “{name}” cannot be moved to the pool “{pool}”.")

    @changes
    def update_cpuflags(self, name: str, cpuflags: Sequence[str], disable: bool = False) -> Result | None:
        del cpuflags, disable
        raise NotSupported(f"The CPU flags of “{name}” cannot be changed after creation.")

    @changes
    def update_attribute(self, name: str, attribute: str, value: Any) -> Result | None:
        del value
        raise NotSupported(f"The attribute “{attribute}” of “{name}” cannot be changed.")

    @changes
    def update_reserveip(self, name: str) -> Result | None:
        raise NotSupported(f"The address of “{name}” cannot be reserved after creation.")

    @changes
    def remove_cloudinit(self, name: str) -> Result | None:
        raise NotSupported(f"The first-boot data of “{name}” cannot be taken away.")

    @changes
    def reserve_host(self, name: str, nets: Sequence[str | Mapping[str, Any]], domain: str | None) -> Result | None:
        del nets, domain
        raise NotSupported(f"“{name}” cannot be entered in a hosts file.")

    @changes
    def convert_to_template(self, name: str) -> Result | None:
        raise NotSupported(f"“{name}” cannot become a template; export it as an image.")

    @changes
    def convert_to_vm(self, name: str) -> Result | None:
        raise NotSupported(f"“{name}” is not a template.")
