"""Actions of pools, volumes and networks, and how pages show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from django.urls import reverse

from kvweb.accounts.access import Person
from kvweb.accounts.actions import Action, Check
from providers.resource_services import dismiss, dismiss_problem
from providers.resources import Resource, gone_or_never_made

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, kw_only=True)
class ResourceAction(Action[R]):
    """An action on one thing of a provider."""

    in_bulk: bool = False
    #: Stands beside the menu and not only in it.
    in_the_open: bool = False
    #: An address of its own instead of a dialog, as a named route of the thing's uuid.
    page: str = ""


def note_dismissal(verb: str) -> ResourceAction[Any]:
    """Taking away the note of what failed; every sort of thing has it."""
    return ResourceAction(
        name="dismiss-problem",
        label="Dismiss the note",
        doing="Dismissing",
        icon="x",
        verb=verb,
        needs=lambda resource: bool(resource.problem) and not resource.is_wanted,
        run=dismiss_problem,
        done="The note is gone.",
    )


def row_dismissal(verb: str, run: Callable[..., object] = dismiss) -> ResourceAction[Any]:
    """Taking away the row of what is gone at the provider or was never made; every sort of thing has it."""
    return ResourceAction(
        name="dismiss",
        label="Dismiss",
        doing="Dismissing",
        icon="x",
        verb=verb,
        needs=lambda resource: resource.is_wanted or resource.is_missing,
        when=gone_or_never_made,
        run=run,
        in_the_open=True,
    )


@dataclass(frozen=True, slots=True)
class Button:
    """One action as a page shows it."""

    name: str
    label: str
    icon: str
    doing: str
    address: str
    asks: bool = False
    """The address asks first, in a dialog or on its own page."""
    is_page: bool = False
    is_destructive: bool = False
    in_the_open: bool = False
    reason: str = ""
    """Why it cannot be done now; empty when it can."""


def offered(
    actions: Mapping[str, ResourceAction[R]], resource: R, user: Person
) -> list[tuple[ResourceAction[R], Check]]:
    """The actions that a page shows for this thing and person, greyed ones with their reason."""
    checked = [(action, action.check(resource, user)) for action in actions.values()]
    return [(action, check) for action, check in checked if not check.is_hidden]


def buttons(
    actions: Mapping[str, ResourceAction[R]], resource: R, user: Person, address: str, *, in_the_open: bool = False
) -> list[Button]:
    """What a page shows for this thing, whose page is at `address`; `in_the_open` takes only what stands in rows."""
    if in_the_open:
        actions = {name: action for name, action in actions.items() if action.in_the_open}
    return [_button(action, resource, check, address) for action, check in offered(actions, resource, user)]


def _button(action: ResourceAction[R], resource: R, check: Check, address: str) -> Button:
    if action.page:
        to = reverse(action.page, args=[resource.uuid])
    else:
        to = f"{address}{'ask' if action.asks else 'do'}/{action.name}"
    return Button(
        name=action.name,
        label=action.label,
        icon=action.icon,
        doing=action.doing,
        address=to,
        asks=action.asks and not action.page,
        is_page=bool(action.page),
        is_destructive=action.is_destructive,
        in_the_open=action.in_the_open,
        reason=check.reason,
    )
