"""Server types with their prices."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import FlavorRecord, Flavors, Price
from providers.hcloud.api import Json
from providers.hcloud.part import Part


class HcloudFlavors(Part, Flavors):
    def list(self) -> Sequence[FlavorRecord]:
        return [flavor_record(kind) for kind in self.api.pages("server_types") if is_offered(kind)]


def is_offered(kind: Json) -> bool:
    """Whether new servers of it can still be made somewhere."""
    if kind.get("deprecation") or kind.get("deprecated"):
        return False
    places = kind.get("locations")
    return not places or any(not place.get("deprecation") for place in places)


def flavor_record(kind: Json) -> FlavorRecord:
    return FlavorRecord(
        external_id=kind["name"],
        name=kind["name"],
        vcpus=kind["cores"],
        memory_mib=int(kind["memory"] * 1024),
        disk_gib=int(kind["disk"]),
        zones=tuple(place["name"] for place in kind.get("locations", ()) if place.get("available", True)),
        architecture=kind["architecture"],
        prices=tuple(
            Price(
                currency="EUR",
                hourly=float(price["price_hourly"]["net"]),
                monthly=float(price["price_monthly"]["net"]),
                zone=price["location"],
            )
            for price in kind["prices"]
        ),
    )
