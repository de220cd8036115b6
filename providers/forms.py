"""A form made from a kind's config model: fields, bounds, defaults and secrets follow from what pydantic knows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from pydantic import ValidationError as PydanticError

from kvweb.accounts.models import Project
from kvweb.ui.widgets import SuggestingInput
from providers.base import Config, Plugin, ProviderError
from providers.models import Provider
from providers.secrets import unseal

#: Config fields stand in the form under this prefix, so that one called "name" does no harm.
PREFIX = "config_"
KEEP = "Stored; leave empty to keep it."
#: Words in a secret's name or title that say it is more than one line.
LONG_SECRETS = ("key", "pem", "json", "certificate", "kubeconfig", "credentials")
NAME_MOST = 80
#: Most kinds have it, and hardly anybody looks for it.
LAST_GROUP = "Time limits"


class JsonField(forms.CharField):
    """A mapping, written as JSON."""

    def __init__(self, **options: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}), **options)

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else json.dumps(value) if value else ""

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return {}
        try:
            return json.loads(text)
        except ValueError:
            raise ValidationError("This is not JSON, like {“name”: “value”}.", code="json") from None


class LinesField(forms.CharField):
    """A list, one item a line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}), **options)

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else "\n".join(map(str, value or ()))

    def to_python(self, value: Any) -> Any:
        return [line.strip() for line in (super().to_python(value) or "").splitlines() if line.strip()]


class SecretField(forms.CharField):
    """Written, never shown again."""

    is_secret = True

    def __init__(self, *, is_long: bool, is_stored: bool, **options: Any) -> None:
        attrs = {"autocomplete": "new-password", "placeholder": KEEP if is_stored else "", "spellcheck": "false"}
        widget = WriteOnlyTextarea(attrs={**attrs, "rows": 5}) if is_long else forms.PasswordInput(attrs=attrs)
        super().__init__(widget=widget, strip=False, **options)

    def prepare_value(self, value: Any) -> Any:
        del value
        return ""


class WriteOnlyTextarea(forms.Textarea):
    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        del value
        return super().get_context(name, "", attrs)


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """One property's schema with references followed and "or nothing" taken away."""
    merged = dict(schema)
    if "anyOf" in merged:
        real = [one for one in merged.pop("anyOf") if one.get("type") != "null"]
        if real:
            merged = {**_resolved(real[0], definitions), **merged}
    for reference in [merged.pop("$ref", ""), *(one.get("$ref", "") for one in merged.pop("allOf", []))]:
        if reference:
            found = definitions.get(reference.rsplit("/", 1)[-1], {})
            merged = {**{key: value for key, value in found.items() if key not in {"title", "description"}}, **merged}
    return merged


def _number(kind: type[forms.IntegerField], schema: Mapping[str, Any], options: dict[str, Any]) -> forms.Field:
    least, most = schema.get("minimum"), schema.get("maximum")
    return kind(
        min_value=least,
        max_value=most,
        error_messages={
            "invalid": "A number, please." if kind is forms.FloatField else "A whole number, please.",
            "min_value": f"At least {least}.",
            "max_value": f"At most {most}.",
        },
        **options,
    )


