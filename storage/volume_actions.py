"""What a person can do to a volume: the table from which buttons, API and rights tests are made."""

from __future__ import annotations

import math
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from kvweb.accounts.actions import ActionForm, Answer, after
from kvweb.accounts.models import Project
from kvweb.ui.words import size_words
from providers.resource_actions import ResourceAction, note_dismissal, row_dismissal
from providers.resource_forms import PLAIN, plain_name
from providers.resources import ready
from storage import volume_services as services
from storage.models import Pool, Volume
from storage.selectors import usable_pools

VolumeAction = ResourceAction[Volume]

NAME_HINT = "Letters, digits, “.”, “-” and “_”."
MOST_GIB = 65536


def is_taken(pool: Pool | None, name: str) -> bool:
    return Volume.objects.filter(pool=pool, name=name, missing_since=None).exclude(external_id="").exists()


def pool_words(pool: Pool) -> str:
    """A pool that is not switched on, or has no bounds, tells no room."""
    return f"{pool.name} ({size_words(pool.available_gib * 1024)} free)" if pool.capacity_gib else pool.name


@after(ready)
def _when_free(volume: Volume) -> Answer:
    return "A machine has it; detach it there first." if volume.is_used else True


class GrowForm(ActionForm):
    size_gib = forms.IntegerField(
        max_value=MOST_GIB,
        label="New size, in GiB",
        error_messages={"required": "Say how large it shall be.", "invalid": "Give whole GiB."},
    )

    def dress(self) -> None:
        field: Any = self.fields["size_gib"]
        volume: Volume = self.subject
        now = math.ceil(volume.size_gib)
        field.widget.attrs.update(min=now + 1, autofocus=True, inputmode="numeric")
        self.take("size_gib", now + max(1, now // 2))
        pool = volume.pool
        room = f" The pool has {size_words(pool.available_gib * 1024)} free." if pool and pool.capacity_gib else ""
        field.help_text = f"It has {size_words(volume.size_gib * 1024)} now, and can never shrink again.{room}"

    def clean_size_gib(self) -> int:
        size: int = self.cleaned_data["size_gib"]
        if size <= self.subject.size_gib:
            raise ValidationError(f"A volume only grows: more than {size_words(self.subject.size_gib * 1024)}.")
        return size


class CloneForm(ActionForm):
    name = forms.CharField(max_length=120, label="Name of the copy", help_text=NAME_HINT)
    pool = forms.ModelChoiceField(Pool.objects.none(), to_field_name="uuid", empty_label=None, label="Pool")

    def dress(self) -> None:
        volume: Volume = self.subject
        stem, dot, ending = volume.name.rpartition(".")
        self.take("name", f"{stem}-copy{dot}{ending}" if dot else f"{volume.name}-copy")
        pool: Any = self.fields["pool"]
        pool.queryset = usable_pools(volume.provider)
        pool.label_from_instance = pool_words
        if volume.pool is not None:
            self.take("pool", volume.pool.uuid)
        self.fields["name"].widget.attrs.update(PLAIN, autofocus=True)

    def clean_name(self) -> str:
        return plain_name(self.cleaned_data["name"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("name") and is_taken(cleaned.get("pool"), cleaned["name"]):
            self.add_error("name", f"The pool has a volume called “{cleaned['name']}” already.")
        return cleaned


class AssignForm(ActionForm):
    project = forms.ModelChoiceField(
        Project.objects.none(), to_field_name="uuid", empty_label=None, label="Project",
        help_text="Its members then see the volume and can attach it. Nothing is touched at the provider.",
    )  # fmt: skip

    @property
    def title(self) -> str:
        return f"Hand “{self.subject.name}” to a project"

    def dress(self) -> None:
        project: Any = self.fields["project"]
        project.queryset = Project.objects.filter(is_unassigned=False).exclude(pk=self.subject.project_id)


GROW = VolumeAction(
    name="grow",
    label="Grow",
    doing="Growing",
    icon="arrow-autofit-height",
    verb="volume.change",
    needs=lambda volume: volume.can.volumes is not None and volume.can.volumes.grow and not volume.is_wanted,
    when=ready,
    run=services.grow,
    form=GrowForm,
    done="The volume has its new size.",
    in_the_open=True,
)
CLONE = VolumeAction(
    name="clone",
    label="Copy",
    doing="Copying",
    icon="copy",
    verb="volume.create",
    needs=lambda volume: volume.can.volumes is not None and volume.can.volumes.clone and volume.project_id is not None,
    when=ready,
    run=services.clone,
    form=CloneForm,
    question="A copy that stands alone, with the same content.",
    done="The copy is made.",
)
DOWNLOAD = VolumeAction(
    name="download",
    label="Download",
    doing="Downloading",
    icon="download",
    # What is stored in it may hold secrets: whoever may only look at machines does not get it.
    verb="volume.change",
    needs=lambda volume: volume.can.volumes is not None and volume.can.volumes.download and not volume.is_wanted,
    when=ready,
    run=lambda volume, user: None,
    page="transfer:volume",
)
UPLOAD = VolumeAction(
    name="upload",
    label="Replace its content",
    doing="Uploading",
    icon="upload",
    verb="volume.change",
    needs=lambda volume: volume.can.volumes is not None and volume.can.volumes.upload and not volume.is_wanted,
    when=_when_free,
    run=lambda volume, user: None,
    page="volumes:upload",
)
ASSIGN = VolumeAction(
    name="assign",
    label="Hand to a project",
    doing="Handing over",
    icon="folder",
    verb="volume.assign",
    needs=lambda volume: not volume.is_wanted,
    run=services.assign,
    form=AssignForm,
    done="The volume belongs to the project now.",
)
DELETE = VolumeAction(
    name="delete",
    label="Delete",
    doing="Deleting",
    icon="trash",
    verb="volume.delete",
    needs=lambda volume: volume.can.volumes is not None and not volume.is_wanted,
    when=_when_free,
    run=services.delete,
    confirm="type",
    question="“{name}” and all that is stored in it are deleted for good.",
    is_destructive=True,
)
DISMISS_PROBLEM: VolumeAction = note_dismissal("volume.change")
DISMISS: VolumeAction = row_dismissal("volume.delete")

#: In the order in which every page shows them.
ACTIONS: dict[str, VolumeAction] = {
    action.name: action for action in (GROW, CLONE, DOWNLOAD, UPLOAD, ASSIGN, DELETE, DISMISS_PROBLEM, DISMISS)
}
