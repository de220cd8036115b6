"""Sealing anew: the newest key opens everything afterwards, and nothing is changed when one cannot be opened."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from pytest_django import Settings

from providers.models import Provider
from providers.secrets import seal, unseal

pytestmark = pytest.mark.django_db


@pytest.fixture
def keys(settings: Settings) -> list[str]:
    made = [Fernet.generate_key().decode() for _ in range(2)]
    settings.KVWEB_SEAL_KEYS = [made[0]]
    return made


def test_the_newest_key_alone_opens_what_was_sealed_anew(keys: list[str], settings: Settings) -> None:
    provider = Provider.objects.create(kind="fake", name="Lab", sealed=seal({"token": "t"}))
    settings.KVWEB_SEAL_KEYS = [keys[1], keys[0]]
    call_command("rotate_seals")
    settings.KVWEB_SEAL_KEYS = [keys[1]]
    provider.refresh_from_db()
    assert unseal(provider.sealed) == {"token": "t"}


def test_nothing_is_changed_when_one_cannot_be_opened(keys: list[str], settings: Settings) -> None:
    good = Provider.objects.create(kind="fake", name="Good", sealed=seal({"token": "t"}))
    Provider.objects.create(kind="fake", name="Lost", sealed="gibberish")
    settings.KVWEB_SEAL_KEYS = [keys[1], keys[0]]
    with pytest.raises(CommandError, match="“Lost”"):
        call_command("rotate_seals")
    before = good.sealed
    good.refresh_from_db()
    assert good.sealed == before
