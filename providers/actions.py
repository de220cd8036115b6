"""What an administrator can do to a provider: the table from which buttons, API and rights tests are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kvweb.accounts.access import Person, allowed
from kvweb.accounts.actions import ActionRefused, Answer, Check, Standing, Weight
from providers import services
from providers.models import Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAction:
    """As `kvweb.accounts.actions.Action`, for what belongs to no project: the verb is the portal's own."""

    name: str
    label: str
    doing: str
    done: str
    """What the page says afterwards; may name the provider as {name}."""
    icon: str
    run: Callable[..., object]
    verb: str = "provider.change"
    when: Callable[[Provider], Answer] = lambda provider: True
    #: Whether it is offered at all: of "Enable" and "Disable" a page shows the one that makes sense.
    fits: Callable[[Provider], bool] = lambda provider: True
    confirm: Weight = "none"
    question: str = ""
    is_destructive: bool = False

    def check(self, provider: Provider, user: Person) -> Check:
        """Whether it may be done; costs no query."""
        if not allowed(user, self.verb) or not self.fits(provider):
            return Check(Standing.HIDDEN)
        answer = self.when(provider)
        return Check(Standing.ALLOWED) if answer is True else Check(Standing.DISABLED, str(answer))

    def perform(self, provider: Provider, user: Person, **options: object) -> object:
        """Check, then run: the only road from a page or the API to a service. Raises ActionRefused."""
        check = self.check(provider, user)
        if check.is_hidden:
            raise ActionRefused("You may not do this here.", forbidden=True)
        if not check.is_allowed:
            raise ActionRefused(check.reason)
        return self.run(provider, user=user, **options)

    def asks(self, provider: Provider) -> str:
        return self.question.format(name=provider.name)

    def says(self, name: str) -> str:
        return self.done.format(name=name)


def _when_enabled(provider: Provider) -> Answer:
    return True if provider.is_enabled else "It is disabled; enable it first."


CHECK = ProviderAction(
    name="check",
    label="Check again",
    doing="Checking",
    done="The connection of “{name}” is being checked.",
    icon="refresh",
    when=_when_enabled,
    run=services.check,
)
DISABLE = ProviderAction(
    name="disable",
    label="Disable",
    doing="Disabling",
    done="“{name}” is disabled: it is not asked anything, and its machines stay as they are.",
    icon="plug-connected-x",
    fits=lambda provider: provider.is_enabled,
    run=services.disable,
    confirm="ask",
    question="“{name}” is not asked anything any more. Its machines keep running and stay visible, but nobody can "
    "act on them here until it is enabled again.",
)
ENABLE = ProviderAction(
    name="enable",
    label="Enable",
    doing="Enabling",
    done="“{name}” is enabled; its connection is being checked.",
    icon="plug",
    fits=lambda provider: not provider.is_enabled,
    run=services.enable,
)
REMOVE = ProviderAction(
    name="remove",
    label="Remove",
    doing="Removing",
    done="“{name}” was removed from the portal. Nothing was changed at the provider itself.",
    icon="trash",
    run=services.remove,
    confirm="type",
    question="The portal forgets “{name}”, its credentials and everything it knows of it. Nothing is touched at the "
    "provider itself: its machines, disks and networks stay, and come back when you add it again.",
    is_destructive=True,
)

#: In the order in which every page shows them.
ACTIONS: dict[str, ProviderAction] = {action.name: action for action in (CHECK, ENABLE, DISABLE, REMOVE)}


def offered(provider: Provider, user: Person) -> list[tuple[ProviderAction, Check]]:
    """The actions that a page shows for this provider and user, greyed ones with their reason."""
    checked = [(action, action.check(provider, user)) for action in ACTIONS.values()]
    return [(action, check) for action, check in checked if not check.is_hidden]
