"""What is asked before a machine is cloned or made into an image."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django import forms
from django.db.models import Q

from kvweb.accounts.access import projects_with
from kvweb.accounts.actions import ActionForm
from kvweb.accounts.models import Project
from storage.models import Image
from vms import validators
from vms.create_names import free_name, name_is_taken, taken
from vms.models import VirtualMachine
from vms.row_choice import RowChoice, offer

LONGEST_DESCRIPTION = 4000
WAYS = {
    "full": ("Full copy", "Stands alone. Takes the same space again, and time to copy."),
    "linked": ("Linked copy", "Ready at once and small: it keeps only what differs from the disks of now."),
}


def open_projects(vm: VirtualMachine) -> Q:
    """Projects that may use the machine's provider."""
    named = list(vm.provider.projects.values_list("pk", flat=True))
    return Q(pk__in=named) if named else Q()


def _name_field(**options: Any) -> forms.CharField:
    attrs = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false", "autofocus": True, "maxlength": 63}
    return forms.CharField(label="Name", widget=forms.TextInput(attrs=attrs), **options)


class NameForm(ActionForm):
    """A machine's name, checked before anybody asks the provider."""

    subject: VirtualMachine

    name = _name_field(error_messages={"required": "Give the machine a name."})

    def clean_name(self) -> str:
        name = validators.name(str(self.cleaned_data["name"]))
        if name_is_taken(self.subject.provider, name):
            raise forms.ValidationError(taken(self.subject.provider))
        return name


class CloneForm(NameForm):
    body_template = "vms/_clone.html"

    way = forms.ChoiceField(required=False, widget=forms.RadioSelect)
    #: Nothing said: the project of the machine that is copied.
    project = RowChoice(required=False, label="Project")
    start = forms.BooleanField(required=False, label="Start it afterwards")

    def dress(self) -> None:
        self.fields["way"].choices = [(way, WAYS[way][0]) for way in self.able]  # type: ignore[attr-defined]
        offer(self, "project", self.projects)
        self.take("name", free_name(self.subject.provider, self.subject.name))
        self.take("way", self.able[0] if self.able else "")
        mine = self.projects.filter(pk=self.subject.project_id).first()
        self.take("project", mine.uuid if mine else "")

    @cached_property
    def able(self) -> list[str]:
        can = self.subject.can.clones
        return [way for way in WAYS if can is not None and getattr(can, way)]

    @cached_property
    def projects(self) -> Any:
        return projects_with(self.user, "vm.create").filter(open_projects(self.subject)).order_by("name")

    @property
    def ways(self) -> list[dict[str, Any]]:
        chosen = self["way"].value()
        return [
            {"value": way, "label": WAYS[way][0], "meaning": WAYS[way][1], "is_chosen": way == chosen}
            for way in self.able
        ]

    def clean(self) -> dict[str, Any]:
        cleaned = dict(super().clean() or self.cleaned_data)
        way = cleaned.pop("way", "") or next(iter(self.able), "")
        return {**cleaned, "full": way == "full"}


class RenameForm(NameForm):
    def dress(self) -> None:
        self.take("name", self.subject.name)

    @property
    def question(self) -> str:
        return "The guest's own host name stays as it is." if self.subject.can.machines.cloud_init else ""

    def clean_name(self) -> str:
        name = validators.name(str(self.cleaned_data["name"]))
        if name == self.subject.name:
            raise forms.ValidationError("This is its name already.")
        return super().clean_name()


class DescribeForm(ActionForm):
    """The portal's own note about the machine."""

    subject: VirtualMachine

    description = forms.CharField(required=False, label="Description", widget=forms.Textarea(attrs={"rows": 4}))

    def dress(self) -> None:
        self.take("description", self.subject.description)

    def clean_description(self) -> str:
        text = str(self.cleaned_data.get("description") or "").replace("\r\n", "\n").strip()
        if len(text) > LONGEST_DESCRIPTION:
            raise forms.ValidationError(f"It is too long by {len(text) - LONGEST_DESCRIPTION} characters.")
        return text


class ExportForm(ActionForm):
    subject: VirtualMachine

    name = _name_field(
        error_messages={"required": "Give the image a name."},
        help_text="New machines of this project can be made from it. Passwords and keys in the guest are in it too.",
    )

    def dress(self) -> None:
        self.take("name", f"{self.subject.name}-image")

    def clean_name(self) -> str:
        name = validators.name(str(self.cleaned_data["name"]))
        if Image.objects.filter(provider=self.subject.provider, name=name, missing_since=None).exists():
            raise forms.ValidationError(taken(self.subject.provider))
        return name


class AssignForm(ActionForm):
    """Which project a machine is handed to; "Unassigned" takes it back from people."""

    project = RowChoice(missing="Choose a project.", label="Project")

    def dress(self) -> None:
        projects = Project.objects.order_by("is_unassigned", "name").exclude(pk=self.subject.project_id)
        offer(self, "project", projects, empty="choose one")

    @property
    def question(self) -> str:
        return "Members of the project see it then, and may do what their role allows. The machine is not touched."


class DeleteForm(ActionForm):
    """Says what goes with the machine; its disks may stay where the provider can leave them."""

    subject: VirtualMachine
    body_template = "vms/_delete.html"

    keep_disks = forms.BooleanField(
        required=False, label="Keep the disks", help_text="They stay as volumes and can be attached to another machine."
    )

    def dress(self) -> None:
        if not self.subject.can.machines.keep_disks:
            del self.fields["keep_disks"]
