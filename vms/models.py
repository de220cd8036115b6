"""Machines, sizes and console grants. No provider is called from here."""

from __future__ import annotations

import uuid
from typing import Any, Protocol

from django.conf import settings
from django.db import models
from django.utils import timezone

from kvweb.accounts.models import Project
from providers.base import Capabilities, ConsoleKind, PowerState
from providers.models import Provider
from storage.models import Image
from vms.choices import POWER_CHOICES, Presence


class ActiveJob(Protocol):
    """What a machine's row needs of its active job."""

    uuid: uuid.UUID
    kind: str
    doing: str
    percent: int
    message: str
    params: dict[str, Any]
    user_id: int | None
    cancel_requested: bool


class Flavor(models.Model):
    """A size that the portal offers at providers where sizes may be chosen freely."""

    name = models.CharField(max_length=40, unique=True)
    vcpus = models.PositiveSmallIntegerField()
    memory_mib = models.PositiveIntegerField()
    disk_gib = models.PositiveIntegerField(default=0)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "vcpus", "memory_mib"]

    def __str__(self) -> str:
        return self.name


class VirtualMachine(models.Model):
    """One machine. Its state is three things that are never mixed: power, presence and the active job.

    Devices are facts told by the provider and replaced as a whole, so they are JSON columns: a sync compares and writes
    one row per machine.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="vms")
    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="vms")
    external_id = models.CharField(max_length=255, blank=True)
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    power = models.CharField(max_length=20, choices=POWER_CHOICES, default=PowerState.UNKNOWN.value)
    raw_state = models.CharField(max_length=60, blank=True)
    power_since = models.DateTimeField(null=True, blank=True)
    presence = models.CharField(max_length=20, choices=Presence.choices, default=Presence.WANTED)
    missing_since = models.DateTimeField(null=True, blank=True)
    #: Why the last thing that somebody asked for did not happen; cleared by the next success or by hand.
    problem = models.CharField(max_length=500, blank=True)
    problem_job = models.UUIDField(null=True, blank=True)

    vcpus = models.PositiveIntegerField(default=0)
    memory_mib = models.PositiveIntegerField(default=0)
    disk_gib = models.FloatField(default=0)
    flavor = models.CharField(max_length=80, blank=True)
    autostart = models.BooleanField(null=True)
    image = models.ForeignKey(Image, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    #: Whom the machine was set up for at its creation; empty: nobody said, so the image's own user.
    login = models.CharField(max_length=64, blank=True)
    host = models.CharField(max_length=255, blank=True)
    #: None: not read yet. Otherwise lists of dicts with the fields of NicRecord, DiskRecord, SnapshotRecord.
    nics = models.JSONField(null=True, blank=True)
    disks = models.JSONField(null=True, blank=True)
    snapshots = models.JSONField(null=True, blank=True)
    consoles = models.JSONField(null=True, blank=True)
    #: The kind's options as they will be at the next start; None: not told.
    options = models.JSONField(null=True, blank=True)
    #: What changes when it is next switched off and on, in words.
    pending = models.JSONField(default=list, blank=True)
    #: Whether people with the right to its console see pictures of its screen in lists and on its page.
    shows_screen = models.BooleanField(default=True)
    #: Whether it must not be deleted; whoever may change it may say so, and take it back.
    is_protected = models.BooleanField(default=False)
    #: Of the record that this row was written from; equal means that there is nothing to compare or to write.
    fingerprint = models.CharField(max_length=32, blank=True)
    #: When the provider was last asked for what this row says: news that were read before that are old.
    told_at = models.DateTimeField(null=True, blank=True)
    #: All addresses, space separated: shown in the list and searched.
    addresses = models.CharField(max_length=500, blank=True)
    #: Whether the console service listens to its serial line also while nobody watches.
    keeps_serial_log = models.BooleanField(default=False)

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "external_id"],
                condition=~models.Q(external_id=""),
                name="one_vm_per_external_id",
            )
        ]
        indexes = [
            models.Index(fields=["name", "id"], name="vm_by_name"),
            # Holds all that the list page counts by, so that counting 10,000 machines reads no row of theirs.
            models.Index(fields=["project", "provider", "power", "presence", "problem"], name="vm_by_group"),
            models.Index(fields=["project", "presence", "name"], name="vm_by_project"),
            models.Index(fields=["provider", "presence"], name="vm_by_provider"),
        ]

    #: Set by selectors that look for it; None means "no active job" only after such a look.
    active_job: ActiveJob | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def subject(self) -> str:
        return f"vm:{self.uuid}"

    @property
    def can(self) -> Capabilities:
        return self.provider.can

    @property
    def is_being_copied(self) -> bool:
        """It is wanted and nothing went wrong: a job of the machine that it is a copy of makes it."""
        return self.presence == Presence.WANTED and not self.problem and self.active_job is None

    @property
    def is_running(self) -> bool:
        return self.power == PowerState.RUNNING

    @property
    def is_off(self) -> bool:
        return self.power in {PowerState.STOPPED, PowerState.CRASHED}

    @property
    def is_paused(self) -> bool:
        return self.power == PowerState.PAUSED

    @property
    def address_list(self) -> list[str]:
        return self.addresses.split()

    def has_console(self, kind: ConsoleKind) -> bool:
        """Whether its provider carries consoles of this kind, and, where that was read, this machine has one."""
        features = self.can.consoles
        if features is None or kind not in features.kinds:
            return False
        return self.consoles is None or kind.value in self.consoles


class GuestReading(models.Model):
    """What the guest of a machine told last of itself, by its agent: strangers' text."""

    vm = models.OneToOneField(VirtualMachine, on_delete=models.CASCADE, related_name="guest_reading")
    #: When it told; None: never yet.
    told_at = models.DateTimeField(null=True, blank=True)
    #: Why it told nothing when it was last asked; empty: it did.
    problem = models.CharField(max_length=500, blank=True)
    os = models.CharField(max_length=255, blank=True)
    hostname = models.CharField(max_length=255, blank=True)
    #: Names of who is signed in; None: not told.
    users = models.JSONField(null=True, blank=True)
    #: Dicts with the fields of GuestFileSystem; None: not told.
    file_systems = models.JSONField(null=True, blank=True)

    def __str__(self) -> str:
        return f"What the guest of {self.vm} told"


