"""What we know of a provider's networks."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models

from kvweb.accounts.models import Project
from providers.base import NetworkMode
from providers.resources import Resource

MODES = [
    (NetworkMode.NAT.value, "NAT"),
    (NetworkMode.ROUTE.value, "routed"),
    (NetworkMode.OPEN.value, "open"),
    (NetworkMode.ISOLATED.value, "isolated"),
    (NetworkMode.BRIDGE.value, "bridge"),
    (NetworkMode.PROVIDER.value, "provider's own"),
]


class Network(Resource):
    """A network that machines can be plugged into."""

    sort = "network"
    is_shared = True

    mode = models.CharField(max_length=20, choices=MODES)
    type = models.CharField(max_length=40, blank=True)
    cidrs = models.JSONField(default=list, blank=True)
    dhcp = models.BooleanField(null=True)
    domain = models.CharField(max_length=255, blank=True)
    is_active = models.BooleanField(default=True)
    autostart = models.BooleanField(null=True)
    bridge = models.CharField(max_length=60, blank=True)
    gateway = models.CharField(max_length=60, blank=True)
    dhcp_start = models.CharField(max_length=60, blank=True)
    dhcp_end = models.CharField(max_length=60, blank=True)
    forward_device = models.CharField(max_length=60, blank=True)
    vlan = models.PositiveIntegerField(null=True, blank=True)
    mtu = models.PositiveIntegerField(null=True, blank=True)
    #: Addresses that are kept for a card: lists of dicts with the fields of StaticLease.
    reservations = models.JSONField(default=list, blank=True)
    #: Names that the network's DNS answers besides: lists of dicts with the fields of DnsHost.
    dns_hosts = models.JSONField(default=list, blank=True)
    #: Names of the fields that are so only after the network is switched off and on.
    pending = models.JSONField(default=list, blank=True)
    #: Who has which address now, with the fields of LeaseRecord; read when somebody looks at the network.
    leases = models.JSONField(default=list, blank=True)
    #: When leases and all that a list does not tell were last read.
    read_at = models.DateTimeField(null=True, blank=True)
    #: None named: every project that may use the provider may plug machines into it.
    projects = models.ManyToManyField(Project, blank=True, related_name="networks")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "external_id"],
                condition=~models.Q(external_id=""),
                name="one_network_per_external_id",
            )
        ]

    @classmethod
    def offers(cls, keys: Iterable[int]) -> dict[int, set[int]]:
        found: dict[int, set[int]] = {}
        for key, project in cls.projects.through.objects.filter(network__in=keys).values_list("network", "project"):
            found.setdefault(key, set()).add(project)
        return found

    @property
    def label(self) -> str:
        """Name, kind of network and address range, as a person chooses by."""
        return f"{self.name} ({', '.join([self.get_mode_display(), *self.cidrs[:1]])})"
