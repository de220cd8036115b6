"""The check of a connection names what is wrong; every class of fault has its error, within a deadline."""

from __future__ import annotations

import datetime
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from providers.base import (
    AuthenticationFailed,
    Conflict,
    DiskSpec,
    InvalidRequest,
    ProviderError,
    RateLimited,
    TimedOut,
    Transient,
    Unreachable,
    VmSpec,
)
from providers.hcloud.config import HcloudConfig
from providers.hcloud.driver import HcloudDriver
from providers.hcloud.testing import config_of
from tools.peers.hcloud.server import Peer

PLAIN = VmSpec(name="web-1", flavor="cx22", disks=(DiskSpec(image="1000"),), start=False)


def test_a_wrong_token_is_named(peer: Peer) -> None:
    with pytest.raises(AuthenticationFailed, match="refused the token"):
        HcloudDriver(config_of(peer).model_copy(update={"token": SecretStr("w" * 64)}))


def test_a_token_that_may_only_read_is_named(driver: HcloudDriver, peer: Peer) -> None:
    with peer.failing("readonly"), pytest.raises(AuthenticationFailed, match="Read & Write"):
        driver.probe()


def test_a_location_that_is_not_is_named(peer: Peer) -> None:
    lost = HcloudDriver(config_of(peer).model_copy(update={"location": "atlantis"}))
    with lost, pytest.raises(InvalidRequest, match="fsn1") as caught:
        lost.probe()
    assert caught.value.field == "location"


def test_an_address_without_an_api_is_named(peer: Peer) -> None:
    config = config_of(peer).model_copy(update={"endpoint": peer.url.replace("/v1", "/console")})
    with pytest.raises(ProviderError):
        HcloudDriver(config)


def test_nobody_listens(peer: Peer) -> None:
    with pytest.raises(Unreachable, match="refuses connections"):
        HcloudDriver(config_of(peer).model_copy(update={"endpoint": "http://127.0.0.1:9/v1"}))


def test_a_name_that_nobody_knows(peer: Peer) -> None:
    with pytest.raises(Unreachable, match="cannot be resolved"):
        HcloudDriver(config_of(peer).model_copy(update={"endpoint": "https://api.invalid/v1"}))


def test_an_answer_that_does_not_come_is_given_up(peer: Peer) -> None:
    config = config_of(peer).model_copy(update={"timeout_s": 0.3})
    with HcloudDriver(config) as driver, peer.failing("slow", seconds=2.0):
        began = time.monotonic()
        with pytest.raises(Unreachable, match="in time"):
            driver.machines.list()
        assert time.monotonic() - began < 1.5


def test_an_action_that_does_not_end_is_given_up(peer: Peer) -> None:
    config = config_of(peer).model_copy(update={"action_timeout_s": 0.3})
    peer.cloud.slow["start_server"] = 30
    with HcloudDriver(config) as driver:
        vm = driver.machines.create(PLAIN)
        with pytest.raises(TimedOut):
            driver.power.start(vm.external_id)


def test_what_passes_is_waited_for(driver: HcloudDriver, peer: Peer) -> None:
    """A lock, a clash and an empty budget go by: nobody should have to press again."""
    vm = driver.machines.create(PLAIN)
    for kind in ("locked", "conflict", "rate_limited"):
        with peer.failing(kind, method="POST", path="poweron", times=2):
            assert driver.power.start(vm.external_id).power == "running"
        driver.power.stop(vm.external_id, force=True)


def test_what_does_not_pass_is_told(driver: HcloudDriver, peer: Peer) -> None:
    vm = driver.machines.create(PLAIN)
    with peer.failing("locked", path="poweron"), pytest.raises(Conflict, match="Something else"):
        driver.power.start(vm.external_id)
    with peer.failing("rate_limited"), pytest.raises(RateLimited) as caught:
        driver.machines.list()
    assert 1 <= caught.value.retry_after_s <= 60
    with peer.failing("maintenance"), pytest.raises(Transient):
        driver.machines.list()


def certificate(folder: Path, *, days: int = 1, name: str = "127.0.0.1") -> tuple[str, Path]:
    """A certificate that signs itself, as PEM, and the file with it and its key."""
    both = folder / "server.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=kvweb-test"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"), "-days", str(days)),
            *("-addext", f"subjectAltName=IP:{name}"),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    pem = (folder / "cert.pem").read_text()
    both.write_text(pem + (folder / "key.pem").read_text())
    return pem, both


def served(both: Path) -> Peer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return Peer(tls=context)


def test_a_certificate_of_ones_own_is_refused_until_its_authority_is_given(tmp_path: Path) -> None:
    pem, both = certificate(tmp_path)
    with served(both) as peer:
        config = config_of(peer)
        assert config.endpoint.startswith("https://")
        with pytest.raises(Unreachable, match="is a CA certificate needed"):
            HcloudDriver(config)
        with HcloudDriver(config.model_copy(update={"ca": pem})) as driver:
            assert driver.machines.list() == []


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    pem, both = certificate(tmp_path, name="192.0.2.1")
    with served(both) as peer, pytest.raises(Unreachable, match="another name"):
        HcloudDriver(config_of(peer).model_copy(update={"ca": pem}))


def test_a_ca_certificate_that_is_none_is_named(peer: Peer) -> None:
    pem = "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"
    with pytest.raises(InvalidRequest, match="cannot be read"):
        HcloudDriver(config_of(peer).model_copy(update={"ca": pem}))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"token": "short"}, "64 letters"),
        ({"endpoint": "http://example.org/v1"}, "Without TLS"),
        ({"endpoint": "ftp://example.org"}, "https://"),
        ({"endpoint": "https://user:pass@example.org/v1"}, "plain"),
        ({"ca": "nonsense"}, "no certificate"),
        ({"location": "Falkenstein!"}, "pattern"),
    ],
)
def test_settings_are_checked_before_anybody_is_asked(values: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        HcloudConfig.read({"token": "t" * 64, **values})


def test_times_are_aware(driver: HcloudDriver) -> None:
    created = driver.machines.create(PLAIN).created_at
    assert created is not None
    assert abs(datetime.datetime.now(datetime.UTC) - created) < datetime.timedelta(minutes=1)
