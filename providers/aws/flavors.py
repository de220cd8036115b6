"""Sizes: the instance types that are offered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from providers.aws import prices, types
from providers.aws.cloud import Part
from providers.base import FlavorRecord, Flavors


class AwsFlavors(Part, Flavors):
    def list(self) -> Sequence[FlavorRecord]:
        """Smallest first, with their prices where the key may read them; asked of AWS once a day."""
        known = prices.by_type(self.cloud)
        return [
            replace(one.record, prices=(known[one.name],)) if one.name in known else one.record
            for one in types.offered(self.cloud)
        ]
