"""Network cards of a VM."""

from __future__ import annotations

from typing import Any

from providers.base import InvalidRequest, NicChange, Nics, NicSpec, NotSupported, PowerState, VmRecord
from providers.vsphere.creation import refuse_taken_macs
from providers.vsphere.devices import CARDS
from providers.vsphere.errors import vendor_calls
from providers.vsphere.part import Part
from providers.vsphere.properties import Found
from providers.vsphere.records import MODELS, power_of
from providers.vsphere.site import read_site


class VsphereNics(Part, Nics):
    def add(self, external_id: str, nic: NicSpec) -> VmRecord:
        _demand_plain(nic)
        with vendor_calls():
            self.look(external_id)
            layout = self.layout(external_id)
            mine = [card for card in layout.cards if nic.mac and card.macAddress.lower() == nic.mac.lower()]
            if mine:
                # An earlier run of the same job added it.
                return self.record(external_id)
            backing = read_site(self.connection).card_backing(nic.network)
            refuse_taken_macs(self, [nic.mac], own=external_id)
            layout.add_card(backing, mac=nic.mac, model=nic.model)
            return self.rearranged(external_id, layout)

    def remove(self, external_id: str, nic_id: str) -> VmRecord:
        with vendor_calls():
            self.look(external_id)
            layout = self.layout(external_id)
            layout.remove(layout.card(nic_id))
            return self.rearranged(external_id, layout)

    def update(self, external_id: str, nic_id: str, change: NicChange) -> VmRecord:
        if change.filter or change.isolated or change.vlan:
            raise NotSupported("Port groups decide about VLANs and filters in vSphere.")
        if change.model is not None and change.model not in CARDS:
            raise InvalidRequest(f"There is no network card “{change.model}”.", field="model")
        with vendor_calls():
            found, _ = self.look(external_id)
            layout = self.layout(external_id)
            card = layout.card(nic_id)
            if change.model is not None and change.model != MODELS.get(type(card).__name__.rpartition(".")[2]):
                raise NotSupported("A network card keeps its model; remove it and add another.")
            if change.network is not None:
                card.backing = read_site(self.connection).card_backing(change.network)
            if change.is_linked is not None:
                _plug(card, found, is_linked=change.is_linked)
            layout.edit(card)
            return self.rearranged(external_id, layout)


def _plug(card: Any, vm: Found, *, is_linked: bool) -> None:
    card.connectable.startConnected = is_linked
    if power_of(vm)[0] is PowerState.RUNNING:
        card.connectable.connected = is_linked


def _demand_plain(nic: NicSpec) -> None:
    if nic.filter or nic.isolated or nic.vlan:
        raise NotSupported("Port groups decide about VLANs and filters in vSphere.")
