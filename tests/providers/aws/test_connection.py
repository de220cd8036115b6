"""The check of the connection says what is wrong; calls that fail become the right error with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from providers.aws.config import AwsConfig
from providers.aws.driver import AwsDriver
from providers.aws.testing import Peer
from providers.base import (
    AuthenticationFailed,
    Conflict,
    InvalidRequest,
    NotFound,
    OutOfCapacity,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    Rejected,
    TimedOut,
    Unreachable,
)
from tests.providers.aws.certificates import behind_tls, self_signed

#: What the vendor answers → our error, and a word that its sentence must have.
FAULTS: list[tuple[str, dict[str, Any], type[ProviderError], str]] = [
    ("wrong key", {"code": "InvalidClientTokenId", "status": 403}, AuthenticationFailed, "access key"),
    ("wrong secret", {"code": "SignatureDoesNotMatch", "status": 403}, AuthenticationFailed, "secret"),
    ("token ran out", {"code": "ExpiredToken", "status": 400}, AuthenticationFailed, "run out"),
    ("clock", {"code": "RequestExpired", "status": 400}, AuthenticationFailed, "clock"),
    ("throttled", {"code": "RequestLimitExceeded", "status": 503}, RateLimited, "slow down"),
    ("cut", {"cut": True}, Unreachable, "reached"),
    ("down", {"code": "ServiceUnavailable", "status": 503}, Unreachable, "does not answer"),
]
AT_CREATE: list[tuple[str, type[ProviderError], str]] = [
    ("VcpuLimitExceeded", QuotaExceeded, "vCPUs"),
    ("InstanceLimitExceeded", QuotaExceeded, "no more VMs"),
    ("InsufficientInstanceCapacity", OutOfCapacity, "zone"),
    ("InsufficientFreeAddressesInSubnet", OutOfCapacity, "address"),
    ("Unsupported", InvalidRequest, "zone"),
    ("InvalidKeyPair.NotFound", InvalidRequest, "key pair"),
    ("InvalidSubnetID.NotFound", NotFound, "exist"),
    ("IncorrectInstanceState", Conflict, "state"),
]


@pytest.mark.parametrize(("fault", "error", "word"), [each[1:] for each in FAULTS], ids=[each[0] for each in FAULTS])
def test_the_check_names_what_is_wrong(
    peer: Peer, fault: dict[str, Any], error: type[ProviderError], word: str
) -> None:
    with peer.failing(fault), pytest.raises(error, match=word):
        AwsDriver(peer.config(profile=f"{error.__name__} {word}"))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"access_key_id": "AKIANOBODYKNOWSTHIS0"}, "access key"),
        ({"secret_access_key": SecretStr("another")}, "secret"),
    ],
)
def test_a_key_that_aws_does_not_take_is_told(peer: Peer, changes: dict[str, Any], word: str) -> None:
    with pytest.raises(AuthenticationFailed, match=word):
        AwsDriver(peer.config(**changes))


def test_a_region_that_does_not_exist_is_told() -> None:
    config = AwsConfig(region="nowhere-east-9", access_key_id="AKIAKVWEBTEST00000AA", secret_access_key=SecretStr("x"))
    with pytest.raises(InvalidRequest, match="no region") as refused:
        AwsDriver(config)
    assert refused.value.field == "region"


def test_a_region_that_is_not_enabled_is_told_apart_from_a_wrong_key(peer: Peer) -> None:
    fault = {"match": "ec2:*", "code": "AuthFailure", "status": 401}
    with peer.failing(fault), pytest.raises(AuthenticationFailed, match="region") as refused:
        AwsDriver(peer.config(profile="another region"))
    assert refused.value.field == "region"


def test_a_missing_permission_is_named(peer: Peer) -> None:
    fault = {
        "match": "ec2:DescribeVolumes",
        "code": "UnauthorizedOperation",
        "status": 403,
        "message": "User: arn:aws:iam::1:user/x is not authorized to perform: ec2:DescribeVolumes because no policy",
    }
    with peer.failing(fault), pytest.raises(Rejected, match="ec2:DescribeVolumes") as refused:
        AwsDriver(peer.config(profile="permissions"))
    assert "arn:aws" not in refused.value.reason


def test_what_the_key_may_not_is_not_offered(peer: Peer) -> None:
    forbidden = [
        {"match": "s3:*", "code": "AccessDenied", "status": 403},
        {"match": "route53:*", "code": "AccessDenied", "status": 403},
        {"match": "ec2:StopInstances", "code": "UnauthorizedOperation", "status": 403},
        {"match": "ec2:RunInstances", "code": "UnauthorizedOperation", "status": 403},
    ]
    with peer.failing(*forbidden):
        driver = AwsDriver(peer.config(profile="few rights"))
        can = driver.probe()
    assert (can.buckets, can.dns, can.power) == (None, None, None)
    assert (driver.buckets, driver.dns, driver.power) == (None, None, None)
    assert not can.machines.create_from_image
    assert can.load_balancers is not None


def test_a_certificate_that_nobody_trusts_is_told_and_an_own_authority_is_taken(peer: Peer, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    with behind_tls(peer.url, certificate, key) as url:
        with pytest.raises(Unreachable, match="certificate"):
            AwsDriver(peer.config(endpoint_url=url))
        driver = AwsDriver(peer.config(endpoint_url=url, ca=certificate.read_text()))
        driver.ping()
        driver.close()


def test_an_answer_that_does_not_come_is_given_up(peer: Peer) -> None:
    driver = AwsDriver(peer.config(timeout_s=1.0))
    slow = {"match": "ec2:DescribeInstances", "delay_s": 3.0}
    with peer.failing(slow), pytest.raises(TimedOut):
        driver.machines.list()
    driver.close()


def test_a_busy_moment_is_waited_out(peer: Peer) -> None:
    driver = AwsDriver(peer.config(attempts=3))
    busy = {"match": "ec2:DescribeInstances", "code": "RequestLimitExceeded", "status": 503, "times": 1}
    with peer.failing(busy):
        driver.machines.list()
    driver.close()


@pytest.mark.parametrize(("code", "error", "word"), AT_CREATE, ids=[each[0] for each in AT_CREATE])
def test_what_aws_says_at_a_creation_is_told_in_our_words(
    driver: AwsDriver, peer: Peer, aws: Any, code: str, error: type[ProviderError], word: str
) -> None:
    fault = {"match": "ec2:RunInstances", "code": code, "status": 400, "message": "i-123 secret words"}
    with peer.failing(fault), pytest.raises(error, match=word) as refused:
        driver.machines.create(aws.vm_spec("kvweb-test-refused"))
    assert "secret words" not in refused.value.reason
    assert "secret words" in refused.value.detail
    assert not driver.machines.list()
