"""Who asks and what it costs: roles, profiles of the portal's machine, prices, public addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from providers.aws.driver import AwsDriver
from providers.aws.testing import Peer
from providers.base import AuthenticationFailed, Conflict, InvalidRequest, NotFound, Price, QuotaExceeded
from providers.testing import Harness
from tools.peers.aws.stricter import EXTERNAL_ID, ROLE


def test_a_role_is_taken_on_with_what_its_owner_asks_for(peer: Peer) -> None:
    with AwsDriver(peer.config(role_arn=ROLE, external_id=EXTERNAL_ID)) as driver:
        assert ":assumed-role/portal/kvweb" in driver.host.info().details["user"]
        assert driver.machines.list() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"role_arn": ROLE, "external_id": "another"},
        {"role_arn": ROLE},
        {"role_arn": f"{ROLE}-of-somebody", "external_id": EXTERNAL_ID},
    ],
    ids=["another id", "no id", "another role"],
)
def test_a_role_that_cannot_be_taken_on_is_told(peer: Peer, changes: dict[str, str]) -> None:
    with pytest.raises(AuthenticationFailed, match="role cannot be taken on") as refused:
        AwsDriver(peer.config(**changes))
    assert refused.value.field == "role_arn"


def test_a_profile_of_the_portals_machine_is_taken(peer: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = f"[lab]\naws_access_key_id = {peer.told['key']}\naws_secret_access_key = {peer.told['secret']}\n"
    (tmp_path / "credentials").write_text(lines)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    with AwsDriver(peer.config(access_key_id="", secret_access_key=None, profile="lab")) as driver:
        driver.ping()
    with pytest.raises(InvalidRequest, match="no profile “home”") as refused:
        AwsDriver(peer.config(access_key_id="", secret_access_key=None, profile="home"))
    assert refused.value.field == "profile"


def test_sizes_have_the_prices_that_aws_publishes(driver: AwsDriver, peer: Peer) -> None:
    before = peer.tell("calls").get("pricing:GetProducts", 0)
    flavors = {one.name: one for one in driver.flavors.list()}
    assert flavors["t3.micro"].prices == (Price(currency="USD", hourly=0.01),)
    assert flavors["t3.nano"].prices == (), "What is not published is not made up."
    driver.flavors.list()
    assert peer.tell("calls")["pricing:GetProducts"] - before <= 3, "Asked once a day, page by page."


def test_sizes_are_told_without_prices_where_nobody_tells_them(peer: Peer) -> None:
    driver = AwsDriver(peer.config(timeout_s=23.0))
    with peer.failing({"match": "pricing:*", "code": "ThrottlingException", "status": 400}):
        assert all(one.prices == () for one in driver.flavors.list())
    with AwsDriver(peer.config(prices=False)) as silent:
        assert all(one.prices == () for one in silent.flavors.list())


def addresses(driver: AwsDriver) -> list[str]:
    return [one["PublicIp"] for one in driver.cloud.ec2("describe_addresses")["Addresses"]]


def test_an_elastic_address_comes_and_goes_with_the_vm(driver: AwsDriver, peer: Peer, aws: Harness) -> None:
    vm = driver.machines.create(aws.vm_spec("kvweb-test-address"))
    card = (vm.nics or ())[0].external_id
    try:
        # Nothing stays of one that could not be given.
        fault = {"match": "ec2:AssociateAddress", "code": "Gateway.NotAttached", "status": 400}
        with peer.failing(fault), pytest.raises(Conflict, match="no way to the internet"):
            driver.nics.give_public_address(vm.external_id, card)
        assert addresses(driver) == []
        quota = {"match": "ec2:AllocateAddress", "code": "AddressLimitExceeded", "status": 400}
        with peer.failing(quota), pytest.raises(QuotaExceeded, match="elastic"):
            driver.nics.give_public_address(vm.external_id, card)
        (given,) = driver.nics.give_public_address(vm.external_id, card).nics or ()
        assert given.addresses[0] == given.public_address == addresses(driver)[0]
    finally:
        driver.machines.delete(vm.external_id)
    assert addresses(driver) == [], "It would cost, and nobody would know of it."
    with pytest.raises(NotFound):
        driver.nics.give_public_address(vm.external_id, card)
