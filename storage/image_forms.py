"""Forms that add an image: where it shall lie and for whom, and what it is called; then where it comes from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from kvweb.accounts.models import Project
from kvweb.ui.words import size_words
from providers.base import InvalidRequest
from providers.models import Provider
from providers.transfer.checksums import read_checksum
from providers.transfer.http import check_url
from storage.catalogue import Entry
from storage.image_names import NAME_HINT, is_name, name_from
from storage.image_services import Wish, fetch_rules
from storage.models import Image, Pool

_PLAIN = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
EVERYBODY = "everybody"


class WhereForm(forms.Form):
    """Pool and project: all that an entry of the catalogue needs."""

    place = forms.ChoiceField(
        label="Where", error_messages={"required": "Choose a pool.", "invalid_choice": "Choose a pool of the list."}
    )
    project = forms.ChoiceField(
        label="For whom",
        error_messages={"required": "Choose a project.", "invalid_choice": "Choose a project of the list."},
    )

    def __init__(
        self, *args: Any, pools: Iterable[Pool], projects: Iterable[Project], for_everybody: bool, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.pools = {str(pool.uuid): pool for pool in pools}
        self.projects = {str(project.uuid): project for project in projects}
        self.for_everybody = for_everybody
        place: Any = self.fields["place"]
        place.choices = [(uuid, _pool_words(pool)) for uuid, pool in self.pools.items()]
        project: Any = self.fields["project"]
        everybody = [(EVERYBODY, "Everybody who may use the provider")] if for_everybody else []
        project.choices = [*everybody, *((uuid, f"Project {one.name}") for uuid, one in self.projects.items())]

    @property
    def is_possible(self) -> bool:
        """Whether there is a place, and somebody, to add an image for."""
        return bool(self.pools) and (self.for_everybody or bool(self.projects))

    @property
    def has_one_project(self) -> bool:
        return len(self.projects) + self.for_everybody == 1

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        pool, project = self.pools.get(cleaned.get("place", "")), self.projects.get(cleaned.get("project", ""))
        if pool is not None and project is not None and not self.for_everybody:
            provider = pool.provider
            if provider.projects.exists() and not provider.projects.filter(pk=project.pk).exists():
                self.add_error("place", f"“{project.name}” may not use “{provider.name}”.")
        return cleaned

    def wish(self, **said: Any) -> Wish:
        """Of a form that is valid."""
        pool = self.pools[self.cleaned_data["place"]]
        project = self.projects.get(self.cleaned_data["project"])
        return Wish(provider=pool.provider, project=project, pool=pool.external_id, **said)

    def wish_for(self, entry: Entry) -> Wish:
        return self.wish(
            name=entry.name,
            title=entry.title,
            os=entry.os,
            default_user=entry.default_user,
            min_memory_mib=entry.min_memory_mib,
            is_iso=entry.is_iso,
        )

    def is_taken(self, name: str) -> bool:
        pool = self.pools.get(self.cleaned_data.get("place", ""))
        if pool is None:
            return False
        there = Image.objects.filter(provider=pool.provider, name=name, missing_since=None)
        # Wishes whose creation failed do not stand in the way; the others do.
        return there.filter(pool=pool.external_id).exclude(external_id="", problem__gt="").exists()


class OwnForm(WhereForm):
    """What a person says of an image that no catalogue knows."""

    title = forms.CharField(max_length=120, required=False, label="Title", help_text="What people call it.")
    name = forms.CharField(
        max_length=120, required=False, label="Name in the pool", help_text=f"Empty: as the file. {NAME_HINT}",
        widget=forms.TextInput(attrs=_PLAIN),
    )  # fmt: skip
    os = forms.CharField(max_length=60, required=False, label="System")
    default_user = forms.CharField(
        max_length=60, required=False, label="User name", help_text="Whom the image sets up by itself, as “debian”.",
        widget=forms.TextInput(attrs=_PLAIN),
    )  # fmt: skip
    checksum = forms.CharField(
        max_length=200, required=False, label="Checksum", help_text="SHA-256 or SHA-512, as the vendor publishes it.",
        widget=forms.TextInput(attrs={**_PLAIN, "placeholder": "sha256:…"}),
    )  # fmt: skip

    def clean_checksum(self) -> str:
        try:
            checksum = read_checksum(self.cleaned_data["checksum"])
        except InvalidRequest as exc:
            raise ValidationError(exc.reason) from exc
        return str(checksum) if checksum else ""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        name = cleaned.get("name") or name_from(self.source)
        cleaned["name"] = name
        if not is_name(name):
            self.add_error("name", "Give it a name: letters, digits, “.”, “-” and “_”, a letter or digit first.")
        elif self.is_taken(name):
            self.add_error("name", f"The pool holds an image “{name}” already.")
        return cleaned

    @property
    def source(self) -> str:
        """The file or address whose name is taken where none was given."""
        raise NotImplementedError

    @property
    def own_wish(self) -> Wish:
        values = self.cleaned_data
        return self.wish(
            name=values["name"], title=values["title"], os=values["os"], default_user=values["default_user"]
        )

    @property
    def typed(self) -> dict[str, Any]:
        return {name: self.data.get(name, "") for name in self.fields}


class UrlForm(OwnForm):
    url = forms.CharField(
        max_length=500, label="Address", error_messages={"required": "Give the address of the file."},
        widget=forms.TextInput(attrs={**_PLAIN, "inputmode": "url", "placeholder": "https://…"}),
        help_text="A qcow2, raw or ISO image, packed with xz, gzip, bzip2 or zstd or not.",
    )  # fmt: skip

    @property
    def source(self) -> str:
        return str(self.cleaned_data.get("url", ""))

    def clean_url(self) -> str:
        url = self.cleaned_data["url"].strip()
        try:
            check_url(url, fetch_rules())
        except InvalidRequest as exc:
            raise ValidationError(exc.reason) from exc
        return str(url)


class UploadForm(OwnForm):
    """What goes with a file; the file itself comes in chunks, by a script."""

    file_name = forms.CharField(max_length=255, widget=forms.HiddenInput)
    size = forms.IntegerField(min_value=0, max_value=2**53, widget=forms.HiddenInput)
    modified_ms = forms.IntegerField(required=False, min_value=0, max_value=2**53, widget=forms.HiddenInput)

    @property
    def source(self) -> str:
        return str(self.cleaned_data.get("file_name", ""))


def _pool_words(pool: Pool) -> str:
    free = f", {size_words(pool.available_gib * 1024)} free" if pool.capacity_gib else ""
    return f"{pool.name} at {pool.provider.name}{free}"


def takes(provider: Provider, feature: str) -> bool:
    """Whether images can be added there in this way."""
    can = provider.can.images
    return can is not None and bool(getattr(can, feature))
