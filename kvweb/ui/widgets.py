"""Inputs that browsers help to fill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString


class SuggestingInput(forms.TextInput):
    """Text with suggestions, value → its name for people; anything else may be typed too."""

    def __init__(self, suggestions: Mapping[str, str], attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"autocomplete": "off", "spellcheck": "false", "data-combo": "", **(attrs or {})})
        self.suggestions = suggestions

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        list_id = f"{(attrs or {}).get('id') or name}_suggestions"
        box = super().render(name, value, {**(attrs or {}), "list": list_id}, renderer)
        context = {"list_id": list_id, "suggestions": self.suggestions.items()}
        return box + SafeString(render_to_string("fields/suggestions.html", context))
