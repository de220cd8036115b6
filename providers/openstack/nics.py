"""Network cards of a VM: Neutron's ports, plugged in by Nova."""

from __future__ import annotations

from ipaddress import ip_interface

from providers.base import InvalidRequest, NicChange, Nics, NicSpec, NotFound, NotSupported, VmRecord
from providers.openstack.creation import external_network
from providers.openstack.errors import vendor_calls
from providers.openstack.floating import FloatingPart
from providers.openstack.part import MARK, mark_of
from providers.openstack.service import Json


class OpenStackNics(FloatingPart, Nics):
    def add(self, external_id: str, nic: NicSpec) -> VmRecord:
        if nic.model or nic.filter or nic.isolated or nic.vlan is not None:
            raise InvalidRequest("The cloud decides about model and filters of a card.", field="nic")
        with vendor_calls():
            server = self.server(external_id)
            plugged = self.ports_of(external_id)
            if nic.mac and any(
                (port["mac_address"].lower(), port["network_id"]) == (nic.mac.lower(), nic.network) for port in plugged
            ):
                return self.record_of(server)
            self._check_network(nic.network)
            port = self._port(server, nic)
            try:
                wish = {"interfaceAttachment": {"port_id": port["id"]}}
                self.cloud.compute.post(f"/servers/{external_id}/os-interface", wish)
                self.wait(lambda: self._is_plugged(external_id, port["id"]), "Plugging in the card")
            except BaseException:
                self.cloud.network.delete(f"/ports/{port['id']}")
                raise
            return self.record(external_id)

    def remove(self, external_id: str, nic_id: str) -> VmRecord:
        with vendor_calls():
            server, port = self.server(external_id), self._own_port(external_id, nic_id)
            floating = self.floating_of_port(nic_id)
            self.cloud.compute.delete(f"/servers/{external_id}/os-interface/{nic_id}")
            self.wait(lambda: True if self._is_free(external_id, nic_id) else None, "Unplugging the card")
            if port.get("description") == mark_of((server.get("metadata") or {}).get(MARK, "")):
                # Nova deletes only the ports that it made itself.
                self._drop(nic_id)
            if floating is not None:
                self.take_floating(floating)
            return self.record(external_id)

    def update(self, external_id: str, nic_id: str, change: NicChange) -> VmRecord:
        """Only the cable: the port is switched off or on."""
        if any(value is not None for value in (change.network, change.model, change.filter, change.vlan)):
            raise NotSupported("A card of this cloud keeps its network; add another one.")
        with vendor_calls():
            self.server(external_id)
            self._own_port(external_id, nic_id)
            if change.isolated is not None:
                raise NotSupported("Cards of this cloud cannot be isolated.")
            if change.is_linked is not None:
                self.cloud.network.put(f"/ports/{nic_id}", {"port": {"admin_state_up": change.is_linked}})
            return self.record(external_id)

    def give_public_address(self, external_id: str, nic_id: str) -> VmRecord:
        with vendor_calls():
            server, port = self.server(external_id), self._own_port(external_id, nic_id)
            if self.floating_of_port(nic_id) is None:
                owner = (server.get("metadata") or {}).get(MARK) or external_id
                self.give_floating(port, external_network(self), mark_of(owner))
            return self.record(external_id)

    def take_public_address(self, external_id: str, nic_id: str) -> VmRecord:
        with vendor_calls():
            self._own_port(external_id, nic_id)
            floating = self.floating_of_port(nic_id)
            if floating is None:
                raise NotFound("The card has no floating address.", nic_id)
            self.take_floating(floating)
            return self.record(external_id)

    def _port(self, server: Json, nic: NicSpec) -> Json:
        wish: Json = {
            "network_id": nic.network,
            "name": server["name"],
            "description": mark_of((server.get("metadata") or {}).get(MARK, "")),
        }
        if nic.mac:
            wish["mac_address"] = nic.mac
        addresses = [str(ip_interface(text).ip) for text in (nic.address, nic.address6) if text]
        if addresses:
            wish["fixed_ips"] = [{"ip_address": address} for address in addresses]
        made: Json = self.cloud.network.post("/ports", {"port": wish})["port"]
        return made

    def _check_network(self, network: str) -> None:
        if not self.cloud.network.all("/networks", "networks", id=network):
            raise NotFound("The network does not exist any more.", network, field="network")

    def _own_port(self, external_id: str, nic_id: str) -> Json:
        for port in self.ports_of(external_id):
            if port["id"] == nic_id:
                return port
        raise NotFound("The VM has no such card.", nic_id)

    def _is_plugged(self, external_id: str, port_id: str) -> bool | None:
        told = self.cloud.compute.get(f"/servers/{external_id}/os-interface")["interfaceAttachments"]
        return True if any(each["port_id"] == port_id for each in told) else None

    def _is_free(self, external_id: str, port_id: str) -> bool:
        return all(port["id"] != port_id for port in self.ports_of(external_id))

    def _drop(self, port_id: str) -> None:
        try:
            self.cloud.network.delete(f"/ports/{port_id}")
        except Exception as exc:
            if getattr(exc, "status_code", 0) != 404:
                raise
