"""Form fields in the look of the pages, for any form: ours, and those of libraries that know nothing of it."""

from __future__ import annotations

import re
from typing import Any

from django import forms, template
from django.forms import BoundField
from django.utils.safestring import SafeString

register = template.Library()


def _classes(field: BoundField) -> str:
    widget = field.field.widget
    if isinstance(widget, forms.CheckboxInput | forms.CheckboxSelectMultiple | forms.RadioSelect):
        own = "form-check-input"
    elif isinstance(widget, forms.Select):
        own = "form-select"
    else:
        own = "form-control"
    return " ".join(filter(None, [own, widget.attrs.get("class", ""), "is-invalid" if field.errors else ""]))


@register.simple_tag
def control(field: BoundField, **attributes: Any) -> SafeString:
    """The input alone, with classes, and tied to its error and its hint for screen readers."""
    attrs = {name.replace("_", "-"): value for name, value in attributes.items()}
    described = []
    if field.errors:
        described.append(f"{field.auto_id}_error")
        attrs["aria-invalid"] = "true"
    if field.help_text:
        described.append(f"{field.auto_id}_hint")
    if described:
        attrs["aria-describedby"] = " ".join(described)
    return field.as_widget(attrs={**attrs, "class": _classes(field)})


#: What the sign-in library says, and how we say it; longer phrases first.
OUR_WORDS = {
    "Two-Factor Authentication": "Second factor",
    "protected by two-factor authentication": "protected by a second factor",
    "with two-factor authentication": "with a second factor",
    "two-factor authentication": "the second factor",
    "Please reauthenticate to safeguard your account.": "Show once more that it is you.",
    "Authentication using an authenticator app is active.": "It is asked for its code when you sign in.",
    "An authenticator app is not active.": "None is set up.",
    "You are about to deactivate authenticator app based authentication.": "You will sign in with the password alone.",
    "authenticator code": "code of your authenticator app",
    "Authenticator code": "Code of your authenticator app",
    "Bad Token": "This link is no longer good",
    "Confirm Access": "Is it you?",
    "Deactivate": "Switch off",
    "Activate": "Set up",
}
_CAPITAL = re.compile(r"(?<=[a-z] )([A-Z])(?=[a-z-])")
#: The word alone, never a part of somebody's address or of an attribute.
_EMAIL = re.compile(r"(?<![\w.@+/=\"-])([Ee])mail(?![\w@+-]|\.\w)")


@register.filter(is_safe=True)
def in_our_words(text: str) -> str:
    """A sentence of the library as we would say it."""
    for theirs, ours in OUR_WORDS.items():
        text = text.replace(theirs, ours)
    return _EMAIL.sub(r"\1-mail", text)


@register.filter(is_safe=True)
def as_title(text: str) -> str:
    """A heading or button of the library: our words, and one capital at the beginning."""
    return _CAPITAL.sub(lambda found: found[1].lower(), in_our_words(text))


@register.inclusion_tag("fields/field.html")
def field(bound: BoundField, **options: Any) -> dict[str, Any]:
    """Label, input, hint and errors. `label=False` keeps the label for screen readers only."""
    widget = bound.field.widget
    if options.pop("in_our_words", False):
        bound.label = as_title(str(bound.label))
        # The library repeats the label inside the field.
        widget.attrs.pop("placeholder", None)
    return {
        "field": bound,
        "is_switch": isinstance(widget, forms.CheckboxInput),
        "is_group": isinstance(widget, forms.CheckboxSelectMultiple | forms.RadioSelect),
        "is_hidden": widget.is_hidden,
        "hides_label": options.pop("label", True) is False,
        "classes": options.pop("classes", "mb-3"),
        "is_optional": bool(options.pop("optional", False)),
    }
