"""Floating addresses: an address of the external network that a router translates to one of a card."""

from __future__ import annotations

from ipaddress import ip_address

from openstack import exceptions as sdk

from providers.base import Conflict, OutOfCapacity
from providers.openstack.errors import neutron_type
from providers.openstack.servers import ServerPart
from providers.openstack.service import Json

#: Beginning of the description of what the portal made (`part.mark_of`).
_OURS = "kvweb:"


class FloatingPart(ServerPart):
    def floating_of_port(self, port_id: str) -> Json | None:
        return next(iter(self.cloud.network.all("/floatingips", "floatingips", port_id=port_id)), None)

    def give_floating(self, port: Json, outside: Json, mark: str) -> Json:
        """A fresh one of the external network for a card; raises Conflict where no router leads there."""
        inner = next((str(each["ip_address"]) for each in port["fixed_ips"] if _is_v4(each["ip_address"])), "")
        if not inner:
            raise Conflict("The card has no IPv4 address that a floating one could lead to.")
        wish = {
            "floating_network_id": outside["id"],
            "port_id": port["id"],
            "fixed_ip_address": inner,
            "description": mark,
        }
        try:
            made: Json = self.cloud.network.post("/floatingips", {"floatingip": wish})["floatingip"]
        except sdk.HttpException as exc:
            kind = neutron_type(exc)
            if kind == "ExternalGatewayForFloatingIPNotFound":
                sentence = f"No router leads from the card's network to “{outside['name']}”."
                raise Conflict(sentence, str(exc)) from exc
            if kind == "IpAddressGenerationFailure":
                raise OutOfCapacity(f"The network “{outside['name']}” has no address left.", str(exc)) from exc
            raise
        return made

    def take_floating(self, floating: Json) -> None:
        """Give back what the portal took; an address that somebody reserved is only parted from the card."""
        path = f"/floatingips/{floating['id']}"
        if str(floating.get("description") or "").startswith(_OURS):
            self.cloud.network.delete(path)
        else:
            self.cloud.network.put(path, {"floatingip": {"port_id": None}})


def _is_v4(address: str) -> bool:
    return ip_address(address).version == 4
