"""What a person can do to an image: the table from which buttons, API and rights tests are made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django import forms

from kvweb.accounts.actions import ActionForm, Answer, after
from kvweb.accounts.models import Project, User
from providers.machines import machines_at
from providers.resource_actions import ResourceAction, note_dismissal, row_dismissal
from providers.resources import ready
from storage import image_services as services
from storage.image_looks import has_upload
from storage.models import Image

ImageAction = ResourceAction[Image]


class DescribeForm(ActionForm):
    # A dialog has a title of its own.
    known_as = forms.CharField(max_length=120, required=False, label="Title", help_text="What people call it.")
    os = forms.CharField(
        max_length=60, required=False, label="System", help_text="For instance “debian”; chooses the picture."
    )
    default_user = forms.CharField(
        max_length=60, required=False, label="User name", help_text="Whom the image sets up by itself."
    )
    min_memory_mib = forms.IntegerField(
        min_value=0, max_value=1024 * 1024, required=False, label="Least memory, in MiB", help_text="0: not known."
    )

    def dress(self) -> None:
        self.take("known_as", self.subject.title)
        for name in ("os", "default_user", "min_memory_mib"):
            self.take(name, getattr(self.subject, name))
        self.fields["known_as"].widget.attrs.update(autofocus=True, placeholder=self.subject.name)


class ShareForm(ActionForm):
    project = forms.ModelChoiceField(
        Project.objects.none(), to_field_name="uuid", required=False, empty_label="Everybody who may use the provider",
        label="For whom", help_text="Machines that were made from it are not touched.",
    )  # fmt: skip

    def dress(self) -> None:
        project: Any = self.fields["project"]
        project.queryset = Project.objects.filter(is_unassigned=False)
        if self.subject.project is not None:
            self.take("project", self.subject.project.uuid)


def _describe(image: Image, *, known_as: str, user: User, **said: Any) -> None:
    services.change(image, title=known_as, user=user, **said)


@after(ready)
def _when_unused(image: Image) -> Answer:
    if not image.used_by:
        return True
    # Facts are as old as the last reading; machines that are gone meanwhile do not hold it.
    count = len(machines_at([image.provider_id], external_ids=image.used_by))
    if not count:
        return True
    return f"{'A machine uses' if count == 1 else f'{count} machines use'} it."


def _when_resting(image: Image) -> Answer:
    return "It has arrived, and is being checked." if image.active_job is not None else True


DESCRIBE = ImageAction(
    name="describe",
    label="Describe",
    doing="Changing",
    icon="pencil",
    verb="image.change",
    needs=lambda image: not image.is_wanted,
    run=_describe,
    form=DescribeForm,
    done="Saved.",
    in_the_open=True,
)
SHARE = ImageAction(
    name="share",
    label="Say who may use it",
    doing="Changing",
    icon="folder",
    verb="storage.manage",
    needs=lambda image: not image.is_wanted,
    run=services.share,
    form=ShareForm,
    done="Saved.",
)
CANCEL = ImageAction(
    name="cancel-upload",
    label="Cancel the upload",
    doing="Cancelling",
    icon="ban",
    verb="image.create",
    needs=lambda image: image.is_wanted and has_upload(image),
    when=_when_resting,
    run=services.cancel_upload,
    confirm="ask",
    question="What has arrived of “{name}” is thrown away.",
    is_destructive=True,
    in_the_open=True,
)
DELETE = ImageAction(
    name="delete",
    label="Delete",
    doing="Deleting",
    icon="trash",
    verb="image.change",
    needs=lambda image: image.can.images is not None and image.can.images.delete and not image.is_wanted,
    when=_when_unused,
    run=services.delete,
    confirm="type",
    question="“{name}” is deleted for good. Machines that were made from it as full copies keep theirs.",
    is_destructive=True,
)
#: An upload that goes on is cancelled instead.
DISMISS: ImageAction = replace(
    row_dismissal("image.change", services.dismiss),
    needs=lambda image: (image.is_wanted and not has_upload(image)) or image.is_missing,
)
DISMISS_PROBLEM: ImageAction = note_dismissal("image.change")

#: In the order in which every page shows them.
ACTIONS: dict[str, ImageAction] = {
    action.name: action for action in (DESCRIBE, SHARE, CANCEL, DELETE, DISMISS, DISMISS_PROBLEM)
}
