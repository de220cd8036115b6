"""Errors: the right family with a sentence, so that a worker knows whether to try again."""

from __future__ import annotations

import time

from providers.base import (
    AuthenticationFailed,
    InvalidRequest,
    NotFound,
    ProviderError,
    RateLimited,
    Rejected,
    Transient,
    Unreachable,
)
from providers.testing.checks import refused
from providers.testing.lab import Lab, present
from providers.testing.promises import promise

DEADLINE_S = 30.0


@promise(given=lambda harness: harness.wrong_credentials)
def wrong_credentials_are_refused(lab: Lab) -> None:
    with refused(AuthenticationFailed):
        lab.harness.open(lab.harness.wrong_credentials).close()


@promise(given=lambda harness: harness.unreachable)
def what_does_not_answer_is_unreachable_within_the_deadline(lab: Lab) -> None:
    begin = time.monotonic()
    with refused(Unreachable):
        lab.harness.open(lab.harness.unreachable).close()
    assert time.monotonic() - begin < DEADLINE_S


@promise(given=lambda harness: harness.fault)
def a_lost_connection_is_unreachable(lab: Lab) -> None:
    with present(lab.harness.fault)("unreachable"), refused(Unreachable):
        lab.driver.machines.list()


@promise(given=lambda harness: harness.fault)
def being_asked_to_slow_down_says_for_how_long(lab: Lab) -> None:
    with present(lab.harness.fault)("rate_limited"), refused(RateLimited) as refusal:
        lab.driver.machines.list()
    assert isinstance(refusal.error, RateLimited)
    assert refusal.error.retry_after_s > 0


@promise(given=lambda harness: harness.fault)
def credentials_that_were_taken_away_are_refused(lab: Lab) -> None:
    with present(lab.harness.fault)("auth"), refused(AuthenticationFailed):
        lab.driver.machines.list()


@promise(given=lambda harness: harness.fault)
def an_unknown_error_leaves_with_its_cause(lab: Lab) -> None:
    with present(lab.harness.fault)("unknown"), refused(ProviderError) as refusal:
        lab.driver.machines.list()
    error = refusal.error
    assert not isinstance(error, Rejected | Transient), f"An unknown error became {type(error).__name__}."
    assert error.__cause__ is not None, "The vendor's error was lost."
    assert str(error.__cause__) not in error.reason, "The vendor's text is shown to the user."


@promise()
def the_driver_works_again_after_an_error(lab: Lab) -> None:
    with refused(NotFound, InvalidRequest):
        lab.driver.machines.get("no-such-vm")
    lab.driver.machines.list()
