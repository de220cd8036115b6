"""Small parts of forms that make something at a provider."""

from __future__ import annotations

import re

from django import forms
from django.core.exceptions import ValidationError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
#: No browser corrects the spelling of a path or an address.
PLAIN = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}


def plain_name(name: str) -> str:
    """A name that every provider takes and every shell leaves alone; raises ValidationError."""
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise ValidationError("Use letters, digits, “.”, “-” and “_”, and begin with a letter or digit.")
    return name


def text_field(label: str, hint: str, *, placeholder: str = "") -> forms.CharField:
    """A short text that may stay empty."""
    attrs = {**PLAIN, **({"placeholder": placeholder} if placeholder else {})}
    return forms.CharField(required=False, max_length=255, label=label, help_text=hint, widget=forms.TextInput(attrs))
