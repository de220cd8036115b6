"""Connecting to an OpenStack cloud, and what is said when that does not work."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from providers.base import AuthenticationFailed, ConsoleKind, InvalidRequest, ProviderError, Unreachable
from providers.openstack.config import OpenStackConfig
from providers.openstack.connection import clock_skew_s
from providers.openstack.consoles import socket_url
from providers.openstack.driver import OpenStackDriver
from providers.openstack.errors import certificate_sentence
from tests.providers.kvm.remote_host import Authority
from tools.peers.openstack.simulator import Simulator

WRONG: dict[str, tuple[dict[str, Any], type[ProviderError], str, str]] = {
    "password": ({"password": SecretStr("wrong")}, AuthenticationFailed, "password", "user name and password"),
    "project": ({"project": "nobody's"}, AuthenticationFailed, "project", "It may use: demo."),
    "region": ({"region": "Mars"}, InvalidRequest, "region", "there is in RegionOne"),
    "interface": ({"interface": "admin"}, InvalidRequest, "interface", "no compute service"),
    "no Keystone": ({"auth_url": "URL/nowhere"}, InvalidRequest, "auth_url", "no Keystone"),
    "nobody there": ({"auth_url": "http://127.0.0.1:9"}, Unreachable, "", "does not answer"),
    "credential": (
        {"credential_id": "credential", "credential_secret": SecretStr("no")},
        AuthenticationFailed,
        "credential_secret",
        "application credential",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(case: str, config: OpenStackConfig, simulator: Simulator) -> None:
    change, kind, field, words = WRONG[case]
    change = {key: value.replace("URL", simulator.url) if key == "auth_url" else value for key, value in change.items()}
    with pytest.raises(kind) as caught:
        OpenStackDriver(config.model_copy(update=change))
    assert caught.value.field == field
    assert words in caught.value.reason


def test_an_application_credential_is_enough(config: OpenStackConfig) -> None:
    only = OpenStackConfig(
        auth_url=config.auth_url, credential_id="credential", credential_secret=SecretStr("right"), timeout_s=5
    )
    with OpenStackDriver(only) as driver:
        assert driver.cloud.access.project_name == "demo"


def test_a_clouds_yaml_stands_in_for_empty_fields(config: OpenStackConfig) -> None:
    auth = {"auth_url": config.auth_url, "username": "tester", "password": "right", "project_name": "demo"}
    text = yaml.safe_dump({"clouds": {"one": {"auth": auth, "region_name": "RegionOne"}, "two": {"auth": {}}}})
    with OpenStackDriver(OpenStackConfig(clouds_yaml=SecretStr(text), cloud="one")) as driver:
        assert driver.cloud.region == "RegionOne"
    with pytest.raises(InvalidRequest, match="one, two"):
        OpenStackDriver(OpenStackConfig(clouds_yaml=SecretStr(text)))
    with pytest.raises(AuthenticationFailed):
        OpenStackDriver(OpenStackConfig(clouds_yaml=SecretStr(text), cloud="one", password=SecretStr("mine")))


def test_a_clouds_yaml_does_not_switch_off_the_check_of_certificates() -> None:
    text = yaml.safe_dump({"clouds": {"one": {"verify": False, "auth": {"auth_url": "https://cloud.test"}}}})
    with pytest.raises(InvalidRequest, match="certificate"):
        OpenStackDriver(OpenStackConfig(clouds_yaml=SecretStr(text)))


def test_neither_the_environment_nor_files_of_the_worker_are_read(
    config: OpenStackConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "clouds.yaml").write_text("clouds: {x: {auth: {password: other}}}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OS_PASSWORD", "wrong")
    monkeypatch.setenv("OS_CLOUD", "x")
    OpenStackDriver(config).close()


def test_services_that_are_absent_are_no_capability(simulator: Simulator, config: OpenStackConfig) -> None:
    simulator.cloud.absent = frozenset({"block-storage"})
    with OpenStackDriver(config) as driver:
        can = driver.probe()
    assert (can.volumes, can.disks, can.pools, can.clones) == (None, None, None, None)
    assert not can.machines.create_empty
    assert can.machines.create_from_image


def test_a_catalogue_without_compute_is_told(simulator: Simulator, config: OpenStackConfig) -> None:
    simulator.cloud.absent = frozenset({"compute"})
    with pytest.raises(InvalidRequest, match="no compute service"):
        OpenStackDriver(config)


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ("https://c.test:6080/vnc_auto.html?path=%3Ftoken%3Dabc", "wss://c.test:6080/?token=abc"),
        ("http://c.test/vnc_lite.html?path=websockify%3Ftoken%3Dabc", "ws://c.test/websockify?token=abc"),
        ("http://c.test:6080/vnc_auto.html?token=abc", "ws://c.test:6080/?token=abc"),
        ("ws://c.test:6083/?token=abc", "ws://c.test:6083/?token=abc"),
    ],
)
def test_the_console_is_reached_behind_its_page(told: str, wanted: str) -> None:
    assert socket_url(told) == wanted


def test_serial_lines_are_offered_where_the_cloud_is_said_to_have_them(config: OpenStackConfig) -> None:
    for has, kinds in ((False, {ConsoleKind.VNC}), (True, {ConsoleKind.VNC, ConsoleKind.SERIAL})):
        with OpenStackDriver(config.model_copy(update={"serial_console": has})) as driver:
            consoles = driver.probe().consoles
            assert consoles is not None
            assert consoles.kinds == kinds


def test_clocks_that_differ_are_noticed() -> None:
    assert clock_skew_s("Wed, 01 Jan 2020 00:00:00 GMT") < -1e8
    assert clock_skew_s("nonsense") == 0


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("self-signed certificate in certificate chain", "not trusted"),
        ("certificate has expired", "clock"),
        ("Hostname mismatch, certificate is not valid for 'a'", "another host name"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_named(said: str, words: str) -> None:
    assert words in certificate_sentence(said)


def test_a_cloud_with_an_authority_of_its_own_is_believed_by_that_alone(tmp_path: Path) -> None:
    authority, foreign = Authority(), Authority()
    for name, text in zip(("certificate", "key"), authority.issue("server"), strict=True):
        (tmp_path / name).write_text(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    cloud = Simulator(tls=context)
    try:
        config = OpenStackConfig(
            auth_url=cloud.auth_url, username="tester", password=SecretStr("right"), project="demo", timeout_s=5
        )
        with OpenStackDriver(config.model_copy(update={"ca": authority.certificate})) as driver:
            assert list(driver.machines.list()) == []
        for ca in ("", foreign.certificate):
            with pytest.raises(Unreachable, match="authority that is not trusted"):
                OpenStackDriver(config.model_copy(update={"ca": ca}))
        elsewhere = config.model_copy(
            update={"ca": authority.certificate, "auth_url": cloud.auth_url.replace("127.0.0.1", "localhost")}
        )
        with pytest.raises(Unreachable, match="another host name"):
            OpenStackDriver(elsewhere)
    finally:
        cloud.stop()
