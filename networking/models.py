"""What we know of a provider's networks."""

from __future__ import annotations

import uuid

from django.db import models

from providers.base import NetworkMode
from providers.models import Provider

MODES = [
    (NetworkMode.NAT.value, "NAT"),
    (NetworkMode.ROUTE.value, "routed"),
    (NetworkMode.OPEN.value, "open"),
    (NetworkMode.ISOLATED.value, "isolated"),
    (NetworkMode.BRIDGE.value, "bridge"),
    (NetworkMode.PROVIDER.value, "provider's own"),
]


class Network(models.Model):
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="networks")
    external_id = models.CharField(max_length=255)
    name = models.CharField(max_length=255)
    mode = models.CharField(max_length=20, choices=MODES)
    type = models.CharField(max_length=40, blank=True)
    cidrs = models.JSONField(default=list, blank=True)
    dhcp = models.BooleanField(null=True)
    domain = models.CharField(max_length=255, blank=True)
    is_active = models.BooleanField(default=True)
    missing_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["provider", "external_id"], name="one_network_per_external_id")]

    def __str__(self) -> str:
        return self.name

    @property
    def label(self) -> str:
        """Name, kind of network and address range, as a person chooses by."""
        return f"{self.name} ({', '.join([self.get_mode_display(), *self.cidrs[:1]])})"
