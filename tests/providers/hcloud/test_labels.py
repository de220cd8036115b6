"""Any text can be a label's value, and comes back as it was."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.base import InvalidRequest
from providers.hcloud import labels

VALID = re.compile(r"([a-zA-Z0-9]([-._a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)?", re.ASCII)


@given(st.text(max_size=80))
def test_a_text_comes_back_or_is_refused(text: str) -> None:
    try:
        told = labels.value(text)
    except (InvalidRequest, UnicodeEncodeError):
        return
    assert VALID.fullmatch(told)
    assert labels.text_of(told) == text


@given(st.from_regex(VALID, fullmatch=True))
def test_labels_of_others_are_shown_as_they_are(told: str) -> None:
    if not told.startswith("x_"):
        assert labels.text_of(told) == told
        assert labels.value(told) == told


def test_plain_words_stay_readable_in_the_console() -> None:
    assert labels.labels_of({"plan": "shop", "owner": "alice"}) == {"plan": "shop", "owner": "alice"}


def test_whose_it_is_is_shortened_and_other_values_are_not() -> None:
    long = "Ein sehr langer Name eines Vorhabens, wie ihn sich Leute ausdenken"
    assert long.startswith(labels.text_of(labels.labels_of({"project": long})["project"]))
    with pytest.raises(InvalidRequest):
        labels.labels_of({"plan": long * 2})


def test_the_portals_own_keys_cannot_be_written() -> None:
    with pytest.raises(InvalidRequest):
        labels.key("kvweb-uuid")
