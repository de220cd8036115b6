"""Icons of @tabler/icons: those that pages repeat are one sprite, fetched once; any other is written into the page."""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

#: What the sprite holds. A name that is missing here still works, at the price of its drawing in every page.
NAMES = [
    "activity",
    "arrow-autofit-height",
    "alert-circle",
    "alert-triangle",
    "arrow-down",
    "arrow-up",
    "arrows-sort",
    "ban",
    "box",
    "camera",
    "check",
    "chevron-down",
    "chevron-left",
    "chevron-right",
    "chevron-up",
    "circle-check",
    "circle-x",
    "clock",
    "cloud",
    "cloud-off",
    "copy",
    "cpu",
    "database",
    "device-desktop",
    "device-laptop",
    "dots",
    "dots-vertical",
    "external-link",
    "filter",
    "filter-off",
    "folder",
    "heart-rate-monitor",
    "help",
    "history",
    "home",
    "info-circle",
    "key",
    "keyboard",
    "layout-grid",
    "list-check",
    "loader-2",
    "lock",
    "logout",
    "menu-2",
    "moon",
    "network",
    "pencil",
    "photo",
    "player-pause",
    "player-play",
    "player-stop",
    "player-track-next",
    "plug",
    "plug-connected-x",
    "plus",
    "power",
    "refresh",
    "rotate-clockwise",
    "route",
    "search",
    "server",
    "server-2",
    "server-off",
    "settings",
    "stack-2",
    "sun",
    "sun-moon",
    "terminal-2",
    "trash",
    "user",
    "users",
    "versions",
    "x",
    "zzz",
]

_DRAWING = re.compile(r"<svg[^>]*>(.*?)</svg>", re.DOTALL)
_FRAME = '<path stroke="none" d="M0 0h24v24H0z" fill="none" />'


@dataclass(frozen=True, slots=True)
class Sprite:
    text: str
    digest: str
    names: frozenset[str]


def _folder() -> Path:
    return Path(settings.NODE_MODULES) / "@tabler/icons/icons/outline"


@functools.lru_cache(maxsize=512)
def drawing(name: str) -> str:
    """The strokes of one icon; empty when there is no icon of that name, so that a page never fails for a picture."""
    if not re.fullmatch(r"[a-z0-9-]+", name):
        return ""
    try:
        found = _DRAWING.search((_folder() / f"{name}.svg").read_text())
    except OSError:
        return ""
    return " ".join(found.group(1).replace(_FRAME, "").split()) if found else ""


@functools.lru_cache(maxsize=1)
def sprite() -> Sprite:
    """The sprite and its digest, which stands in its address, so that browsers keep it for good."""
    drawn = {name: drawing(name) for name in NAMES}
    symbols = "".join(
        f'<symbol id="{name}" viewBox="0 0 24 24">{strokes}</symbol>' for name, strokes in drawn.items() if strokes
    )
    text = f'<svg xmlns="http://www.w3.org/2000/svg">{symbols}</svg>'
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Sprite(text, digest, frozenset(name for name, strokes in drawn.items() if strokes))


@functools.lru_cache(maxsize=1024)
def icon(name: str, classes: str = "") -> SafeString:
    """An icon for the eye only: the word beside it, or the button's label, is what is read aloud."""
    css = f"icon {classes}".strip()
    if name in sprite().names:
        address = reverse("icons", args=[sprite().digest])
        return format_html('<svg class="{}" aria-hidden="true"><use href="{}#{}"/></svg>', css, address, name)
    return format_html(
        '<svg class="{}" viewBox="0 0 24 24" aria-hidden="true">{}</svg>',
        css,
        mark_safe(drawing(name)),  # noqa: S308 - a drawing of the icon package, never somebody's text
    )
