"""The options of the chosen provider's kind on the create page: fields under headings, checked by the kind's model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms

from kvweb.accounts.models import User
from providers.models import Provider
from vms import option_fields
from vms.option_fields import PREFIX, Option

#: Stands in the page beside the fields: without it a missing checkbox would mean nothing.
SHOWN = "options_shown"


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    fields: list[forms.BoundField]
    is_open: bool


class CreateOptions:
    """What the create form holds of options: adds its fields, reads them again."""

    def __init__(self, form: forms.Form, provider: Provider | None, user: User) -> None:
        self.form, self.provider = form, provider
        self.found: tuple[Option, ...] = option_fields.options(provider, "create") if provider else ()
        # A POST that says nothing of options (a script's) leaves them all to the provider.
        self.is_asked = not form.is_bound or SHOWN in form.data
        if provider is None or not self.is_asked:
            return
        for one in self.found:
            value = self._first_value(one)
            form.fields[f"{PREFIX}{one.name}"] = option_fields.field_for(one, provider, user, value)
            form.initial.setdefault(f"{PREFIX}{one.name}", value)

    def _first_value(self, one: Option) -> Any:
        typed = self.form.initial.get(f"{PREFIX}{one.name}")
        if typed is None:
            is_unchecked = SHOWN in self.form.initial and isinstance(one.default, bool)
            return False if is_unchecked else one.default
        return typed

    def groups(self) -> list[Group]:
        """Fields under their headings; what cannot be had here at all is not offered when a machine is made."""
        refusals = self.provider.can.machines.option_refusals if self.provider else {}
        made = []
        for name, members in option_fields.groups(self.found).items():
            bound = [
                self.form[f"{PREFIX}{one.name}"]
                for one in members
                if f"{PREFIX}{one.name}" in self.form.fields and one.name not in refusals
            ]
            if bound:
                made.append(Group(name, bound, any(field.errors or self._differs(field) for field in bound)))
        return made

    def _differs(self, bound: forms.BoundField) -> bool:
        one = next(one for one in self.found if f"{PREFIX}{one.name}" == bound.name)
        return not bound.field.disabled and (bound.value() or None) != (one.default or None)

    @property
    def has_values(self) -> bool:
        return any(group.is_open for group in self.groups())

    @property
    def has_errors(self) -> bool:
        return any(name.startswith(PREFIX) for name in self.form.errors)

    def clean(self) -> dict[str, Any]:
        """The options that differ from their default; what is wrong goes beside its field."""
        if self.provider is None or not self.is_asked:
            return {}
        open_to = [one for one in self.found if not self.form.fields[f"{PREFIX}{one.name}"].disabled]
        wanted = option_fields.changed(open_to, self.form.cleaned_data, {})
        model = option_fields.options_model(self.provider)
        if model is not None and not self.has_errors:
            option_fields.check(self.form, model, wanted)
        return wanted

    @property
    def secrets(self) -> frozenset[str]:
        """Names of fields that are not remembered."""
        return frozenset(f"{PREFIX}{one.name}" for one in self.found if one.is_secret)


def typed(data: Mapping[str, Any], lists: Any) -> dict[str, Any]:
    """Of a POST what was said about options; `lists` gives all values of a name, for boxes that can all be ticked."""
    if SHOWN not in data:
        return {}
    values: dict[str, Any] = {SHOWN: "1"}
    for name in data:
        if name.startswith(PREFIX):
            several = lists(name) if lists else [data[name]]
            values[name] = several if len(several) > 1 else several[0]
    return values
