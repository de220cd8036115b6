"""The tab of settings: size and options as they will be at the next start, and what of it still waits for one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kvweb.accounts.models import User
from vms import looks, option_fields
from vms.models import VirtualMachine
from vms.tab import Tab


@dataclass(slots=True)
class Group:
    """Some options under one heading."""

    name: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    #: Title and reason of what cannot be had here.
    refused: list[tuple[str, str]] = field(default_factory=list)
    #: Whether there is anything in it that this person can set.
    can_change: bool = False


def groups(vm: VirtualMachine, user: User) -> list[Group]:
    """Every option that this provider can give or that the machine has; nothing where options were not told."""
    if vm.options is None:
        return []
    refusals = vm.can.machines.option_refusals
    found = []
    for name, members in option_fields.groups(option_fields.options(vm.provider, "settings")).items():
        group = Group(name)
        for one in members:
            value = vm.options.get(one.name, one.default)
            if one.name in refusals and value == one.default:
                group.refused.append((one.title, refusals[one.name]))
            else:
                group.can_change = group.can_change or not option_fields.why_not(one, vm.provider, user)
                group.facts.append((one.title, option_fields.words_of(one, vm.provider, value)))
        found.append(group)
    return found


def _context(vm: VirtualMachine, user: User) -> dict[str, Any]:
    return {
        "groups": groups(vm, user),
        "acts": looks.buttons_of(vm, user, "settings"),
        "can_change": vm.can.reshape is not None,
    }


def _count(vm: VirtualMachine) -> int | None:
    """How much waits for a restart."""
    return len(vm.pending) or None


TAB = Tab(name="settings", label="Settings", context=_context, count=_count)