def form_field(name: str, schema: Mapping[str, Any], *, is_required: bool, is_stored: bool) -> forms.Field:
    """The form field of one config field."""
    title = str(schema.get("title") or name.replace("_", " ").capitalize())
    options: dict[str, Any] = {
        "label": title,
        "help_text": schema.get("description", ""),
        "required": is_required,
        "error_messages": {"required": f"“{title}” is needed."},
    }
    sort = schema.get("type")
    if schema.get("format") == "password":
        is_long = schema.get("multiline", any(word in f"{name} {title}".lower() for word in LONG_SECRETS))
        return SecretField(
            is_long=is_long, is_stored=is_stored, **{**options, "required": is_required and not is_stored}
        )
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        choices = [(str(value), str(value).replace("_", " ") or "automatic") for value in values]
        return forms.ChoiceField(choices=choices, **{**options, "required": "" not in values})
    if sort == "boolean":
        return forms.BooleanField(**{**options, "required": False})
    if sort == "integer":
        return _number(forms.IntegerField, schema, _without_messages(options))
    if sort == "number":
        return _number(forms.FloatField, schema, _without_messages(options))
    if sort == "array":
        return LinesField(**options)
    if sort == "object":
        return JsonField(**options)
    if schema.get("multiline"):
        return forms.CharField(widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false"}), **options)
    if schema.get("suggestions"):
        options["widget"] = SuggestingInput(schema["suggestions"])
    return forms.CharField(max_length=schema.get("maxLength", 4000), **options)


def _without_messages(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key != "error_messages"}


#: What pydantic finds wrong, in our words; anything else is said in its own.
SENTENCES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda context: "This is needed.",
    "greater_than_equal": lambda context: f"At least {context['ge']}.",
    "greater_than": lambda context: f"More than {context['gt']}.",
    "less_than_equal": lambda context: f"At most {context['le']}.",
    "less_than": lambda context: f"Less than {context['lt']}.",
    "string_too_short": lambda context: f"At least {context['min_length']} characters.",
    "string_too_long": lambda context: f"At most {context['max_length']} characters.",
    "string_pattern_mismatch": lambda context: "This has not the right form.",
    "int_parsing": lambda context: "A whole number, please.",
    "float_parsing": lambda context: "A number, please.",
    "url_parsing": lambda context: "This is not an address like https://host.example:8443.",
    "url_scheme": lambda context: "The address begins in another way than it may.",
}


def sentence_of(error: Mapping[str, Any]) -> str:
    """One finding of pydantic as a sentence; never repeats the value, which may be a secret."""
    known = SENTENCES.get(str(error["type"]))
    if known is not None:
        return known(error.get("ctx", {}))
    text = str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _as_typed(field: forms.Field, value: Any) -> str:
    """How a value stands in its field, so that a default that was sent back is one."""
    return str(field.prepare_value(value) or "").replace("\r\n", "\n").strip()


@dataclass(frozen=True, slots=True)
class Group:
    """Settings that belong together and that most people can leave alone."""

    name: str
    fields: list[forms.BoundField]
    is_open: bool

    @property
    def titles(self) -> str:
        """What is in it, for somebody who looks for one of them."""
        return ", ".join(str(bound.label) for bound in self.fields)


