"""What we know of a provider's pools and images; volumes of machines are read with their machines."""

from __future__ import annotations

import uuid

from django.db import models

from providers.models import Provider


class Pool(models.Model):
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="pools")
    external_id = models.CharField(max_length=255)
    name = models.CharField(max_length=255)
    type = models.CharField(max_length=40, blank=True)
    is_active = models.BooleanField(default=True)
    capacity_gib = models.FloatField(default=0)
    allocation_gib = models.FloatField(default=0)
    available_gib = models.FloatField(default=0)
    missing_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["provider", "external_id"], name="one_pool_per_external_id")]

    def __str__(self) -> str:
        return self.name

    @property
    def used_percent(self) -> int:
        return round(100 * self.allocation_gib / self.capacity_gib) if self.capacity_gib else 0


class Image(models.Model):
    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="images")
    external_id = models.CharField(max_length=255)
    name = models.CharField(max_length=255)
    #: What people call it; the provider's name when empty.
    title = models.CharField(max_length=120, blank=True)
    pool = models.CharField(max_length=255, blank=True)
    format = models.CharField(max_length=20, blank=True)
    is_iso = models.BooleanField(default=False)
    size_gib = models.FloatField(default=0)
    stored_bytes = models.BigIntegerField(default=0)
    os = models.CharField(max_length=60, blank=True)
    default_user = models.CharField(max_length=60, blank=True)
    #: Smallest sensible memory; the create form takes it as its default where no size is chosen.
    min_memory_mib = models.PositiveIntegerField(default=0)
    missing_since = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["provider", "external_id"], name="one_image_per_external_id")]

    def __str__(self) -> str:
        return self.title or self.name
