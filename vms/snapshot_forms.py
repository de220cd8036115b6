"""What is asked before a snapshot is taken, gone back to or deleted."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django import forms
from django.utils import timezone

from kvweb.accounts.actions import ActionForm
from vms.models import VirtualMachine
from vms.snapshot_services import name_of_now
from vms.snapshot_tree import snapshots_of

#: How a snapshot can be kept: label and what it means.
KEEPS = {
    "memory": ("Disks and memory", "Going back finds the machine running, exactly as it is now."),
    "disks": ("Disks only", "Going back finds the machine off, with its disks as they are now."),
    "layers": (
        "Disks, as layers",
        "Quick, for disks of any format: what is written from now on goes into a new file.",
    ),
}


def _ways(vm: VirtualMachine) -> list[str]:
    """How snapshots of this machine can be kept now, the best first."""
    can = vm.can.snapshots
    if can is None:
        return []
    layers = ["layers"] if can.external else []
    if vm.is_off:
        return ["disks", *layers]
    return (["memory"] if can.memory else []) + (layers or ["disks"])


class TakeSnapshotForm(ActionForm):
    subject: VirtualMachine
    body_template = "vms/_take_snapshot.html"

    name = forms.CharField(
        max_length=120,
        label="Name",
        error_messages={"required": "Give the snapshot a name."},
        widget=forms.TextInput(attrs={"autofocus": True, "spellcheck": "false"}),
    )
    description = forms.CharField(
        required=False, max_length=500, label="Description", widget=forms.Textarea(attrs={"rows": 2})
    )
    keeps = forms.ChoiceField(required=False, widget=forms.RadioSelect)

    def dress(self) -> None:
        ways = _ways(self.subject)
        self.fields["keeps"].choices = [(way, KEEPS[way][0]) for way in ways]  # type: ignore[attr-defined]
        self.take("name", name_of_now())
        self.take("keeps", ways[0] if ways else "")

    @property
    def ways(self) -> list[dict[str, Any]]:
        """The choices with their meanings; nothing to choose, nothing shown."""
        chosen = self["keeps"].value()
        ways = _ways(self.subject)
        return [
            {"value": way, "label": KEEPS[way][0], "meaning": KEEPS[way][1], "is_chosen": way == chosen} for way in ways
        ]

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if not name.isprintable():
            raise forms.ValidationError("A name is one line of text.")
        if any(name == one["name"] for one in self.subject.snapshots or []):
            raise forms.ValidationError("There is a snapshot of this name; choose another.")
        return name

    def clean(self) -> dict[str, Any]:
        cleaned = dict(super().clean() or self.cleaned_data)
        keeps = cleaned.pop("keeps", "") or next(iter(_ways(self.subject)), "")
        return {**cleaned, "memory": keeps == "memory", "external": keeps == "layers"}


class OneSnapshotForm(ActionForm):
    """About one snapshot, which the link names."""

    subject: VirtualMachine

    snapshot = forms.CharField(widget=forms.HiddenInput, strip=False)

    @cached_property
    def found(self) -> dict[str, Any] | None:
        wanted = self.data.get("snapshot") if self.is_bound else self.initial.get("snapshot")
        return next((one for one in snapshots_of(self.subject) if one["name"] == wanted), None)

    @property
    def reason(self) -> str:
        return "" if self.found else "This snapshot is not there any more."

    def clean_snapshot(self) -> str:
        if self.found is None:
            raise forms.ValidationError("This snapshot is not there any more.")
        return str(self.found["name"])


class RevertForm(OneSnapshotForm):
    keep_now = forms.BooleanField(
        required=False,
        label="Take a snapshot of it as it is now, before",
        help_text="Then you can come back to what is lost otherwise.",
    )

    @property
    def title(self) -> str:
        return f"Go back to “{self.found['name']}”?" if self.found else ""

    @property
    def question(self) -> str:
        if not self.found:
            return ""
        taken = self.found["created_at"]
        since = f" on {timezone.localtime(taken):%-d %b %Y, %H:%M}" if taken else " then"
        then = (
            "It will be running, as it was."
            if self.found.get("has_memory")
            else "It will be off."
            if self.subject.is_off
            else "It runs now; afterwards it is off or starts anew."
        )
        return f"“{self.subject.name}” becomes what it was{since}. What has changed on its disks since is lost. {then}"

    def clean(self) -> dict[str, Any]:
        cleaned = dict(super().clean() or self.cleaned_data)
        before = f"Before going back to {cleaned.get('snapshot', '')}"[:100]
        return {**cleaned, "keep_now": f"{before} ({name_of_now()})" if cleaned.get("keep_now") else ""}


class DeleteSnapshotForm(OneSnapshotForm):
    @property
    def title(self) -> str:
        return f"Delete snapshot “{self.found['name']}”?" if self.found else ""

    @property
    def question(self) -> str:
        children = [one for one in snapshots_of(self.subject) if self.found and one.get("parent") == self.found["name"]]
        rest = " The snapshots that follow it stay." if children else ""
        return f"The machine stays as it is; nobody can go back to this moment any more.{rest}"

    @property
    def is_layer(self) -> bool:
        return bool(self.found and self.found.get("is_external"))

    body_template = "vms/_delete_snapshot.html"
