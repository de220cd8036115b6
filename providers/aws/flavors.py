"""Sizes: the instance types that are offered."""

from __future__ import annotations

from collections.abc import Sequence

from providers.aws import types
from providers.aws.cloud import Part
from providers.base import FlavorRecord, Flavors


class AwsFlavors(Part, Flavors):
    def list(self) -> Sequence[FlavorRecord]:
        """Smallest first; asked of AWS once a day."""
        return [one.record for one in types.offered(self.cloud)]
