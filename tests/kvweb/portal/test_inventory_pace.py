"""When a provider is asked again: seldom when it tells by itself, soon when something is expected of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from kvweb.jobs.models import Job, JobState
from kvweb.portal.inventory import pace, start_sync, sync_those_that_are_due
from providers.models import Health, Provider
from tests.conftest import MakeVm
from vms.choices import Presence

#: What is known of the provider → after how many seconds it is asked again.
PACES: dict[str, tuple[dict[str, Any], int]] = {
    "a local one without events": ({"kind": "kvm"}, 10),
    "the simulated cloud without events": ({"kind": "fake"}, 10),
    "a cloud without events": ({"kind": "somewhere"}, 60),
    "a local one that is watched": ({"kind": "kvm", "is_watched": True}, 120),
    "a cloud that is watched": ({"kind": "somewhere", "is_watched": True}, 120),
    "one that was never checked": ({"kind": "kvm", "health": Health.UNKNOWN}, 10),
    "one that failed just now": ({"health": Health.FAILED, "unreachable_since": timedelta(0)}, 5),
    "one that failed four minutes ago": ({"health": Health.FAILED, "unreachable_since": timedelta(minutes=4)}, 5),
    "one that failed long ago": ({"health": Health.FAILED, "unreachable_since": timedelta(minutes=6)}, 60),
    "one that failed, nobody knows when": ({"health": Health.FAILED}, 5),
    "one that failed while it was watched": ({"health": Health.FAILED, "is_watched": True}, 5),
}


@pytest.mark.parametrize("case", PACES)
def test_how_often_a_provider_is_asked(case: str, fake_provider: Provider) -> None:
    values, seconds = PACES[case]
    now = timezone.now()
    for name, value in values.items():
        setattr(fake_provider, name, now - value if isinstance(value, timedelta) else value)
    assert pace(fake_provider, now) == timedelta(seconds=seconds)


#: A machine of a watched provider → after how many seconds that one is asked again.
EXPECTING: dict[str, tuple[dict[str, Any], int]] = {
    "it was just started and has no address": ({}, 4),
    "it has its address": ({"addresses": "192.0.2.7"}, 120),
    "it is off": ({"power": "stopped"}, 120),
    "it was started too long ago to get one still": ({"power_since": timedelta(minutes=4)}, 120),
    "nobody knows when it was started": ({"power_since": None}, 120),
    "the provider does not list it any more": ({"presence": Presence.MISSING}, 120),
}


@pytest.mark.parametrize("case", EXPECTING)
def test_an_address_that_is_expected_is_asked_for(case: str, make_vm: MakeVm, fake_provider: Provider) -> None:
    values, seconds = EXPECTING[case]
    now = timezone.now()
    values = {"power": "running", "power_since": timedelta(seconds=20), "addresses": "", **values}
    make_vm(**{name: now - value if isinstance(value, timedelta) else value for name, value in values.items()})
    fake_provider.is_watched = True
    assert pace(fake_provider, now) == timedelta(seconds=seconds)


# -- whose turn it is --------------------------------------------------------------------------------------------------

#: What was last heard of the provider, so long ago → whether it is asked now.
TURNS: dict[str, tuple[dict[str, Any], bool]] = {
    "never asked": ({}, True),
    "asked a moment ago": ({"seen_at": timedelta(seconds=2)}, False),
    "checked a moment ago": ({"checked_at": timedelta(seconds=2)}, False),
    "asked a while ago": ({"seen_at": timedelta(seconds=11)}, True),
    "asked a while ago and watched": ({"seen_at": timedelta(seconds=11), "is_watched": True}, False),
    "asked long ago and disabled": ({"seen_at": timedelta(hours=1), "is_enabled": False}, False),
    "well a moment ago, failed since": (
        {
            "health": Health.FAILED,
            "seen_at": timedelta(seconds=1),
            "checked_at": timedelta(seconds=6),
            "unreachable_since": timedelta(seconds=6),
        },
        True,
    ),
    "failed for long and tried lately": (
        {"health": Health.FAILED, "checked_at": timedelta(seconds=30), "unreachable_since": timedelta(hours=1)},
        False,
    ),
}


@pytest.mark.parametrize("case", TURNS)
def test_each_is_asked_when_it_is_its_turn(case: str, fake_provider: Provider) -> None:
    values, is_asked = TURNS[case]
    now = timezone.now()
    Provider.objects.update(
        **{name: now - value if isinstance(value, timedelta) else value for name, value in values.items()}
    )
    sync_those_that_are_due()
    assert Job.objects.filter(kind="inventory.sync").exists() == is_asked


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
def test_nobody_is_asked_twice_at_once(state: str, fake_provider: Provider) -> None:
    Job.objects.filter(pk=start_sync(fake_provider).pk).update(state=state)
    sync_those_that_are_due()
    assert Job.objects.count() == 1


def test_one_that_hangs_does_not_keep_the_others_waiting(fake_provider: Provider) -> None:
    start_sync(fake_provider)
    second = Provider.objects.create(kind="fake", name="Farville", capabilities=fake_provider.capabilities)
    sync_those_that_are_due()
    assert Job.objects.filter(subject=f"inventory:{second.uuid}").count() == 1
