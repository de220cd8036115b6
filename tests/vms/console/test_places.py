"""Places for consoles: nobody takes them all, and they come back whatever became of a console."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from providers.base import ConsoleKind
from vms.console.admission import Ticket
from vms.console.closing import Closing, Code
from vms.console.places import Places


def ticket(number: int, *, user: int | None = 1, vm: int = 1) -> Ticket:
    return Ticket(
        grant_pk=number,
        user_pk=user,
        guest_link_pk=None if user is not None else 7,
        name="alice",
        vm_pk=vm,
        vm_uuid="",
        external_id="",
        provider_pk=1,
        kind=ConsoleKind.VNC,
        view_only=False,
        vm_name="",
        project_pk=1,
        username="alice",
        guest_of="",
        address=None,
        may_lead=False,
        session_key="",
    )


@pytest.fixture(autouse=True)
def _few(settings: Settings) -> None:
    settings.CONSOLES_MAX, settings.CONSOLES_PER_USER, settings.CONSOLES_PER_VM = 4, 2, 3
    settings.CONSOLES_PER_GUEST_LINK = 1


def reason(refusal: Closing | None) -> str:
    assert refusal is not None
    assert refusal.code is Code.TOO_MANY
    return refusal.reason


def test_each_limit_is_named_with_its_number() -> None:
    places = Places()
    places.take(ticket(1))
    assert places.refusal(ticket(2)) is None
    places.take(ticket(2, vm=2))
    assert reason(places.refusal(ticket(3, vm=3))).startswith("You have 2 consoles open")
    places.take(ticket(3, user=None))
    assert reason(places.refusal(ticket(4, user=None, vm=3))).startswith("This guest link has 1 console open")
    places.take(ticket(4, user=2))
    assert reason(places.refusal(ticket(5, user=3))).startswith("The portal carries 4 consoles")
    places.give_back(ticket(2, vm=2))
    assert reason(places.refusal(ticket(5, user=3))).startswith("This machine has 3 consoles open")
    assert places.at(1) == 3


def test_who_was_refused_gives_back_no_place_of_others() -> None:
    places = Places()
    places.take(ticket(1))
    places.take(ticket(2))
    places.give_back(ticket(3))
    assert reason(places.refusal(ticket(4)))
    places.give_back(ticket(1))
    places.give_back(ticket(1))
    assert places.refusal(ticket(4)) is None
    assert places.at(1) == 1
