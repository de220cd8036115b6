"""The form that makes a volume."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms

from kvweb.accounts.models import Project
from kvweb.ui.words import size_words
from providers.base.specs import VolumeSpec
from providers.models import Provider
from providers.resource_forms import PLAIN, plain_name
from storage.models import Pool
from storage.volume_actions import MOST_GIB, NAME_HINT, is_taken


class VolumeForm(forms.Form):
    name = forms.CharField(
        max_length=120,
        label="Name",
        help_text=NAME_HINT,
        error_messages={"required": "Give the volume a name."},
        widget=forms.TextInput(PLAIN),
    )
    project = forms.ModelChoiceField(
        Project.objects.none(), to_field_name="uuid", empty_label=None, label="Project",
        error_messages={"required": "Choose a project.", "invalid_choice": "Choose a project of the list."},
    )  # fmt: skip
    pool = forms.ModelChoiceField(
        Pool.objects.none(), to_field_name="uuid", empty_label=None, label="Pool",
        error_messages={"required": "Choose a pool.", "invalid_choice": "Choose a pool of the list."},
    )  # fmt: skip
    size_gib = forms.IntegerField(
        min_value=1, max_value=MOST_GIB, initial=10, label="Size, in GiB",
        error_messages={"required": "Say how large it shall be.", "invalid": "Give whole GiB.",
                        "min_value": "At least 1 GiB.", "max_value": f"At most {MOST_GIB} GiB."},
    )  # fmt: skip
    format = forms.ChoiceField(label="Format", required=False)
    thick = forms.BooleanField(
        required=False,
        label="Take all the room now",
        help_text="Otherwise it takes room as it fills up.",
    )

    def __init__(
        self, *args: Any, projects: Iterable[Project], pools: Iterable[Pool], is_administrator: bool, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.is_administrator = is_administrator
        self.projects, self.pools = list(projects), list(pools)
        project: Any = self.fields["project"]
        project.queryset = Project.objects.filter(pk__in=[one.pk for one in self.projects])
        pool: Any = self.fields["pool"]
        pool.queryset = Pool.objects.filter(pk__in=[one.pk for one in self.pools]).select_related("provider")
        pool.label_from_instance = _pool_words
        formats = sorted({name for one in self.pools if one.can.volumes for name in one.can.volumes.formats})
        field: Any = self.fields["format"]
        field.choices = [("", "As the pool prefers"), *((name, name) for name in formats)]
        if len(self.projects) == 1:
            self.initial.setdefault("project", self.projects[0].uuid)

    def clean_name(self) -> str:
        return plain_name(self.cleaned_data["name"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        pool, project = cleaned.get("pool"), cleaned.get("project")
        if pool is None:
            return cleaned
        if cleaned.get("name") and is_taken(pool, cleaned["name"]):
            self.add_error("name", f"The pool has a volume called “{cleaned['name']}” already.")
        if cleaned.get("thick") and pool.capacity_gib and (cleaned.get("size_gib") or 0) > pool.available_gib:
            self.add_error("size_gib", f"The pool has only {size_words(pool.available_gib * 1024)} free.")
        if project is not None and not self.is_administrator and not _is_open_to(pool.provider, project):
            self.add_error("pool", f"“{project.name}” may not use “{pool.provider.name}”.")
        features = pool.can.volumes
        if features is not None and cleaned.get("format") and cleaned["format"] not in features.formats:
            self.add_error("format", f"“{pool.provider.name}” has no volumes of this format.")
        return cleaned

    @property
    def spec(self) -> VolumeSpec:
        """Of a form that is valid."""
        values = self.cleaned_data
        features = values["pool"].can.volumes
        return VolumeSpec(
            name=values["name"],
            size_gib=values["size_gib"],
            pool=values["pool"].external_id,
            format=values["format"],
            thin=not (values["thick"] and features is not None and features.thick),
        )

    @property
    def typed(self) -> dict[str, Any]:
        return {name: self.data.get(name, "") for name in self.fields}


def _pool_words(pool: Pool) -> str:
    room = f" ({size_words(pool.available_gib * 1024)} free)" if pool.capacity_gib else ""
    return f"{pool.name} at {pool.provider.name}{room}"


def _is_open_to(provider: Provider, project: Project) -> bool:
    return not provider.projects.exists() or provider.projects.filter(pk=project.pk).exists()
