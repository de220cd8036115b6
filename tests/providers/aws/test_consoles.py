"""Serial lines by EC2 Instance Connect: a key for a minute, a gateway whose key is known, a session of the VM's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from providers.aws import serial_hosts
from providers.aws.driver import AwsDriver
from providers.aws.testing import Peer
from providers.base import (
    MOST_OUTPUT,
    Conflict,
    ConsoleKind,
    InvalidRequest,
    NotFound,
    ProviderError,
    SshConsole,
    Unreachable,
)
from providers.testing import Harness
from tests.providers.kvm.remote_host import ssh_key
from tests.vms.console.gateway import GREETING, Gateway
from vms.console.ssh import connected

PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def gateway(peer: Peer) -> Iterator[Gateway]:
    """AWS's gateway: an sshd that knows the keys which were pushed to the stand-in."""
    made = Gateway()
    peer.tell("beyond", {"keys": str(made.keys)})
    yield made
    peer.tell("beyond", {"keys": "", "serial": True})
    made.close()


@pytest.fixture
def at_the_gateway(peer: Peer, gateway: Gateway) -> Iterator[AwsDriver]:
    host = f"127.0.0.1:{gateway.port}"
    with AwsDriver(peer.config(serial_host=host, serial_known_hosts=gateway.known_hosts)) as driver:
        yield driver


def opened(driver: AwsDriver, external_id: str) -> SshConsole:
    assert driver.consoles is not None
    target = driver.consoles.open(external_id, ConsoleKind.SERIAL)
    assert isinstance(target, SshConsole)
    return target


def test_a_serial_line_opens_with_a_key_of_its_own(
    at_the_gateway: AwsDriver, gateway: Gateway, peer: Peer, aws: Harness
) -> None:
    driver = at_the_gateway
    vm = driver.machines.create(aws.vm_spec("kvweb-test-serial", start=True))
    try:
        target = opened(driver, vm.external_id)
        assert target.user == f"{vm.external_id}.port0"
        assert not (gateway.keys / target.user).exists(), "Asking where a console is lets nobody in."
        gateway.know(target.user)
        with connected(target, PATIENCE_S) as line:
            line.settimeout(PATIENCE_S)
            assert line.recv(64).startswith(GREETING[:4])
        # Nothing but the pushed key opens it, and it is another VM's business what key that has.
        with pytest.raises(ProviderError, match="does not take the key"):
            connected(replace(target, authorise=None, key=ssh_key()[0]), PATIENCE_S)
        with pytest.raises(Unreachable, match="another key"):
            connected(replace(target, known_hosts=f"[127.0.0.1]:{gateway.port} {ssh_key()[1]}"), PATIENCE_S)
        # The same run of the VM is the same console, another start is another one.
        assert opened(driver, vm.external_id).endpoint == target.endpoint
        assert driver.power is not None
        driver.power.stop(vm.external_id, force=True)
        with pytest.raises(Conflict, match="Start"):
            opened(driver, vm.external_id)
        assert target.authorise is not None
        with pytest.raises(Conflict, match="Start"):
            target.authorise(ssh_key()[1])
    finally:
        driver.machines.delete(vm.external_id)
    with pytest.raises(NotFound):
        opened(driver, vm.external_id)


def test_an_account_that_does_not_allow_serial_consoles_has_none(peer: Peer, gateway: Gateway) -> None:
    del gateway
    peer.tell("beyond", {"serial": False})
    try:
        driver = AwsDriver(peer.config(profile="", timeout_s=21.0))
        consoles = driver.probe().consoles
        assert consoles is not None
        assert not consoles.kinds
        assert consoles.screenshot
        assert consoles.output
    finally:
        peer.tell("beyond", {"serial": True})


def test_a_size_without_serial_line_says_so(driver: AwsDriver, aws: Harness) -> None:
    vm = driver.machines.create(aws.vm_spec("kvweb-test-old", flavor="t2.micro", start=True))
    try:
        assert vm.consoles == frozenset()
        with pytest.raises(Conflict, match="“t2"):
            opened(driver, vm.external_id)
    finally:
        driver.machines.delete(vm.external_id)


def test_the_published_key_is_believed_and_another_is_not(
    peer: Peer, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The region's own gateway stands here, as far as the driver can tell.
    driver = AwsDriver(peer.config(serial_host="", serial_known_hosts="", timeout_s=22.0))
    assert serial_hosts.place(driver.cloud) is None, "Another endpoint has no gateway of AWS's."
    monkeypatch.setattr(serial_hosts, "place", lambda cloud: ("127.0.0.1", gateway.port))
    began = time.monotonic()
    with pytest.raises(Unreachable, match="another key than the published"):
        serial_hosts.known_hosts(driver.cloud)
    assert time.monotonic() - began < PATIENCE_S
    shown = serial_hosts.fingerprint(gateway.known_hosts)
    monkeypatch.setitem(serial_hosts.HOSTS, driver.config.region, ("{}", shown))
    known = serial_hosts.known_hosts(driver.cloud)
    assert gateway.known_hosts.split()[2] in known
    assert [serial_hosts.fingerprint(line) for line in known.splitlines()] == [shown]


def test_a_gateway_is_given_with_its_key_or_not_at_all(peer: Peer) -> None:
    with pytest.raises((InvalidRequest, ValueError), match="SSH key"):
        peer.config(serial_host="gateway.test:22", serial_known_hosts="")


def test_every_region_has_a_fingerprint_of_its_own() -> None:
    prints = [shown for _, shown in serial_hosts.HOSTS.values()]
    assert len(set(prints)) == len(prints) > 30
    assert {len(shown) for shown in prints} == {43}, "SHA-256 as ssh prints it."


def test_what_the_line_said_is_of_this_moment_on_nitro_and_older_than_that_elsewhere(
    peer: Peer, driver: AwsDriver, aws: Harness
) -> None:
    made = [
        driver.machines.create(aws.vm_spec(f"kvweb-test-said-{flavor[:2]}", flavor=flavor, start=True)).external_id
        for flavor in ("t3.micro", "t2.micro")
    ]
    assert driver.consoles is not None
    try:
        # The stand-in refuses a t2 that is asked for this moment's.
        assert [b"Linux version" in driver.consoles.output(each) for each in made] == [True, True]
        peer.tell("beyond", {"output": "x" * MOST_OUTPUT + "grüße\r\n"})
        said = driver.consoles.output(made[0])
        assert len(said) == MOST_OUTPUT
        assert said.endswith("xgrüße\r\n".encode())
        peer.tell("beyond", {"output": ""})
        with pytest.raises(Conflict, match="no output of this VM yet"):
            driver.consoles.output(made[0])
    finally:
        peer.tell("beyond", {"output": "[    0.000000] Linux version 6.1.0\r\nlogin: "})
        for each in made:
            driver.machines.delete(each)


def test_a_picture_of_the_screen_is_a_jpeg(driver: AwsDriver, aws: Harness) -> None:
    vm = driver.machines.create(aws.vm_spec("kvweb-test-picture", start=True))
    try:
        assert driver.consoles is not None
        picture = driver.consoles.screenshot(vm.external_id)
        assert (picture.media_type, picture.data[:3]) == ("image/jpeg", b"\xff\xd8\xff")
    finally:
        driver.machines.delete(vm.external_id)
