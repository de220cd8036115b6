"""Form fields in the look of the pages, for any form: ours, and those of libraries that know nothing of it."""

from __future__ import annotations

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


@register.inclusion_tag("fields/field.html")
def field(bound: BoundField, **options: Any) -> dict[str, Any]:
    """Label, input, hint and errors. `label=False` keeps the label for screen readers only."""
    widget = bound.field.widget
    return {
        "field": bound,
        "is_switch": isinstance(widget, forms.CheckboxInput),
        "is_group": isinstance(widget, forms.CheckboxSelectMultiple | forms.RadioSelect),
        "is_hidden": widget.is_hidden,
        "hides_label": options.pop("label", True) is False,
        "classes": options.pop("classes", "mb-3"),
        "is_optional": bool(options.pop("optional", False)),
    }
