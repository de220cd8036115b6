"""What the frame offers of accounts: projects and settings to everybody, people to administrators."""

from __future__ import annotations

from typing import Any

from kvweb.accounts.access import allowed
from kvweb.ui.navigation import Entry, account_entries, entries


def _is_signed_in(user: Any) -> bool:
    return bool(user.is_authenticated)


def _sees_people(user: Any) -> bool:
    return allowed(user, "user.change")


entries += [
    Entry(label="Projects", url="accounts:projects", icon="folder", position=40, when=_is_signed_in),
    Entry(
        label="People",
        url="accounts:people",
        icon="users",
        position=70,
        group="Administration",
        when=_sees_people,
    ),
]
account_entries += [
    Entry(label="Settings", url="accounts:settings", icon="settings", position=20, when=_is_signed_in),
]
