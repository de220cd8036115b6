"""The form that makes a pool: a type, and the fields that a pool of this type needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.forms import BoundField

from providers.base.pool_sources import POOL_SHAPES
from providers.base.specs import PoolSpec
from providers.models import Provider
from providers.resource_forms import PLAIN, plain_name, text_field
from storage.models import Pool
from storage.pool_types import POOL_TYPES, keys_of, words_of


class PoolForm(forms.Form):
    """Fields of the types are named "<type>-path" and "<type>-<key>", so that what was typed for one type stays when
    another is looked at; only those of the chosen type are read.
    """

    provider = forms.ModelChoiceField(
        Provider.objects.none(), to_field_name="uuid", empty_label=None, label="Provider",
        error_messages={"required": "Choose a provider.", "invalid_choice": "Choose a provider of the list."},
    )  # fmt: skip
    name = forms.CharField(
        max_length=63,
        label="Name",
        error_messages={"required": "Give the pool a name."},
        widget=forms.TextInput(PLAIN),
    )
    type = forms.ChoiceField(
        label="Type", initial="dir", error_messages={"required": "Choose a type.", "invalid_choice": "Choose a type."}
    )
    autostart = forms.BooleanField(required=False, initial=True, label="Start with the host")

    def __init__(self, *args: Any, providers: Iterable[Provider], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.providers = list(providers)
        provider_field: Any = self.fields["provider"]
        provider_field.queryset = Provider.objects.filter(pk__in=[one.pk for one in self.providers])
        if len(self.providers) == 1:
            self.initial.setdefault("provider", self.providers[0].uuid)
        offered = {kind for one in self.providers if one.can.pools for kind in one.can.pools.types}
        self.types = [name for name in POOL_TYPES if name in offered and name in POOL_SHAPES]
        type_field: Any = self.fields["type"]
        type_field.choices = [(name, POOL_TYPES[name].label) for name in self.types]
        for type_ in self.types:
            self._add_fields(type_)

    def _add_fields(self, type_: str) -> None:
        kind = POOL_TYPES[type_]
        if POOL_SHAPES[type_].needs_path:
            self.fields[f"{type_}-path"] = text_field(kind.path_label, kind.path_hint, placeholder="/")
        for key, _ in keys_of(type_):
            label, hint = words_of(type_, key)
            self.fields[f"{type_}-{key}"] = _secret(label, hint) if key == "secret" else text_field(label, hint)

    # -- for the template ----------------------------------------------------------------------------------------------

    @property
    def cards(self) -> list[dict[str, Any]]:
        """One card a type."""
        return [
            {
                "name": name,
                "type": POOL_TYPES[name],
                "is_chosen": self["type"].value() == name,
            }
            for name in self.types
        ]

    @property
    def groups(self) -> list[tuple[str, list[tuple[BoundField, bool]]]]:
        """Type → its fields, each with whether it may be left empty."""
        return [(name, self._fields_of(name)) for name in self.types]

    def _fields_of(self, type_: str) -> list[tuple[BoundField, bool]]:
        found = [(self[f"{type_}-path"], False)] if POOL_SHAPES[type_].needs_path else []
        return found + [(self[f"{type_}-{key}"], not needed) for key, needed in keys_of(type_)]

    # -- checking ------------------------------------------------------------------------------------------------------

    def clean_name(self) -> str:
        return plain_name(self.cleaned_data["name"])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        provider, type_, name = cleaned.get("provider"), cleaned.get("type"), cleaned.get("name")
        if provider is not None and name and _is_taken(provider, name):
            self.add_error("name", f"“{provider.name}” has a pool called “{name}” already.")
        if provider is not None and type_ and not _has(provider, type_):
            self.add_error("type", f"“{provider.name}” has no pools of this type.")
        if type_:
            self._check_source(type_)
        return cleaned

    def _check_source(self, type_: str) -> None:
        for key, is_needed in keys_of(type_):
            if is_needed and not self._typed(type_, key):
                self.add_error(f"{type_}-{key}", f"{words_of(type_, key)[0]} is needed.")
        if POOL_SHAPES[type_].needs_path:
            self._check_path(type_)
        keys = [key for key, _ in keys_of(type_)]
        if "secret" in keys and bool(self._typed(type_, "secret")) != bool(self._typed(type_, "user")):
            missing = "user" if self._typed(type_, "secret") else "secret"
            self.add_error(f"{type_}-{missing}", "A user and a password go together.")

    def _check_path(self, type_: str) -> None:
        path = self._typed(type_, "path")
        if not path.startswith("/") or ".." in path.split("/"):
            self.add_error(f"{type_}-path", "Give an absolute path, such as /var/lib/libvirt/images.")

    def _typed(self, type_: str, key: str) -> str:
        return str(self.cleaned_data.get(f"{type_}-{key}", "")).strip()

    # -- what comes out ------------------------------------------------------------------------------------------------

    @property
    def spec(self) -> PoolSpec:
        """Of a form that is valid."""
        type_ = self.cleaned_data["type"]
        source = {key: self._typed(type_, key) for key, _ in keys_of(type_)}
        return PoolSpec(
            name=self.cleaned_data["name"],
            type=type_,
            path=self._typed(type_, "path").rstrip("/") if POOL_SHAPES[type_].needs_path else "",
            source={key: value for key, value in source.items() if value},
        )

    @property
    def typed(self) -> dict[str, Any]:
        """What was typed, without secrets: a failure loses nothing."""
        names = [name for name in self.fields if not name.endswith("-secret")]
        values = {name: self.data.get(name, "") for name in names}
        return {name: value for name, value in values.items() if value} | {"autostart": self.data.get("autostart", "")}


def _has(provider: Provider, type_: str) -> bool:
    return provider.can.pools is not None and type_ in provider.can.pools.types


def _is_taken(provider: Provider, name: str) -> bool:
    there = Pool.objects.filter(provider=provider, name=name, missing_since=None)
    return there.exclude(external_id="").exists()


def _secret(label: str, hint: str) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
    return forms.CharField(required=False, max_length=255, label=label, help_text=hint, widget=widget)
