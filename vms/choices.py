"""Choices of the models, each with the word and the colour that pages show."""

from __future__ import annotations

from django.db import models

from providers.base import PowerState


class Presence(models.TextChoices):
    #: The row is there, the machine is not yet (or its creation failed).
    WANTED = "wanted", "Wanted"
    PRESENT = "present", "Present"
    #: The provider does not list it any more.
    MISSING = "missing", "Missing"
    DELETED = "deleted", "Deleted"


POWER_CHOICES = [(state.value, state.value.capitalize()) for state in PowerState]

#: Word, colour and icon of each power state. Grey for off: red is kept for faults.
POWER_LOOK: dict[str, tuple[str, str, str]] = {
    PowerState.RUNNING: ("Running", "green", "player-play"),
    PowerState.STOPPED: ("Off", "secondary", "player-stop"),
    PowerState.PAUSED: ("Paused", "yellow", "player-pause"),
    PowerState.SUSPENDED: ("Suspended", "azure", "zzz"),
    PowerState.STARTING: ("Starting", "blue", "loader-2"),
    PowerState.STOPPING: ("Stopping", "blue", "loader-2"),
    PowerState.CRASHED: ("Crashed", "red", "alert-triangle"),
    PowerState.UNKNOWN: ("Unknown", "secondary", "help"),
}
