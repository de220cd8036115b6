"""What is asked before a machine moves: where to, running or not, with its disks or without."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django import forms
from django.db.models import Q

from kvweb.accounts.actions import ActionForm
from providers.models import Health
from providers.selectors import visible_to
from vms.models import VirtualMachine
from vms.row_choice import RowChoice, offer


class MigrateForm(ActionForm):
    subject: VirtualMachine
    body_template = "vms/_migrate.html"

    target = RowChoice(missing="Choose where it is to go.", label="To")
    copy_storage = forms.BooleanField(
        required=False,
        label="Copy its disks",
        help_text="Needed unless both providers use the same storage. Takes time, and room at the target.",
    )

    def dress(self) -> None:
        can = self.subject.can.migration
        offer(self, "target", self.targets, empty="choose one" if len(self.targets) > 1 else None)
        if can is None or not can.copy_storage:
            del self.fields["copy_storage"]
        self.take("copy_storage", True)

    @cached_property
    def targets(self) -> Any:
        """Providers of the same kind that work, and that the machine's project may use."""
        vm = self.subject
        theirs = Q(projects__isnull=True) | Q(projects=vm.project_id)
        found = visible_to(self.user).filter(theirs, kind=vm.provider.kind, is_enabled=True)
        return found.exclude(pk=vm.provider_id).exclude(health=Health.FAILED).distinct().order_by("name")

    @property
    def reason(self) -> str:
        if self.targets.exists():
            return ""
        return "There is no other provider of this kind that works and that its project may use."

    @property
    def question(self) -> str:
        if self.subject.is_off:
            return "It is off, and stays off while it moves. Its name, project and history stay."
        return "It goes on running while it moves; for a moment at the end it is paused. Its history stays."

    def clean(self) -> dict[str, Any]:
        cleaned = dict(super().clean() or self.cleaned_data)
        return {**cleaned, "live": not self.subject.is_off}
