"""Flavors of a simulated cloud."""

from __future__ import annotations

from collections.abc import Sequence

from providers.base import FlavorRecord, Flavors
from providers.fake.cloud import Part
from providers.fake.records import flavor_record
from providers.fake.state import Flavor


class FakeFlavors(Part, Flavors):
    def list(self) -> Sequence[FlavorRecord]:
        with self.cloud.reading("flavors.list") as tx:
            return sorted(
                (flavor_record(each) for each in tx.all(Flavor)), key=lambda each: (each.memory_mib, each.name)
            )
