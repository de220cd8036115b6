"""Network cards: heading 1.6 of the contract."""

from __future__ import annotations

from providers.base import NicSpec, NotFound
from providers.kcontract.core import Core, Result, changes, spec_of


class Nics(Core):
    """The cards of a VM."""

    @changes
    def add_nic(self, name: str, network: str, model: str = "virtio") -> Result | None:
        nics, vm = self.facet(self.driver.nics, "network cards to change"), self.vm(name)
        nics.add(vm.external_id, spec_of(NicSpec, network=self.network_id(network), model=model))
        return None

    @changes
    def delete_nic(self, name: str, interface: str) -> Result | None:
        """By the provider's own name of the card, its MAC, or "eth1" for the second."""
        nics, vm = self.facet(self.driver.nics, "network cards to change"), self.vm(name)
        cards = vm.nics or ()
        for number, card in enumerate(cards):
            known = {card.external_id, card.mac}
            # eth<n> is a position only where the provider itself has no card of that name.
            if not any(each.external_id == interface for each in cards):
                known.add(f"eth{number}")
            if interface in known:
                nics.remove(vm.external_id, card.external_id)
                return None
        raise NotFound(f"“{name}” has no network card “{interface}”.")
