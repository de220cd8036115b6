"""A form follows from a kind's config model, whatever that model holds."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

import pytest
from django import forms
from pydantic import Field, SecretStr, field_validator

from providers.base import Capabilities, Config, Plugin
from providers.forms import ProviderForm
from providers.models import Provider
from providers.registry import plugins
from providers.secrets import seal

pytestmark = pytest.mark.django_db


class Region(StrEnum):
    NORTH = "north"
    SOUTH = "south"


class AcmeConfig(Config):
    url: str = Field(title="Address", description="Where the API is.")
    region: Region = Field(default=Region.NORTH, title="Region")
    mode: Literal["", "fast"] = ""
    port: int = Field(default=443, ge=1, le=65535, title="Port")
    wait_s: float | None = Field(default=None, gt=0, title="Patience")
    verify: bool = Field(default=True, title="Check certificates")
    zones: tuple[str, ...] = ("a",)
    labels: dict[str, str] = Field(default_factory=dict)
    token: SecretStr = Field(title="Token")
    private_key: SecretStr | None = Field(default=None, title="Private key")

    @field_validator("url")
    @classmethod
    def _https(cls, url: str) -> str:
        if not url.startswith("https://"):
            raise ValueError("The address must begin with https://")
        return url


ACME = Plugin(kind="acme", label="Acme", config=AcmeConfig, declares=Capabilities(), driver="x:Y")
GOOD = {"name": "Ours", "config_url": "https://acme.test", "config_token": "t0ken", "config_verify": "on"}
GOOD |= {"config_region": "south", "config_port": "8443", "config_zones": "a\n b \n", "config_labels": '{"a": "b"}'}


def form(**changes: Any) -> ProviderForm:
    return ProviderForm({**GOOD, **changes}, plugin=ACME)


def stored(**secrets: str) -> Provider:
    config = {"url": "https://acme.test", "port": 1}
    return Provider.objects.create(kind="acme", name="Ours", config=config, sealed=seal(secrets))


def test_each_sort_of_setting_gets_its_field() -> None:
    fields = form().fields
    assert isinstance(fields["config_region"], forms.ChoiceField)
    assert isinstance(fields["config_verify"], forms.BooleanField)
    assert isinstance(fields["config_port"], forms.IntegerField)
    assert isinstance(fields["config_wait_s"], forms.FloatField)
    assert isinstance(fields["config_token"].widget, forms.PasswordInput)
    assert isinstance(fields["config_private_key"].widget, forms.Textarea)
    assert (fields["config_url"].label, fields["config_url"].help_text) == ("Address", "Where the API is.")


def test_a_suggestion_is_offered_by_its_name_and_anything_else_may_be_typed() -> None:
    aws = plugins()["aws"]
    shown = str(ProviderForm(plugin=aws)["config_region"])
    assert 'list="id_config_region_suggestions"' in shown
    assert '<datalist id="id_config_region_suggestions">' in shown
    assert '<option value="eu-central-1">Europe (Frankfurt)</option>' in shown
    typed = {"name": "Clouds", "config_region": "eu-newest-9"}
    assert "config_region" not in ProviderForm(typed, plugin=aws).errors
    wrong = ProviderForm({**typed, "config_region": "Frankfurt"}, plugin=aws).errors["config_region"]
    assert wrong == ["A region is written like “eu-central-1”."]


def test_a_good_form_is_the_config() -> None:
    good = form()
    assert good.is_valid(), good.errors
    config = good.config
    assert isinstance(config, AcmeConfig)
    assert (config.region, config.port, config.verify, config.zones) == (Region.SOUTH, 8443, True, ("a", "b"))
    assert (config.wait_s, config.labels, config.token.get_secret_value()) == (None, {"a": "b"}, "t0ken")


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"name": ""}, "name", "Give it a name."),
        ({"config_url": ""}, "config_url", "“Address” is needed."),
        ({"config_url": "http://x"}, "config_url", "The address must begin with https://."),
        ({"config_port": "0"}, "config_port", "At least 1."),
        ({"config_port": "99999"}, "config_port", "At most 65535."),
        ({"config_port": "many"}, "config_port", "A whole number, please."),
        ({"config_wait_s": "0"}, "config_wait_s", "More than 0.0."),
        ({"config_token": ""}, "config_token", "“Token” is needed."),
        ({"config_labels": "{"}, "config_labels", "This is not JSON, like {“name”: “value”}."),
        (
            {"config_region": "west"},
            "config_region",
            "Select a valid choice. west is not one of the available choices.",
        ),
    ],
)
def test_a_wrong_setting_is_said_at_its_field(changes: dict[str, str], field: str, says: str) -> None:
    assert form(**changes).errors.get(field) == [says]


def test_two_providers_cannot_have_one_name() -> None:
    Provider.objects.create(kind="fake", name="ours")
    assert form().errors["name"] == ["Another provider has this name; choose another."]


def test_a_secret_is_never_shown_again() -> None:
    assert "t0ken" not in form(name="").as_p()
    edited = ProviderForm(plugin=ACME, provider=stored(token="old", private_key="PEM")).as_p()
    assert "PEM" not in edited
    assert "Stored; leave empty to keep it." in edited


def test_an_empty_secret_keeps_what_is_stored_and_a_new_one_replaces_it() -> None:
    provider = stored(token="old")
    kept = ProviderForm({**GOOD, "config_token": ""}, plugin=ACME, provider=provider)
    assert kept.is_valid(), kept.errors
    assert "token" not in kept.typed_config
    changed = ProviderForm({**GOOD, "config_token": "new"}, plugin=ACME, provider=provider)
    assert changed.is_valid()
    assert changed.typed_config["token"] == "new"


def test_secrets_that_no_key_opens_must_be_entered_again() -> None:
    provider = stored()
    provider.sealed = "sealed-with-a-lost-key"
    provider.save()
    lost = ProviderForm({**GOOD, "config_token": ""}, plugin=ACME, provider=provider)
    assert lost.errors["config_token"] == ["“Token” is needed."]


@pytest.mark.parametrize("kind", sorted(plugins()))
def test_every_kind_has_a_form_whose_fields_are_named(kind: str) -> None:
    shown = ProviderForm(plugin=plugins()[kind])
    assert len(shown.config_fields) == len(plugins()[kind].config.model_fields)
    assert all(bound.label and str(bound) for bound in shown.config_fields)
