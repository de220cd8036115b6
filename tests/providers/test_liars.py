"""The suite is itself tested: every driver that breaks a promise is found out, and an honest one is not accused."""

from __future__ import annotations

import pytest

from providers.base import ProviderError
from providers.fake.testing import harness
from providers.testing import Outcome, Promise, attempt, promises
from tests.providers.bending import Lie
from tests.providers.liars import LIARS, liar


def promise_called(promise_id: str) -> Promise:
    return next(each for each in promises() if each.id == promise_id)


@pytest.mark.parametrize(("lie", "promise_id"), [pytest.param(lie, by, id=lie.__name__) for lie, by in LIARS])
def test_a_liar_is_found_out(lie: Lie, promise_id: str) -> None:
    lying = harness()
    lying.connect = liar(lie)
    lying.event_s = lying.timeout_s = 0.3
    try:
        result = attempt(promise_called(promise_id), lying)
        assert result.outcome is Outcome.BROKEN, result.outcome
        assert isinstance(result.error, AssertionError | ProviderError), result.why
    finally:
        lying.close()


def test_there_are_enough_liars_and_each_is_told_from_the_others() -> None:
    assert len({lie for lie, _ in LIARS}) == len(LIARS) >= 12


def test_a_gap_that_is_closed_is_an_error_and_one_that_is_open_is_not() -> None:
    honest = harness()
    promise = promise_called("lifecycle::a_created_vm_is_listed_and_found")
    try:
        honest.gaps = {promise.id: "not yet"}
        assert attempt(promise, honest).outcome is Outcome.GAP_CLOSED
        assert not attempt(promise, honest).is_fine
        honest.connect = liar(next(lie for lie, _ in LIARS if lie.__name__ == "deletes_nothing"))
        result = attempt(promise, honest)
        assert result.outcome is Outcome.GAP
        assert result.why == "not yet"
    finally:
        honest.close()


def test_what_the_harness_cannot_prove_is_skipped_with_a_reason() -> None:
    bare = harness()
    bare.image = bare.iso = ""
    promise = promise_called("lifecycle::a_vm_can_boot_from_an_iso")
    try:
        result = attempt(promise, bare)
        assert result.outcome is Outcome.SKIPPED
        assert result.why == "the harness brings nothing to prove it with (iso)"
    finally:
        bare.close()


def test_promises_read_as_sentences_and_are_many() -> None:
    names = [promise.name for promise in promises()]
    assert len(set(names)) == len(names) >= 100
    assert all("_" in name for name in names)
