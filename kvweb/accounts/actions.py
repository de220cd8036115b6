"""An action is a value: what a user may do to an object, with its conditions; buttons, API and tests read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Literal, TypeVar

from django.db.models import Model

from kvweb.accounts.access import Person, allowed

T = TypeVar("T", bound=Model)


class Standing(Enum):
    """How an action stands for one user and one object."""

    ALLOWED = "allowed"
    #: Not offered: no right, or the provider cannot do it.
    HIDDEN = "hidden"
    #: Offered greyed, with the reason.
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Check:
    standing: Standing
    reason: str = ""

    @property
    def is_allowed(self) -> bool:
        return self.standing is Standing.ALLOWED

    @property
    def is_hidden(self) -> bool:
        return self.standing is Standing.HIDDEN


class ActionRefused(Exception):
    """The action may not be done now; `reason` is a sentence, `forbidden` says that it is a matter of rights."""

    def __init__(self, reason: str, *, forbidden: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.forbidden = forbidden


Weight = Literal["none", "ask", "type"]


@dataclass(frozen=True, kw_only=True)
class Action(Generic[T]):
    """One verb on one kind of object.

    `needs` looks at capabilities (False hides), `when` at the object's state: True, or the reason why not now.
    `confirm` is how heavily the page asks before: not at all, a question, or typing the name.
    """

    name: str
    label: str
    doing: str
    """What the row says while it runs: "Starting"."""
    icon: str
    verb: str
    run: Callable[..., object]
    needs: Callable[[T], bool] = lambda subject: True
    when: Callable[[T], Literal[True] | str] = lambda subject: True
    confirm: Weight = "none"
    question: str = ""
    """The sentence of the confirm dialog; may name the object as {name}."""
    is_destructive: bool = False
    in_bulk: bool = True

    def check(self, subject: T, user: Person) -> Check:
        """Whether it may be done; costs no query when the subject's project, provider and jobs are joined."""
        if not allowed(user, self.verb, subject) or not self.needs(subject):
            return Check(Standing.HIDDEN)
        answer = self.when(subject)
        return Check(Standing.ALLOWED) if answer is True else Check(Standing.DISABLED, str(answer))

    def perform(self, subject: T, user: Person, **options: object) -> object:
        """Check, then run: the only road from a page, the API or the bulk menu to a service. Raises ActionRefused."""
        check = self.check(subject, user)
        if check.is_hidden:
            raise ActionRefused("You may not do this here.", forbidden=True)
        if not check.is_allowed:
            raise ActionRefused(check.reason)
        return self.run(subject, user=user, **options)
