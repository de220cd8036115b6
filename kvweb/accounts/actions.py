"""An action is a value: what a user may do to an object, with its conditions; buttons, API and tests read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import wraps
from typing import Any, Generic, Literal, TypeVar

from django import forms
from django.db.models import Model

from kvweb.accounts.access import Person, allowed

T = TypeVar("T", bound=Model)

Answer = Literal[True] | str
"""What a condition says: yes, or the reason why not now."""


def after(first: Callable[[Any], Answer]) -> Callable[[Callable[[T], Answer]], Callable[[T], Answer]]:
    """Ask the decorated condition only where `first` holds, and else answer as that one."""

    def then(condition: Callable[[T], Answer]) -> Callable[[T], Answer]:
        @wraps(condition)
        def both(subject: T) -> Answer:
            answer = first(subject)
            return condition(subject) if answer is True else answer

        return both

    return then


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


class ActionForm(forms.Form):
    """What an action asks for besides its object: made for one object and one person.

    Its cleaned values are handed to the action's service by name. `typed` fills the fields before anybody types: the
    parameters of the link that opened the dialog. Pages, the bulk menu and the API all send it the same names.
    """

    #: Of the dialog's body; the default shows one field below the other.
    body_template = "fields/action.html"
    #: Wider than a question: a form with pairs of fields.
    is_wide = False

    def __init__(
        self,
        subject: Any,
        user: Person,
        data: Mapping[str, Any] | None = None,
        *,
        typed: Mapping[str, Any] | None = None,
    ) -> None:
        self.subject, self.user = subject, user
        super().__init__(data, initial={**(typed or {})})
        self.dress()

    def dress(self) -> None:
        """Give the fields what depends on object and person: choices, bounds, first values."""

    @property
    def title(self) -> str:
        """The dialog's heading; empty: the action's label and the object's name."""
        return ""

    @property
    def question(self) -> str:
        """The dialog's first sentence; empty: the action's own."""
        return ""

    @property
    def reason(self) -> str:
        """Why there is nothing to fill in now, instead of a form nobody can send; empty when there is."""
        return ""

    def take(self, name: str, value: Any) -> None:
        """A first value for a field that the link said nothing about."""
        self.initial.setdefault(name, value)

    def refuse(self, field: str, reason: str) -> None:
        """Put a provider's answer beside the field it is about, or above all of them."""
        self.add_error(field if field in self.fields else None, reason)


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
    when: Callable[[T], Answer] = lambda subject: True
    confirm: Weight = "none"
    question: str = ""
    """The sentence of the confirm dialog; may name the object as {name}."""
    is_destructive: bool = False
    in_bulk: bool = True
    form: type[ActionForm] | None = None
    """What has to be said besides; its dialog is the question."""
    title: str = ""
    """The dialog's heading; may name the object as {name}. Empty: the label and the name."""
    submit: str = ""
    """What the dialog's button says; empty: the label."""
    done: str = ""
    """What the page says when it was quick: "The disk is attached."."""
    place: str = "menu"
    """Where it is offered: with all that concerns the whole object, or in the tab of this name."""

    @property
    def has_form(self) -> bool:
        """For templates, which would call the class."""
        return self.form is not None

    @property
    def asks(self) -> bool:
        """Whether a dialog comes before it."""
        return self.confirm != "none" or self.form is not None

    def check(self, subject: T, user: Person) -> Check:
        """Whether it may be done; costs no query when the subject's project, provider and jobs are joined."""
        if not allowed(user, self.verb, subject) or not self.needs(subject):
            return Check(Standing.HIDDEN)
        answer = self.when(subject)
        return Check(Standing.ALLOWED) if answer is True else Check(Standing.DISABLED, str(answer))

    def perform(self, subject: T, user: Person, **options: object) -> object:
        """Check, then run: the only road from a page, the API or the bulk menu to a service. Raises ActionRefused.

        `options` are the cleaned values of the action's form.
        """
        check = self.check(subject, user)
        if check.is_hidden:
            raise ActionRefused("You may not do this here.", forbidden=True)
        if not check.is_allowed:
            raise ActionRefused(check.reason)
        return self.run(subject, user=user, **options)
