"""A field that chooses one of our rows by its uuid, as addresses and the API name them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms

if TYPE_CHECKING:
    Choice = forms.ModelChoiceField[Any]
else:
    # Django's fields take no type parameter when they run.
    Choice = forms.ModelChoiceField

GONE = "It is not there any more; choose another."


class RowChoice(Choice):
    """The rows are given by `offer` once the form knows whose they are; before that there are none."""

    def __init__(self, *, words: Callable[[Any], str] = str, missing: str = "Choose one.", **options: Any) -> None:
        self.words = words
        messages = {"invalid_choice": GONE, "required": missing, "invalid": GONE}
        super().__init__(None, to_field_name="uuid", error_messages=messages, **options)

    def to_python(self, value: Any) -> Any:
        """A text that is no uuid names no row."""
        try:
            return super().to_python(value)
        except forms.ValidationError as exc:
            raise forms.ValidationError(GONE, code="invalid_choice") from exc

    def label_from_instance(self, obj: Any) -> str:
        return self.words(obj)

    def offer(self, rows: Any, *, empty: str | None = None) -> None:
        """Choose among these; `empty` is the word for choosing none of them."""
        self.empty_label = empty
        self.queryset = rows


def offer(form: forms.Form, name: str, rows: Any, *, empty: str | None = None) -> None:
    """`RowChoice.offer` of a form's field."""
    field = form.fields[name]
    assert isinstance(field, RowChoice)  # noqa: S101 - the form declares it so
    field.offer(rows, empty=empty)
