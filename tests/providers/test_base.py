"""The contract's own types: capabilities that survive storage, configs that keep secrets, errors in two families."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields

import pytest
from pydantic import Field, SecretStr, ValidationError

from providers import base
from providers.base import (
    Authority,
    Cancelled,
    Capabilities,
    CloudInit,
    Config,
    ConsoleFeatures,
    ConsoleKind,
    Deadline,
    Driver,
    GuestUser,
    InvalidRequest,
    NetworkMode,
    NicRecord,
    Plugin,
    PoolFeatures,
    PowerFeatures,
    PowerState,
    ProviderError,
    RateLimited,
    Rejected,
    SnapshotFeatures,
    TcpConsole,
    Transient,
    VmRecord,
    VmSpec,
    translated,
)
from providers.fake.plugin import CAPABILITIES, PLUGIN
from providers.registry import plugin


class ExampleConfig(Config):
    host: str = Field(title="Host", description="Where it is.")
    port: int = Field(default=22, title="Port", description="On which port.")
    token: SecretStr | None = None
    password: SecretStr = SecretStr("")


# -- fields of configs that kinds share ---------------------------------------------------------------------------


class HttpsConfig(Config):
    ca: Authority = ""
    timeout_s: Deadline = 20.0


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"ca": "hello"}, "ca", "This is no certificate"),
        ({"timeout_s": 0}, "timeout_s", "greater than or equal"),
        ({"timeout_s": 3600}, "timeout_s", "less than or equal"),
    ],
)
def test_what_is_no_certificate_and_no_deadline_is_named(values: dict[str, str], field: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as caught:
        HttpsConfig.read(values)
    assert caught.value.field == field


@pytest.mark.parametrize("kind", ["aws", "hcloud", "openstack", "vsphere"])
def test_every_cloud_has_an_authority_and_a_deadline_under_one_name(kind: str) -> None:
    fields_of_kind = plugin(kind).config.model_fields
    assert fields_of_kind["ca"].title == HttpsConfig.model_fields["ca"].title
    assert fields_of_kind["timeout_s"].title == HttpsConfig.model_fields["timeout_s"].title


# -- capabilities -------------------------------------------------------------------------------------------------


def test_capabilities_survive_json_and_are_stable() -> None:
    text = json.dumps(CAPABILITIES.to_json())
    assert Capabilities.from_json(json.loads(text)) == CAPABILITIES
    assert json.dumps(Capabilities.from_json(json.loads(text)).to_json()) == text


def test_rows_of_other_versions_are_read() -> None:
    row = {"power": {"pause": True, "levitate": True}, "teleport": {"far": True}}
    read = Capabilities.from_json(row)
    assert read == Capabilities(power=PowerFeatures(pause=True))
    assert Capabilities.from_json(None) == Capabilities()


def test_what_was_probed_is_cut_to_what_was_declared() -> None:
    declared = Capabilities(
        power=PowerFeatures(pause=True),
        consoles=ConsoleFeatures(kinds=frozenset({ConsoleKind.VNC})),
        pools=PoolFeatures(types=frozenset({"dir", "zfs"})),
    )
    probed = Capabilities(
        power=PowerFeatures(pause=True, soft_stop=True),
        consoles=ConsoleFeatures(kinds=frozenset(ConsoleKind)),
        snapshots=SnapshotFeatures(memory=True),
    )
    cut = probed.within(declared)
    assert cut.power == PowerFeatures(pause=True)
    assert cut.consoles == declared.consoles
    assert (cut.snapshots, cut.pools) == (None, None)


def test_every_default_is_modest() -> None:
    assert not any(Capabilities().machines.model_dump().values())
    assert all(getattr(Capabilities(), name) is None for name in Capabilities.model_fields if name != "machines")


def test_each_capability_is_a_facet_of_the_driver() -> None:
    assert set(Capabilities.model_fields) == {name for name in Driver.__annotations__ if not name.startswith("_")}


# -- configs ------------------------------------------------------------------------------------------------------


def test_secrets_are_found_and_not_shown() -> None:
    config = ExampleConfig.read({"host": "a", "token": "hush", "password": "quiet"})
    assert ExampleConfig.secret_fields() == {"token", "password"}
    assert "hush" not in f"{config!r}{config}{config.model_dump_json()}"


@pytest.mark.parametrize(
    ("values", "field"), [({}, "host"), ({"host": "a", "port": "x"}, "port"), ({"host": "a", "colour": 1}, "colour")]
)
def test_a_wrong_setting_is_named(values: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ExampleConfig.read(values)
    assert caught.value.field == field
    assert caught.value.reason.endswith(".")


def test_a_wrong_secret_is_not_repeated() -> None:
    with pytest.raises(InvalidRequest) as caught:
        ExampleConfig.read({"host": "a", "password": ["hush"]})
    assert "hush" not in f"{caught.value.reason}{caught.value.detail}{caught.value.__cause__}"


# -- errors -------------------------------------------------------------------------------------------------------


def test_every_error_is_of_one_family_and_has_a_code_and_a_sentence() -> None:
    errors = [each for each in vars(base).values() if isinstance(each, type) and issubclass(each, ProviderError)]
    leaves = [each for each in errors if each not in (ProviderError, Rejected, Transient)]
    assert all(issubclass(each, Rejected) != issubclass(each, Transient) for each in leaves)
    assert len({each.code for each in errors}) == len(errors)
    assert all(each().reason.endswith(".") for each in errors)


def test_only_our_errors_leave_a_translated_block() -> None:
    def translate(exc: Exception) -> ProviderError | None:
        return RateLimited() if isinstance(exc, KeyError) else None

    with pytest.raises(RateLimited) as known, translated(translate):
        raise KeyError("slow")
    assert isinstance(known.value.__cause__, KeyError)
    with pytest.raises(ProviderError) as unknown, translated(translate):
        raise ValueError("secret words")
    assert type(unknown.value) is ProviderError
    assert "secret words" in unknown.value.detail
    assert "secret words" not in unknown.value.reason
    with pytest.raises(Cancelled), translated(translate):
        raise Cancelled


# -- records and specs --------------------------------------------------------------------------------------------


def test_records_are_frozen_and_tell_none_from_empty() -> None:
    vm = VmRecord(external_id="1", name="a", power=PowerState.STOPPED)
    assert vm.nics is None
    assert vm.addresses == ()
    with pytest.raises(FrozenInstanceError):
        vm.name = "b"  # type: ignore[misc]
    nics = (NicRecord(external_id="eth0", addresses=("192.0.2.1", "2001:db8::1")),)
    assert VmRecord(external_id="1", name="a", power=PowerState.RUNNING, nics=nics).addresses == nics[0].addresses


def test_passwords_of_consoles_and_guests_are_not_shown() -> None:
    assert "hush" not in repr(TcpConsole(host="h", port=1, password="hush"))
    assert "$6$hush" not in repr(CloudInit(users=(GuestUser(name="a", password_hash="$6$hush"),)))


def test_specs_survive_json_and_refuse_what_they_do_not_know() -> None:
    spec = VmSpec(name="a", cloud_init=CloudInit(hostname="a"), metadata={"k": "v"})
    assert VmSpec.model_validate_json(spec.model_dump_json()) == spec
    for wrong in ({"name": ""}, {"name": "x" * 64}, {"name": "a", "vcpus": 0}, {"name": "a", "colour": "red"}):
        with pytest.raises(ValidationError):
            VmSpec.model_validate(wrong)


def test_everything_of_the_contract_is_imported_from_one_place() -> None:
    assert set(base.__all__) == {name for name in base.__all__ if hasattr(base, name)}
    assert set(NetworkMode)
    assert {field.name for field in fields(Plugin)} >= {"kind", "label", "config", "declares", "driver"}


def test_a_missing_library_names_the_extra() -> None:
    from dataclasses import replace

    broken = replace(PLUGIN, driver="acme_sdk.driver:Driver", extra="acme")
    with pytest.raises(base.NotSupported, match="acme"):
        broken.open(PLUGIN.config())
