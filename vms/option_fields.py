"""The options of a provider's kind as form fields and as facts: made from the kind's model and from what was probed.

`group`, `words`, `only` and `needs_admin` in a field's schema are read here (see providers/kvm/options.py). What the
provider cannot give is greyed with its reason; what reaches into the host is for administrators.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from django import forms
from pydantic import BaseModel, ValidationError

from kvweb.accounts.access import Person, allowed
from providers.forms import form_field, sentence_of
from providers.models import Provider
from providers.registry import UnknownKind, plugin

PREFIX = "option_"
#: The heading for options whose model names none.
GROUP = "Options"
FOR_ADMINISTRATORS = "Only administrators may set this: it reaches into the host."

Moment = Literal["create", "settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of a kind."""

    name: str
    title: str
    group: str
    default: Any
    schema: Mapping[str, Any]
    words: Mapping[str, str] = field(default_factory=dict)
    only: str = ""
    needs_admin: bool = False
    is_secret: bool = False

    @property
    def is_list(self) -> bool:
        return self.schema.get("type") == "array"


@cache
def _options_of(model: type[BaseModel]) -> tuple[Option, ...]:
    defaults = model().model_dump(mode="json")
    found = []
    for name, schema in model.model_json_schema().get("properties", {}).items():
        found.append(
            Option(
                name=name,
                title=schema.get("title") or name,
                group=schema.get("group", GROUP),
                default=defaults[name],
                schema=schema,
                words=schema.get("words", {}),
                only=schema.get("only", ""),
                needs_admin=bool(schema.get("needs_admin")),
                is_secret=not model.model_fields[name].repr,
            )
        )
    return tuple(found)


def options_model(provider: Provider) -> type[BaseModel] | None:
    """The kind's model; None for a kind that is not installed any more."""
    try:
        return plugin(provider.kind).options
    except UnknownKind:
        return None


def options(provider: Provider, moment: Moment) -> tuple[Option, ...]:
    """What can be said at this moment, in the model's order. A secret is told at the creation and never again."""
    model = options_model(provider)
    if model is None:
        return ()
    found = _options_of(model)
    return tuple(one for one in found if one.only in {"", moment} and not (one.is_secret and moment == "settings"))


def groups(found: Iterable[Option]) -> dict[str, list[Option]]:
    by_group: dict[str, list[Option]] = {}
    for one in found:
        by_group.setdefault(one.group, []).append(one)
    return by_group


def why_not(option: Option, provider: Provider, user: Person) -> str:
    """Why this person cannot set it at this provider; empty when they can."""
    refusal = provider.can.machines.option_refusals.get(option.name, "")
    if refusal:
        return refusal
    return FOR_ADMINISTRATORS if option.needs_admin and not allowed(user, "provider.change") else ""


def choices_of(option: Option, provider: Provider, value: Any = None) -> list[tuple[str, str]]:
    """Value and words of each choice; what is set already is among them, also when the host would not offer it."""
    offered = provider.can.machines.option_choices.get(option.name)
    if offered is not None:
        found = {str(key): words for key, words in sorted(offered.items(), key=lambda one: (one[0] != "", one[0]))}
    else:
        found = {str(key): option.words.get(str(key), str(key)) for key in option.schema.get("enum", ())}
        if "" in found:
            found[""] = option.words.get("", "automatic")
    if found and value not in (None, ""):
        for one in value if option.is_list else [value]:
            found.setdefault(str(one), str(one))
    return list(found.items())


def field_for(option: Option, provider: Provider, user: Person, value: Any) -> forms.Field:
    """The form field, greyed with its reason where it cannot be set."""
    made = form_field(option.name, option.schema, is_required=False, is_stored=False)
    choices = choices_of(option, provider, value)
    words = {"label": option.title, "help_text": option.schema.get("description", ""), "required": False}
    if choices and option.is_list:
        made = forms.MultipleChoiceField(choices=choices, widget=forms.CheckboxSelectMultiple, **words)
    elif choices:
        made = forms.ChoiceField(choices=choices, **words)
    elif option.is_secret:
        attrs = {"autocomplete": "new-password"}
        made = forms.CharField(widget=forms.PasswordInput(attrs=attrs), strip=False, **words)
    reason = why_not(option, provider, user)
    if reason:
        made.disabled, made.help_text = True, reason
    made.initial = value
    return made


def changed(found: Iterable[Option], typed: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Of what was typed all that differs from before; an emptied field is its default."""
    wanted = {}
    for one in found:
        name = f"{PREFIX}{one.name}"
        if name not in typed:
            continue
        value = typed[name]
        value = one.default if value in (None, "", []) else value
        if value != before.get(one.name, one.default):
            wanted[one.name] = value
    return wanted


def check(form: forms.Form, model: type[BaseModel], wanted: Mapping[str, Any]) -> None:
    """Let the kind's model judge; what it finds goes to the fields that it is about."""
    try:
        model.model_validate(dict(wanted))
    except ValidationError as exc:
        for error in exc.errors(include_url=False, include_input=False):
            refuse(form, str(error["loc"][0]) if error["loc"] else "", _sentence(error))


def _sentence(error: Mapping[str, Any]) -> str:
    """With the line, where one of several lines is wrong."""
    sentence, place = sentence_of(error), error["loc"]
    return f"Line {place[1] + 1}: {sentence}" if len(place) > 1 and isinstance(place[1], int) else sentence


def refuse(form: forms.Form, field_name: str, sentence: str) -> None:
    """Beside the option that a provider or a model names ("options.tpm"), or above all of them."""
    name = f"{PREFIX}{field_name.removeprefix('options.').partition('.')[0]}"
    form.add_error(name if name in form.fields else None, sentence)


def words_of(option: Option, provider: Provider, value: Any) -> str:
    """A value as a person reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    choices = dict(choices_of(option, provider))
    if isinstance(value, list | tuple):
        return "\n".join(choices.get(str(one), str(one)) for one in value) or "none"
    if value in ("", 0, None):
        return choices.get("", "not set")
    return choices.get(str(value), str(value))


def forbidden(provider: Provider, wanted: Iterable[str], user: Person) -> str:
    """The reason why this person may not ask for these options; empty when they may. For services: forms grey them."""
    names = set(wanted)
    model = options_model(provider)
    for one in _options_of(model) if model else ():
        if one.name in names and one.needs_admin and not allowed(user, "provider.change"):
            return f"{one.title}: {FOR_ADMINISTRATORS[0].lower()}{FOR_ADMINISTRATORS[1:]}"
    return ""
