"""Routers that the portal makes for its networks: one for each network that is led outside, deleted with it."""

from __future__ import annotations

from collections.abc import Sequence

from providers.openstack.part import MARK
from providers.openstack.servers import ServerPart
from providers.openstack.service import Json

#: What tells the portal's own routers from others.
_NOTE = f"{MARK}:router"
INTERFACES = frozenset(
    {"network:router_interface", "network:router_interface_distributed", "network:ha_router_replicated_interface"}
)


class RouterPart(ServerPart):
    def add_router(self, network: Json, subnet_ids: list[str], outside: Json | None) -> None:
        """A router from these subnets; with `outside` it translates addresses to that network."""
        wish: Json = {"name": network["name"], "description": _NOTE}
        if outside is not None:
            wish["external_gateway_info"] = {"network_id": outside["id"]}
        router = self.cloud.network.post("/routers", {"router": wish})["router"]
        try:
            for subnet_id in subnet_ids:
                self.cloud.network.put(f"/routers/{router['id']}/add_router_interface", {"subnet_id": subnet_id})
        except BaseException:
            self.drop_router(router["id"])
            raise

    def drop_router(self, router_id: str) -> None:
        for port in self.cloud.network.all("/ports", "ports", device_id=router_id):
            if port.get("device_owner") in INTERFACES:
                self.cloud.network.put(f"/routers/{router_id}/remove_router_interface", {"port_id": port["id"]})
        self.cloud.network.delete(f"/routers/{router_id}")

    def routers_of(self, ports: Sequence[Json]) -> dict[str, list[str]]:
        """Network id → ids of the routers with a leg in it."""
        found: dict[str, list[str]] = {}
        for port in ports:
            if port.get("device_owner") in INTERFACES:
                found.setdefault(port["network_id"], []).append(port["device_id"])
        return found

    @staticmethod
    def is_own(router: Json) -> bool:
        return router.get("description") == _NOTE
