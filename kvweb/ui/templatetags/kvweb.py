"""Small parts that every page uses: icons, badges, sizes, times, things to copy."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from kvweb.ui import icons
from kvweb.ui.badges import badge_of, markup
from kvweb.ui.words import ago_words, bytes_words, duration_words, size_words

register = template.Library()


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    return icons.icon(name, classes)


@register.simple_tag
def badge(thing: object) -> SafeString:
    return markup(badge_of(thing))


@register.simple_tag
def size(mib: float | None) -> str:
    """An amount in MiB, in the largest unit that keeps it readable."""
    return size_words(mib)


@register.simple_tag
def size_bytes(count: float | None) -> str:
    return bytes_words(count)


@register.simple_tag
def size_gib(gib: float | None) -> str:
    return size_words(None if gib is None else gib * 1024)


@register.simple_tag
def ago(moment: datetime | None, empty: str = "never") -> SafeString | str:
    """A moment as "5 minutes ago"; the page keeps it true, the pointer shows the full time."""
    if moment is None:
        return empty
    return time_tag(moment)


def time_tag(moment: datetime) -> SafeString:
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>',
        moment.isoformat(timespec="seconds"),
        f"{local:%-d %B %Y, %H:%M:%S %Z}",
        ago_words(moment),
    )


@register.simple_tag
def clock(moment: datetime | None) -> SafeString | str:
    """The time of day, with the date when it was not today: "12:03"."""
    if moment is None:
        return "never"
    local, now = timezone.localtime(moment), timezone.localtime()
    words = f"{local:%H:%M}" if local.date() == now.date() else f"{local:%-d %b %Y, %H:%M}"
    return format_html('<time datetime="{}">{}</time>', moment.isoformat(timespec="seconds"), words)


@register.simple_tag
def lasting(value: object) -> str:
    """A length of time: "4.2 s", "3 min 10 s"."""
    return duration_words(value)


@register.simple_tag
def copy(text: object) -> SafeString:
    """Text that a press copies; without scripts it is text that can be selected."""
    return format_html(
        '<button type="button" class="copy" data-copy="{}" title="Copy">{}{}</button>', text, text, icons.icon("copy")
    )


@register.simple_tag(takes_context=True)
def here_with(context: dict[str, Any], **changes: object) -> str:
    """The address of this page with some parameters changed; empty ones are taken out, and paging starts anew."""
    request: HttpRequest = context["request"]
    query = request.GET.copy()
    query.pop("page", None)
    for name, value in changes.items():
        query.pop(name, None)
        if value not in (None, ""):
            query[name] = str(value)
    return f"{request.path}?{query.urlencode()}" if query else request.path
