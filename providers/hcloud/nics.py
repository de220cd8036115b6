"""Private networks of servers. A server has at most one card in each."""

from __future__ import annotations

from providers.base import Conflict, NicChange, Nics, NicSpec, NotFound, NotSupported, VmRecord
from providers.hcloud.creation import check_nic, ensure_subnet, join_network
from providers.hcloud.part import Part
from providers.hcloud.records import PUBLIC, place_of


class HcloudNics(Part, Nics):
    def add(self, external_id: str, nic: NicSpec) -> VmRecord:
        """A network that the server is in already was joined by an earlier run of the same job."""
        server = self.server(external_id)
        check_nic(nic)
        if nic.network == PUBLIC:
            raise Conflict("Whether a VM at Hetzner has public addresses is settled when it is made.")
        if nic.network not in {str(net["network"]) for net in server["private_net"]}:
            ensure_subnet(self.api, nic.network, place_of(server))
            join_network(self.api, external_id, nic)
        return self.record(external_id)

    def remove(self, external_id: str, nic_id: str) -> VmRecord:
        server = self.server(external_id)
        if nic_id == PUBLIC and (server["public_net"]["ipv4"] or server["public_net"]["ipv6"]):
            raise Conflict("Whether a VM at Hetzner has public addresses is settled when it is made.")
        if nic_id not in {str(net["network"]) for net in server["private_net"]}:
            raise NotFound("The VM has no such network card.")
        body = {"network": int(nic_id)}
        return self.settle_and_read(
            external_id, self.api.post(f"/servers/{external_id}/actions/detach_from_network", body)["action"]
        )

    def update(self, external_id: str, nic_id: str, change: NicChange) -> VmRecord:
        raise NotSupported("Network cards at Hetzner cannot be changed; remove it and add another.")
