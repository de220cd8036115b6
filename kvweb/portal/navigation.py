"""What the frame of every page offers: one place that knows all apps."""

from __future__ import annotations

from typing import Any

from kvweb.accounts.access import allowed, allowed_somewhere
from kvweb.jobs.views import count_active
from kvweb.ui.navigation import Entry, account_entries, create_entry, entries


def _is_signed_in(user: Any) -> bool:
    return bool(user.is_authenticated)


def _sees_providers(user: Any) -> bool:
    return allowed(user, "provider.view")


def _creates(user: Any) -> bool:
    return allowed_somewhere(user, "vm.create")


entries += [
    Entry(label="Dashboard", url="dashboard", icon="layout-grid", key="d", position=10, when=_is_signed_in),
    Entry(label="Machines", url="vms:list", icon="server-2", key="v", position=20, when=_is_signed_in),
    Entry(
        label="Jobs",
        url="jobs:list",
        icon="list-check",
        key="j",
        position=30,
        when=_is_signed_in,
        count=count_active,
        counted="active",
    ),
    Entry(label="Consoles", url="consoles:list", icon="device-desktop", position=35, when=_is_signed_in),
    Entry(
        label="Images",
        url="images:list",
        icon="photo",
        key="i",
        position=41,
        group="Storage and networks",
        when=_is_signed_in,
    ),
    Entry(
        label="Volumes", url="volumes:list", icon="box", position=42, group="Storage and networks", when=_is_signed_in
    ),
    Entry(
        label="Pools", url="pools:list", icon="stack-2", position=44, group="Storage and networks", when=_is_signed_in
    ),
    Entry(
        label="Networks",
        url="networks:list",
        icon="network",
        key="n",
        position=46,
        group="Storage and networks",
        when=_is_signed_in,
    ),
    Entry(
        label="Providers",
        url="providers:list",
        icon="plug",
        key="p",
        position=60,
        group="Administration",
        when=_sees_providers,
    ),
]
account_entries += [
    Entry(label="SSH keys", url="accounts:ssh_keys", icon="key", position=10, when=_is_signed_in),
]
create_entry += [Entry(label="Create machine", url="vms:create", icon="plus", key="c", when=_creates)]
