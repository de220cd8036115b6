"""Flavors of the cloud that the project may use."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import FlavorRecord, Flavors
from providers.openstack.errors import vendor_calls
from providers.openstack.records import flavor_record
from providers.openstack.servers import ServerPart


class OpenStackFlavors(ServerPart, Flavors):
    def list(self) -> Sequence[FlavorRecord]:
        with vendor_calls():
            found = [flavor_record(each) for each in self.flavors()]
        return sorted(found, key=lambda each: (each.memory_mib, each.vcpus, each.name))