class ProviderForm(forms.Form):
    """Name, the kind's own settings, and who may use it. Valid means: the kind's config model accepts it."""

    name = forms.CharField(
        max_length=NAME_MOST,
        label="Name",
        help_text="How people know it: “Lab host”, “AWS Frankfurt”.",
        error_messages={"required": "Give it a name.", "max_length": f"At most {NAME_MOST} characters."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    projects = forms.ModelMultipleChoiceField(
        queryset=Project.objects.none(),
        required=False,
        label="Projects that may use it",
        help_text="None chosen: every project may use it.",
        widget=forms.CheckboxSelectMultiple,
        error_messages={"invalid_choice": "One of these projects is not there any more."},
    )

    max_parallel = forms.IntegerField(
        label="Jobs at once",
        min_value=1,
        max_value=64,
        initial=4,
        required=False,
        help_text="Further ones wait their turn, so that a slow provider leaves workers to the others.",
        error_messages={"min_value": "At least 1.", "max_value": "At most 64.", "invalid": "A whole number, please."},
    )

    def __init__(self, *args: Any, plugin: Plugin, provider: Provider | None = None, **kwargs: Any) -> None:
        self.plugin, self.provider = plugin, provider
        self._stored = self._opened()
        if provider is not None:
            kept = {f"{PREFIX}{key}": value for key, value in provider.config.items()}
            chosen = {
                "name": provider.name,
                "projects": list(provider.projects.all()),
                "max_parallel": provider.max_parallel,
            }
            kwargs["initial"] = {**kept, **chosen, **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)
        projects: Any = self.fields["projects"]
        projects.queryset = Project.objects.filter(is_unassigned=False)
        self._add_config_fields()

    def _opened(self) -> dict[str, str]:
        """The stored secrets; none when no key opens them, so that they can be entered again."""
        try:
            return unseal(self.provider.sealed) if self.provider else {}
        except ProviderError:
            return {}

    def _add_config_fields(self) -> None:
        schema = self.plugin.config.model_json_schema()
        definitions, needed = schema.get("$defs", {}), schema.get("required", [])
        for name, raw in schema.get("properties", {}).items():
            resolved = _resolved(raw, definitions)
            is_required = name in needed
            field = form_field(name, resolved, is_required=is_required, is_stored=name in self._stored)
            if "default" in resolved and resolved["default"] is not None and not hasattr(field, "is_secret"):
                field.initial = resolved["default"]
            self.fields[f"{PREFIX}{name}"] = field

    @property
    def config_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith(PREFIX)]

    @property
    def plain_fields(self) -> list[forms.BoundField]:
        """The settings that everybody sees first."""
        return [bound for bound in self.config_fields if not self._group_of(bound)]

    @property
    def groups(self) -> list[Group]:
        """The others, by the group that the kind names; one in which something was set or is wrong stands open."""
        found: dict[str, list[forms.BoundField]] = {}
        for bound in self.config_fields:
            if name := self._group_of(bound):
                found.setdefault(name, []).append(bound)
        ordered = sorted(found.items(), key=lambda item: item[0] == LAST_GROUP)
        return [Group(name, fields, any(map(self._speaks, fields))) for name, fields in ordered]

    def _group_of(self, bound: forms.BoundField) -> str:
        extra = self.plugin.config.model_fields[bound.name.removeprefix(PREFIX)].json_schema_extra
        return str(extra.get("group", "")) if isinstance(extra, dict) else ""

    def _speaks(self, bound: forms.BoundField) -> bool:
        is_stored = bound.name.removeprefix(PREFIX) in self._stored
        field = bound.field
        return bool(bound.errors) or is_stored or _as_typed(field, bound.value()) != _as_typed(field, field.initial)

    def clean_name(self) -> str:
        name: str = " ".join(self.cleaned_data["name"].split())
        taken = Provider.objects.filter(name__iexact=name)
        if self.provider is not None:
            taken = taken.exclude(pk=self.provider.pk)
        if taken.exists():
            raise ValidationError("Another provider has this name; choose another.", code="taken")
        return name

    def clean_max_parallel(self) -> int:
        """Left empty it is what it was."""
        kept = self.provider.max_parallel if self.provider else self.fields["max_parallel"].initial
        return int(self.cleaned_data.get("max_parallel") or kept)

    def clean(self) -> dict[str, Any]:
        """Let the model judge; its findings go to the fields they are about."""
        values = self._values()
        try:
            self.cleaned_data["config"] = self.plugin.config.model_validate(values)
        except PydanticError as exc:
            for error in exc.errors(include_url=False, include_input=False):
                self._note(error)
        return self.cleaned_data

    def _values(self) -> dict[str, Any]:
        """What was typed, over what is stored; an empty optional field is left to its default."""
        values: dict[str, Any] = {}
        for full_name, field in self.fields.items():
            name = full_name.removeprefix(PREFIX)
            if name == full_name:
                continue
            typed = self.cleaned_data.get(full_name)
            if hasattr(field, "is_secret"):
                secret = typed or self._stored.get(name)
                values.update({name: secret} if secret else {})
            elif typed not in (None, "") or (typed == "" and self._may_be_empty_text(name)):
                values[name] = typed
        return values

    def _may_be_empty_text(self, name: str) -> bool:
        """A text that was cleared is empty, and does not jump back to a default that is not."""
        return self.plugin.config.model_fields[name].annotation is str and not self.fields[f"{PREFIX}{name}"].required

    def _note(self, error: Mapping[str, Any]) -> None:
        where = f"{PREFIX}{error['loc'][0]}" if error["loc"] else None
        if where not in self.fields:
            where = None
        if where is None or where not in self.errors:
            self.add_error(where, ValidationError(sentence_of(error), code=str(error["type"])))

    @property
    def config(self) -> Config:
        config: Config = self.cleaned_data["config"]
        return config

    @property
    def typed_config(self) -> dict[str, Any]:
        """What `services.change` takes: open values, and of the secrets those that were entered anew."""
        return {name: value for name, value in self._values().items() if name not in self._stored or self._is_new(name)}

    def _is_new(self, name: str) -> bool:
        return bool(self.cleaned_data.get(f"{PREFIX}{name}"))
