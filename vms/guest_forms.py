"""What is asked before a guest is let into a console."""

from __future__ import annotations

from django import forms
from django.conf import settings

from kvweb.accounts.actions import ActionForm
from providers.base import ConsoleKind
from vms.models import VirtualMachine

LABELS = {ConsoleKind.VNC: "Screen", ConsoleKind.SERIAL: "Serial console"}
HOURS = ((1, "1 hour"), (4, "4 hours"), (8, "8 hours"), (24, "1 day"), (72, "3 days"), (168, "1 week"))


class InviteForm(ActionForm):
    subject: VirtualMachine

    guest_name = forms.CharField(
        max_length=60, label="For whom", help_text="Everybody at the console sees this name.", strip=True
    )
    kind = forms.ChoiceField(label="Console")
    hours = forms.TypedChoiceField(label="Works for", coerce=int)
    may_type = forms.BooleanField(
        required=False,
        label="May have the keyboard",
        help_text="Otherwise the guest only watches, whatever their browser sends.",
    )

    def dress(self) -> None:
        kinds = [(kind.value, label) for kind, label in LABELS.items() if self.subject.has_console(kind)]
        longest = float(settings.GUEST_LINK_MAX_HOURS)
        self.fields["kind"].choices = kinds  # type: ignore[attr-defined]
        self.fields["hours"].choices = [each for each in HOURS if each[0] <= longest]  # type: ignore[attr-defined]

    def clean_kind(self) -> str:
        return ConsoleKind(self.cleaned_data["kind"]).value
