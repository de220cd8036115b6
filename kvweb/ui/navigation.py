"""What the frame of every page offers; the apps above register their entries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse


def _always(user: Any) -> bool:
    del user
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    label: str
    url: str
    icon: str
    #: The key after "g" that leads here.
    key: str = ""
    position: int = 50
    group: str = ""
    #: Who sees it.
    when: Callable[[Any], bool] = _always
    #: A number beside it, for instance of what is active; asked once per page.
    count: Callable[[Any], int] | None = None
    #: What the number is of, read aloud: "active".
    counted: str = ""


entries: list[Entry] = []
#: Menu of the person: keys, settings.
account_entries: list[Entry] = []
#: Registered from above: whether this person may create machines somewhere, and the address of the form.
create_entry: list[Entry] = []


@dataclass(frozen=True, slots=True)
class Item:
    entry: Entry
    address: str
    is_current: bool
    count: int = 0

    @property
    def is_counted(self) -> bool:
        return self.entry.count is not None


class Navigation:
    """The entries for one request; nothing is asked before a template shows it."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    def _count(self, entry: Entry) -> int:
        """A page that has counted them already says so on its request, which saves a query."""
        if entry.count is None:
            return 0
        known: int | None = getattr(self._request, "active_jobs", None)
        return entry.count(self._request.user) if known is None else known

    def _items(self, registered: list[Entry]) -> list[Item]:
        user = self._request.user
        found = []
        for entry in sorted(registered, key=lambda entry: entry.position):
            if not entry.when(user):
                continue
            try:
                address = reverse(entry.url)
            except NoReverseMatch:
                continue
            here = self._request.path
            is_current = here == address if address == "/" else here.startswith(address)
            found.append(Item(entry, address, is_current, self._count(entry)))
        return found

    @cached_property
    def items(self) -> list[Item]:
        return self._items(entries)

    @cached_property
    def groups(self) -> list[tuple[str, list[Item]]]:
        """The entries under their headings, in the order in which the headings first come."""
        grouped: dict[str, list[Item]] = {}
        for item in self.items:
            grouped.setdefault(item.entry.group, []).append(item)
        return list(grouped.items())

    @cached_property
    def account(self) -> list[Item]:
        return self._items(account_entries)

    @cached_property
    def create(self) -> Item | None:
        items = self._items(create_entry)
        return items[0] if items else None
