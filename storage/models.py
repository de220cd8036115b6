"""What we know of a provider's pools, volumes and images."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from kvweb.accounts.models import Project
from providers.resources import Resource


class Pool(Resource):
    """Where volumes and images of a provider lie; administrators manage them, machines of all projects use them."""

    sort = "pool"
    is_shared = True

    type = models.CharField(max_length=40, blank=True)
    path = models.CharField(max_length=500, blank=True)
    is_active = models.BooleanField(default=True)
    autostart = models.BooleanField(null=True)
    capacity_gib = models.FloatField(default=0)
    allocation_gib = models.FloatField(default=0)
    available_gib = models.FloatField(default=0)
    #: When its volumes were last read; they are many, so they are read when somebody looks, and seldom otherwise.
    volumes_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "external_id"],
                condition=~models.Q(external_id=""),
                name="one_pool_per_external_id",
            )
        ]

    @property
    def used_percent(self) -> int:
        return round(100 * self.allocation_gib / self.capacity_gib) if self.capacity_gib else 0


class Volume(Resource):
    """A disk that exists whether or not a machine has it. Images are kept apart, on pages of their own."""

    sort = "volume"

    #: Whose it is; None for one that was found and belongs to nobody yet, which only administrators see.
    project = models.ForeignKey(Project, on_delete=models.SET_NULL, null=True, blank=True, related_name="volumes")
    pool = models.ForeignKey(Pool, on_delete=models.SET_NULL, null=True, blank=True, related_name="volumes")
    format = models.CharField(max_length=20, blank=True)
    size_gib = models.FloatField(default=0)
    allocation_gib = models.FloatField(default=0)
    path = models.CharField(max_length=500, blank=True)
    #: Path or id of the volume or image that it overlays.
    backing = models.CharField(max_length=500, blank=True)
    #: external_ids of the machines that have it as a disk, as told when it was last read.
    used_by = models.JSONField(default=list, blank=True)
    is_used = models.BooleanField(default=False)
    #: The file that its content is being replaced with ("name|bytes|modified"), and how much of it has arrived.
    upload_key = models.CharField(max_length=300, blank=True)
    upload_received = models.BigIntegerField(default=0)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "external_id"],
                condition=~models.Q(external_id=""),
                name="one_volume_per_external_id",
            )
        ]
        indexes = [models.Index(fields=["project", "name"], name="volume_by_project")]

    @property
    def is_overlay(self) -> bool:
        return bool(self.backing)

    @property
    def base_name(self) -> str:
        """The file that it overlays, where the provider names one."""
        return self.backing.rpartition("/")[2] if "/" in self.backing else ""


class Image(Resource):
    """What a machine's first disk or drive starts with. One that belongs to no project is there for everybody."""

    sort = "image"
    is_shared = True

    #: Whose members may see and use it; None: everybody who may use the provider.
    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True, blank=True, related_name="images")
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
    #: external_ids of the machines that have it in a drive, or a disk that builds on it, as told when it was last read.
    used_by = models.JSONField(default=list, blank=True)
    #: Where it came from: an address, or the name of the file that was sent.
    source = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "external_id"],
                condition=~models.Q(external_id=""),
                name="one_image_per_external_id",
            )
        ]

    def __str__(self) -> str:
        return self.title or self.name


class Upload(models.Model):
    """A file on its way from a browser into an image that is not made yet; it may rest for hours between two chunks."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    image = models.OneToOneField(Image, on_delete=models.CASCADE, related_name="upload")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="uploads")
    #: By these the browser's file is known again after a reload.
    file_name = models.CharField(max_length=255)
    size = models.BigIntegerField()
    modified_ms = models.BigIntegerField(default=0)
    chunk_bytes = models.PositiveIntegerField()
    received = models.BigIntegerField(default=0)
    #: SHA-256 of what arrived, chained: of the chain before and the chunk's own SHA-256, in hexadecimal.
    chain = models.CharField(max_length=64, blank=True)
    #: Of the unfinished image at the provider; empty before the first chunk.
    key = models.CharField(max_length=500, blank=True)
    #: What the person says that the file must be.
    checksum = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    touched_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.file_name

    @property
    def percent(self) -> int:
        return self.received * 100 // max(self.size, 1)

    @property
    def is_complete(self) -> bool:
        return self.received >= self.size