class GuestLink(models.Model):
    """An address by which a colleague without an account opens one console of one machine until it expires."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    vm = models.ForeignKey(VirtualMachine, on_delete=models.CASCADE, related_name="guest_links")
    kind = models.CharField(max_length=20, choices=[(kind.value, kind.value) for kind in ConsoleKind])
    #: Whom it is for, in the words of who made it; shown to everybody at the console.
    guest_name = models.CharField(max_length=60)
    secret_hash = models.CharField(max_length=64, unique=True)
    #: Whether the guest may have the keyboard, or only watches.
    may_type = models.BooleanField(default=False)
    #: The link is as good as this person's right, and ends with it.
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["vm", "-id"], name="guest_link_by_vm")]

    def __str__(self) -> str:
        return f"{self.kind} console of {self.vm} for the guest {self.guest_name}"

    @property
    def is_valid(self) -> bool:
        """Neither expired nor taken back; whether who made it still may is asked when it is used."""
        return self.revoked_at is None and self.expires_at > timezone.now()

    @property
    def project_id(self) -> int:
        """Rights to a link are rights to its machine."""
        return self.vm.project_id


class ConsoleGrant(models.Model):
    """The right to open one console once, bound to user, session, machine and kind; only the token's hash is stored."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    vm = models.ForeignKey(VirtualMachine, on_delete=models.CASCADE, related_name="grants")
    #: A person, or the link by which a guest came: exactly one of the two.
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    guest_link = models.ForeignKey(GuestLink, on_delete=models.CASCADE, null=True, related_name="grants")
    session_key = models.CharField(max_length=64)
    kind = models.CharField(max_length=20, choices=[(kind.value, kind.value) for kind in ConsoleKind])
    token_hash = models.CharField(max_length=64, unique=True)
    view_only = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    #: Until when it must be redeemed.
    expires_at = models.DateTimeField()
    redeemed_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    #: The sentence that the person reads when it was taken back; empty: the usual one.
    revoked_why = models.CharField(max_length=120, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    bytes_to_browser = models.BigIntegerField(default=0)
    bytes_to_machine = models.BigIntegerField(default=0)
    end_reason = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["vm", "-id"], name="grant_by_vm")]

    def __str__(self) -> str:
        return f"{self.kind} console of {self.vm} for {self.user or self.guest_link}"


class ConsoleSession(models.Model):
    """One console that was opened: who is on which machine, since when and from where, and how it ended."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    vm = models.ForeignKey(VirtualMachine, on_delete=models.CASCADE, related_name="console_sessions")
    grant = models.OneToOneField(ConsoleGrant, on_delete=models.SET_NULL, null=True, related_name="console_session")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="console_sessions"
    )
    guest_link = models.ForeignKey(GuestLink, on_delete=models.SET_NULL, null=True, related_name="console_sessions")
    #: Kept beside the links, so that the row still says who when account or link are gone.
    who = models.CharField(max_length=150)
    kind = models.CharField(max_length=20, choices=[(kind.value, kind.value) for kind in ConsoleKind])
    #: May never type; `drives` tells whether what is typed is let through at the moment.
    view_only = models.BooleanField(default=False)
    drives = models.BooleanField(default=False)
    address = models.GenericIPAddressField(null=True, blank=True)
    opened_at = models.DateTimeField(auto_now_add=True)
    #: When a key, the mouse or a character last came from there.
    active_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=120, blank=True)
    bytes_to_browser = models.BigIntegerField(default=0)
    bytes_to_machine = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["vm", "-id"], name="console_session_by_vm"),
            models.Index(fields=["user", "-id"], name="console_session_by_user"),
            models.Index(fields=["-id"], condition=models.Q(ended_at=None), name="console_session_open"),
        ]

    def __str__(self) -> str:
        return f"{self.who} at the {self.kind} console of {self.vm}"

    @property
    def subject(self) -> str:
        return f"console:{self.uuid}"

    @property
    def project_id(self) -> int:
        """Rights to a session are rights to its machine."""
        return self.vm.project_id

    @property
    def is_open(self) -> bool:
        return self.ended_at is None
