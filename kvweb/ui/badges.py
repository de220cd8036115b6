"""A badge says how a thing is: colour, icon and word together, never colour alone."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from django.utils.html import format_html
from django.utils.safestring import SafeString

from kvweb.ui.icons import icon


@dataclass(frozen=True, slots=True)
class Badge:
    word: str
    colour: str = "secondary"
    icon: str = ""
    #: Something is being done: the icon turns, and the percent is shown where it is known.
    is_busy: bool = False
    percent: int = 0
    #: The rest of the sentence, left out where room is short: "since 12:03".
    tail: str = ""
    #: More, for the pointer and for screen readers: "last known: Running".
    note: str = ""


@functools.lru_cache(maxsize=512)
def markup(badge: Badge) -> SafeString:
    """A few dozen different badges make all pages, so each is written once."""
    words = f"{badge.word} {badge.percent} %" if badge.is_busy and badge.percent else badge.word
    return format_html(
        '<span class="state state-{}{}"{}>{}<span>{}{}</span>{}</span>',
        badge.colour,
        " is-busy" if badge.is_busy else "",
        format_html(' title="{}"', badge.note) if badge.note else "",
        icon(badge.icon) if badge.icon else "",
        words,
        "…"
        if badge.is_busy and not badge.percent
        else format_html('<span class="state-tail"> {}</span>', badge.tail)
        if badge.tail
        else "",
        format_html('<span class="visually-hidden">, {}</span>', badge.note) if badge.note else "",
    )


@functools.singledispatch
def badge_of(thing: object) -> Badge:
    """How `thing` is. Apps register their models, so that `{% badge thing %}` works for all of them."""
    raise TypeError(f"Nothing says how a {type(thing).__name__} looks.")


@badge_of.register
def _(thing: Badge) -> Badge:
    return thing
